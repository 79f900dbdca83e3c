"""What validate says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import complaints, count
from nimbus_tasks.project.settings import VALIDATION_REPORT

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.model.issues import Issue
    from nimbus_tasks.pipeline.validate import ValidationReport


def validated(console: Console, report: ValidationReport) -> None:
    errors = [issue for issue in report.issues if issue.severity == "error"]
    warnings = [issue for issue in report.issues if issue.severity == "warning"]
    said = f"🔎 Validated {count(report.maps, 'map')}: {report.valid} valid"
    said += f", {report.invalid} invalid" if report.invalid else ""
    said += f", {count(len(warnings), 'warning')}" if warnings else ""
    console.line(said)
    complaints(console, (_issue(issue) for issue in errors), len(errors))
    if console.verbose or len(warnings) <= FEW:
        for issue in warnings:
            console.line(f"   warning: {_issue(issue)}", "dim", matters=True)
    if errors or warnings:
        console.line(f"   All of them: {VALIDATION_REPORT}", "dim")


def _issue(issue: Issue) -> str:
    place = f" {issue.pointer}" if issue.pointer else ""
    return f"{issue.file}{place} - {issue.message}"
