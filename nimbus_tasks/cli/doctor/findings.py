"""What the doctor found, and how it judges facts. Pure: facts in, findings out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.model.errors import NimbusError
    from nimbus_tasks.model.records import BatchRecord, QueueEntry

#: problem: an upload will not work. warning: it may fail later or in some cases.
Level = Literal["ok", "warning", "problem"]

#: Seconds. Batch ids, leases and `queued_at` come from this machine's clock; other machines compare them with theirs.
MAX_CLOCK_DIFFERENCE = 300
#: Free bytes. Below the first, an upload may fail half way; below the second, it will.
LITTLE_SPACE, NO_SPACE = 200 * 1024 * 1024, 5 * 1024 * 1024
#: The form of the keys that `nimbus:key:create` makes.
API_KEY = re.compile(r"sk_live_[0-9a-f]{32}")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_SET_CLOCK = "Set it (where there is systemd: timedatectl set-ntp true)."


class Finding(Struct, frozen=True, omit_defaults=True):
    """One line: the check, its result, and what to do."""

    check: str
    level: Level
    message: str
    next_step: str = ""


class Diagnosis(Struct, frozen=True):
    """What `doit nimbus:doctor --json` prints. well: there is no problem; warnings do not count."""

    well: bool
    problems: int
    warnings: int
    checks: tuple[Finding, ...]


def ok(check: str, message: str) -> Finding:
    return Finding(check, "ok", message)


def warning(check: str, message: str, next_step: str = "") -> Finding:
    return Finding(check, "warning", message, next_step)


def problem(check: str, message: str, next_step: str = "") -> Finding:
    return Finding(check, "problem", message, next_step)


def failed(check: str, error: NimbusError) -> Finding:
    """Return the finding of an error that would end a command."""
    return problem(check, error.message, error.next_step)


def diagnosis(findings: Sequence[Finding]) -> Diagnosis:
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    return Diagnosis(not problems, problems, warnings, tuple(findings))


# --- versions -----------------------------------------------------------------------------------------


def judge_versions(least: Mapping[str, str], installed: Mapping[str, str | None]) -> list[Finding]:
    """Compare the installed versions (None: not installed) with the minimum versions of pyproject.toml."""
    findings = []
    for name, needed in least.items():
        found = installed.get(name)
        if found is None:
            findings.append(problem("versions", f"{name} is not installed.", f"Run: pip install '{name}>={needed}'"))
        elif release(found) < release(needed):
            message = f"{name} is {found}; {needed} or later is required."
            fix = f"Install Python {needed} or later." if name == "Python" else f"Run: pip install '{name}>={needed}'"
            findings.append(problem("versions", message, fix))
    return findings or [ok("versions", ", ".join(f"{name} {installed[name]}" for name in least))]


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version without trailing zeros: 1.10.0rc1 -> (1, 10)."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in numbers[0].split(".")] if numbers else []
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)


# --- the clock ----------------------------------------------------------------------------------------


def judge_clock(here: float, there: float, whose: str) -> Finding:
    """Compare this machine's clock with that of `whose`, both in seconds."""
    apart = here - there
    if abs(apart) <= MAX_CLOCK_DIFFERENCE:
        return ok("clock", f"within {max(1, round(abs(apart)))} s of {whose}")
    order = "ahead of" if apart > 0 else "behind"
    message = f"This machine's clock is {in_words(abs(apart))} {order} {whose}: batch ids and leases depend on it."
    return warning("clock", message, _SET_CLOCK)


def judge_newest(ahead: float) -> list[Finding]:
    """Judge the newest record: `ahead` seconds in this machine's future."""
    if ahead <= MAX_CLOCK_DIFFERENCE:
        return []
    message = f"The newest record is {in_words(ahead)} in the future: this machine's clock was set back, or is wrong."
    return [warning("clock", message, _SET_CLOCK)]


