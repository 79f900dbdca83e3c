"""The server of `python -m nimbus_tasks.backends.blobs.fake_pinata --port=8789`: its options, and its socket."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import socket
import sys
import threading

import uvicorn

from nimbus_tasks.backends.blobs import fake_pinata
from nimbus_tasks.backends.blobs.cids import PROFILES
from nimbus_tasks.backends.blobs.fake_pinata.app import Pinata
from nimbus_tasks.backends.blobs.fake_pinata.files import Options

SCOPES = ("org:files:read", "org:files:write", "org:groups:read", "org:groups:write")


def parse(arguments: list[str]) -> tuple[Options, argparse.Namespace]:
    parser = argparse.ArgumentParser(
        prog="python -m nimbus_tasks.backends.blobs.fake_pinata", description=fake_pinata.__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--requests", type=int, default=500, help="requests a minute")
    parser.add_argument("--profile", choices=[profile.name for profile in PROFILES], default=PROFILES[0].name)
    parser.add_argument("--lag", type=float, default=0.0, help="seconds until the gateway has a file")
    parser.add_argument("--fail-parts", type=int, default=0, help="N: every N-th part of a large file is cut off")
    parser.add_argument("--duplicates", choices=["old", "new"], default="old", help="what known bytes give: the file")
    parser.add_argument("--scopes", default=",".join(SCOPES), help="what the token may do, with commas between")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the program that started it")
    asked = parser.parse_args(arguments)
    tokens = tuple((os.environ.get("PINATA_JWT") or secrets.token_hex(20)).split(","))
    scopes = frozenset(asked.scopes.split(","))
    return Options(tokens, asked.requests, asked.profile, asked.lag, asked.fail_parts, scopes, asked.duplicates), asked


def serve(options: Options, asked: argparse.Namespace) -> None:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", asked.port))
        listening.listen()
        sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"}) + "\n")
        sys.stdout.flush()
        server = uvicorn.Server(uvicorn.Config(Pinata(options).app(), log_level="error", access_log=False))
        if asked.until_stdin_closes:

            def wait() -> None:
                sys.stdin.read()
                server.should_exit = True

            threading.Thread(target=wait, daemon=True).start()
        server.run([listening])
