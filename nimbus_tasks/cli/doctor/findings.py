"""What the doctor found, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nimbus_tasks.model.errors import NimbusError

#: problem: it keeps an upload from working. warning: it may, some day or in some cases.
Level = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True, omit_defaults=True):
    """One line: which check, how it stands, what was seen, and what to do."""

    check: str
    level: Level
    message: str
    next_step: str = ""


class Diagnosis(Struct, frozen=True):
    """What `doit nimbus:doctor --json` prints. `well`: there is no problem; warnings do not count."""

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