def in_words(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


# --- files --------------------------------------------------------------------------------------------


def judge_space(free: int) -> Finding:
    """Judge the free bytes on the disk of `.nimbus/`."""
    message = f"{free // (1024 * 1024):,} MB are free on the disk of .nimbus/"
    if free < NO_SPACE:
        return problem("disk", f"{message}.", "Free some space.")
    return warning("disk", f"{message}.", "Free some space soon.") if free < LITTLE_SPACE else ok("disk", message)


def judge_secret_mode(path: str, mode: int) -> Finding:
    """Judge the mode of a file with secrets: only its owner may read it."""
    if mode & 0o077:
        return problem("permissions", f"{path} can be read by others (mode {mode:04o}).", f"Run: chmod 600 {path}")
    return ok("permissions", f"{path} is readable by its owner only (mode {mode:04o})")


# --- the credentials ----------------------------------------------------------------------------------


def judge_api_key(key: str, where: str) -> Finding:
    """Judge the form of an API key. The finding holds no character of it."""
    if API_KEY.fullmatch(key):
        return ok("credentials", f"{where} has the form of an API key")
    message = f"{where} does not look like a key of nimbus:key:create (sk_live_ and 32 hex digits)."
    return warning("credentials", message, "That is fine for a gateway of your own; otherwise copy the key again.")


# --- the gateway --------------------------------------------------------------------------------------


def judge_protocol(theirs: int, ours: int, where: str) -> Finding:
    """Compare the protocol version of a gateway with ours; 0: the classic one."""
    if theirs == ours:
        return ok("protocol", f"{where} speaks protocol {ours}, as this version does")
    if not theirs:
        message = f"{where} is a classic gateway: a request for each record, no listing, no compare-and-set."
        return warning("protocol", message, "Our Worker can do more: doit nimbus:worker:init")
    if theirs < ours:
        message = f"{where} speaks protocol {theirs}; this version speaks {ours}."
        return problem("protocol", message, "Deploy the new Worker: doit nimbus:worker:init, then npx wrangler deploy")
    message = f"{where} speaks protocol {theirs}; this version only speaks {ours}."
    return problem("protocol", message, "Run: pip install --upgrade nimbus-tasks")


# --- the queue ----------------------------------------------------------------------------------------


def judge_queue(entries: Sequence[QueueEntry], oldest: float | None, processes: int) -> Finding:
    """Judge the queue. `oldest`: seconds since its first page was queued. `processes`: workers with pages here."""
    if not entries:
        return ok("queue", "the queue is empty")
    since = "" if oldest is None else f", the oldest for {in_words(max(0, oldest))}"
    message = f"{_pages(len(entries))} in the queue{since}"
    if processes or oldest is None or oldest < _DAY:
        return ok("queue", message)
    return warning("queue", f"{message}.", "No worker takes them. Run: doit nimbus:process")


def judge_failures(batches: Sequence[BatchRecord]) -> list[Finding]:
    """Judge the newest batches by their failed pages."""
    failing = [batch for batch in batches if batch.summary.failed]
    if not failing:
        return [ok("batches", "no failed page in the newest batches")] if batches else []
    failed = sum(batch.summary.failed for batch in failing)
    worst = max(failing, key=lambda batch: batch.batch_id)
    message = f"{_pages(failed)} failed, in {len(failing)} of the newest {len(batches)} batches."
    return [warning("batches", message, f"Why: doit nimbus:batch:status --batch={worst.batch_id}")]


def judge_leases(renewed: Sequence[float], until: Sequence[float], now: float) -> list[Finding]:
    """Judge the leases of workers on this machine: when each was renewed, and when it ends."""
    if not renewed:
        return []
    over = sum(end < now for end in until)
    message = (
        f"{_pages(len(renewed))} held by workers here, the oldest lease renewed {in_words(now - min(renewed))} ago"
    )
    if over:
        return [warning("leases", f"{message}; {over} expired.", "Their worker has ended. Run: doit nimbus:process")]
    return [ok("leases", message)]


def _pages(number: int) -> str:
    return f"{number:,} page" if number == 1 else f"{number:,} pages"
