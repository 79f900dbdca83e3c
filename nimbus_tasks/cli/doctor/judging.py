"""What is well and what is not: facts in, findings out. Pure; the families of checks get the facts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.model.records import BatchRecord, QueueEntry

#: Batch ids, leases and `queued_at` come from this machine's clock; others compare them with theirs.
MOST_SECONDS_APART = 300
#: Below the first an upload may fail half way, below the second it will.
LITTLE_SPACE, NO_SPACE = 200 * 1024 * 1024, 5 * 1024 * 1024
#: As `nimbus:key:create` makes them.
API_KEY = re.compile(r"sk_live_[0-9a-f]{32}")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SET_CLOCK = "Set it (where there is systemd: timedatectl set-ntp true)."


# --- versions -----------------------------------------------------------------------------------------


def judge_versions(least: Mapping[str, str], installed: Mapping[str, str | None]) -> list[Finding]:
    """Compare the versions that are installed (None: not at all) with the least ones that pyproject.toml asks for."""
    findings = []
    for name, needed in least.items():
        found = installed.get(name)
        if found is None:
            findings.append(problem("versions", f"{name} is not installed.", f"Run: pip install '{name}>={needed}'"))
        elif release(found) < release(needed):
            told = f"{name} is {found}, and {needed} or later is needed."
            mend = f"Install Python {needed} or later." if name == "Python" else f"Run: pip install '{name}>={needed}'"
            findings.append(problem("versions", told, mend))
    return findings or [ok("versions", ", ".join(f"{name} {installed[name]}" for name in least))]


def release(version: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version, without zeros at the end: 1.10.0rc1 -> (1, 10)."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in numbers[0].split(".")] if numbers else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


# --- the clock ----------------------------------------------------------------------------------------


def judge_clock(here: float, there: float, whose: str) -> Finding:
    """Compare this machine's clock with another, both in seconds."""
    apart = here - there
    if abs(apart) <= MOST_SECONDS_APART:
        return ok("clock", f"within {max(1, round(abs(apart)))} s of {whose}")
    order = "ahead of" if apart > 0 else "behind"
    told = f"This machine's clock is {in_words(abs(apart))} {order} {whose}: ids of batches and leases come from it."
    return warning("clock", told, _SET_CLOCK)


def judge_newest(ahead: float) -> list[Finding]:
    """Judge what was stored last: `ahead` seconds in this machine's future."""
    if ahead <= MOST_SECONDS_APART:
        return []
    told = f"What was stored last is {in_words(ahead)} in the future: this machine's clock was set back, or is wrong."
    return [warning("clock", told, _SET_CLOCK)]


def in_words(seconds: float) -> str:
    """Say how long something takes or is ago, in its largest whole unit."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


# --- files --------------------------------------------------------------------------------------------


def judge_space(free: int) -> Finding:
    """Judge the bytes that are free where `.nimbus/` is."""
    told = f"{free // (1024 * 1024):,} MB are free on the disk of .nimbus/"
    if free < NO_SPACE:
        return problem("disk", f"{told}.", "Free some space.")
    return warning("disk", f"{told}.", "Free some space soon.") if free < LITTLE_SPACE else ok("disk", told)


def judge_secret_mode(path: str, mode: int) -> Finding:
    """Judge the mode of a file with secrets: nobody but its owner may read it."""
    if mode & 0o077:
        return problem("permissions", f"{path} can be read by others (mode {mode:04o}).", f"Run: chmod 600 {path}")
    return ok("permissions", f"{path} is its owner's alone (mode {mode:04o})")


# --- the credentials ----------------------------------------------------------------------------------


def judge_api_key(key: str, where: str) -> Finding:
    """Judge the form of an API key, without a character of it in the answer."""
    if API_KEY.fullmatch(key):
        return ok("credentials", f"{where} has the form of an API key")
    told = f"{where} does not look like a key of nimbus:key:create (sk_live_ and 32 hex digits)."
    return warning("credentials", told, "That is right for a gateway of your own; else check what was copied.")


# --- the gateway --------------------------------------------------------------------------------------


def judge_protocol(theirs: int, ours: int, where: str) -> Finding:
    """Compare the protocol that a gateway speaks with ours; 0: the classic one."""
    if theirs == ours:
        return ok("protocol", f"{where} speaks protocol {ours}, as we do")
    if not theirs:
        told = f"{where} is a classic gateway: a request for each record, no listing, no compare-and-set."
        return warning("protocol", told, "Ours can do more: doit nimbus:worker:init")
    if theirs < ours:
        told = f"{where} speaks protocol {theirs}, and we speak {ours}."
        return problem("protocol", told, "Deploy the new Worker: doit nimbus:worker:init, then npx wrangler deploy")
    told = f"{where} speaks protocol {theirs}, and we speak only {ours}."
    return problem("protocol", told, "Run: pip install --upgrade nimbus-tasks")


# --- the queue ----------------------------------------------------------------------------------------


def judge_queue(entries: Sequence[QueueEntry], oldest: float | None, processes: int) -> Finding:
    """Judge what waits. `oldest`: seconds since its first page was queued. `processes`: how many hold pages here."""
    if not entries:
        return ok("queue", "no page waits")
    since = "" if oldest is None else f", the oldest for {in_words(max(0, oldest))}"
    told = f"{_pages(len(entries))} in the queue{since}"
    if processes or oldest is None or oldest < _DAY:
        return ok("queue", told)
    return warning("queue", f"{told}.", "Nobody takes them: doit nimbus:process")


def judge_failures(batches: Sequence[BatchRecord]) -> list[Finding]:
    """Judge the newest batches: pages of theirs that failed."""
    failing = [batch for batch in batches if batch.summary.failed]
    if not failing:
        return [ok("batches", "no page has failed in the newest ones")] if batches else []
    failed = sum(batch.summary.failed for batch in failing)
    worst = max(failing, key=lambda batch: batch.batch_id)
    told = f"{_pages(failed)} failed, in {len(failing)} of the newest {len(batches)} batches."
    return [warning("batches", told, f"Why: doit nimbus:batch:status --batch={worst.batch_id}")]


def judge_leases(renewed: Sequence[float], until: Sequence[float], now: float) -> list[Finding]:
    """Judge the pages that workers on this machine hold: when each lease was renewed, and when it ends."""
    if not renewed:
        return []
    over = sum(end < now for end in until)
    told = f"{_pages(len(renewed))} held by workers here, the oldest lease renewed {in_words(now - min(renewed))} ago"
    if over:
        return [warning("leases", f"{told}; {over} ran out.", "Whoever held them has ended: doit nimbus:process")]
    return [ok("leases", told)]


def _pages(number: int) -> str:
    return f"{number:,} page" if number == 1 else f"{number:,} pages"
