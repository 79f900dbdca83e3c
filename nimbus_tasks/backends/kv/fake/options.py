"""The command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from msgspec import Struct

from nimbus_tasks.backends.kv.fake import limits

_ID = re.compile(r"[0-9a-f]{32}")


class Options(Struct, frozen=True):
    """How the fake is to behave. No account or no namespaces: any is good, and made when it is first used."""

    port: int = 0
    account: str | None = None
    namespaces: dict[str, str] = {}
    file: str = ":memory:"
    journal: Path | None = None
    requests: int = limits.REQUESTS
    window: float = limits.WINDOW_SECONDS
    blocked: float = limits.BLOCKED_SECONDS
    daily_writes: int | None = None
    unsuccessful: float = 0.0
    seed: int = 0
    lag: float = 0.0
    strict_writes: bool = False
    until_stdin_closes: bool = False


def parse(arguments: list[str]) -> Options:
    """Read the command line; what is wrong with it is said on standard error, exit status 2."""
    parser = argparse.ArgumentParser(
        prog="python -m nimbus_tasks.backends.kv.fake",
        description="Cloudflare's KV REST API on 127.0.0.1.",
        epilog="The token that it accepts is in the environment, CLOUDFLARE_API_TOKEN; without it, any is good.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0: one that is free")
    add("--account", type=_identifier, metavar="ID", help="the only account; else any")
    add(
        "--namespace", type=_namespace, action="append", default=[], metavar="ID[=TITLE]", help="may come several times"
    )
    add("--file", type=str, default=":memory:", metavar="FILE.db", help="keep everything here; else in memory")
    add("--journal", type=Path, metavar="FILE", help="a line of JSON for each request")
    add("--requests", type=_whole, default=limits.REQUESTS, help="requests a token has in a window")
    add("--window", type=_seconds, default=limits.WINDOW_SECONDS, metavar="SECONDS")
    add("--blocked", type=_seconds, default=limits.BLOCKED_SECONDS, metavar="SECONDS", help="wait after one too many")
    add("--daily-writes", type=_whole, metavar="N", help="the free plan has 1000")
    add("--unsuccessful", type=_share, default=0.0, metavar="SHARE", help="of the pairs of bulk puts; 0 to 1")
    add("--seed", type=int, default=0, help="which pairs are unsuccessful")
    add("--lag", type=_seconds, default=0.0, metavar="SECONDS", help="until a write is seen")
    add("--strict-writes", action="store_true", help="one write a second to a key")
    add("--until-stdin-closes", action="store_true", help="end when standard input does")
    found = vars(parser.parse_args(arguments))
    return Options(namespaces=dict(found.pop("namespace")), **found)


def _identifier(text: str) -> str:
    if not _ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text[:64]!r} is not 32 hex digits")
    return text


def _namespace(text: str) -> tuple[str, str]:
    identifier, _, title = text.partition("=")
    return _identifier(identifier), title or f"namespace-{identifier[:8]}"


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return seconds


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
