"""Asks pip-audit and npm audit for known vulnerabilities of everything that the lock files name.

    python .ci/audit.py

A finding is shown, and fails if a fixed version exists: in what users install, in our Python tools, and from severity
high on in our JavaScript tools. `.ci/accepted.toml` accepts single ones, each with a reason and an end:

    [GHSA-xxxx-xxxx-xxxx]
    reason = "Only reached with a setting that we do not use."
    until = 2027-01-31

Where the advisories cannot be reached, a line says what was not checked, and nothing fails. A good answer counts for a
day, so that `make check` stays quick.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

PYTHON_LOCK = Path(".ci/requirements.txt")
NODE_FOLDERS = ("tests/node", "tests/gulp", "docsite", "benchmarks/peers", "examples/eleventy", "examples/vitepress")
ACCEPTED = Path(".ci/accepted.toml")
#: Holds the digest of the locks whose audit found nothing that fails.
STAMP = Path(".cache/audited")
DAY = 86_400
SECONDS = 120


class Finding(NamedTuple):
    """A known vulnerability. fails: whether it must be dealt with now."""

    package: str
    advisories: tuple[str, ...]
    told: str
    fails: bool


class Answer(NamedTuple):
    """What one audit found. skipped: why it did not take place; empty: it did."""

    what: str
    findings: tuple[Finding, ...] = ()
    skipped: str = ""


def audit_python() -> Answer:
    """Return what is known of the Python packages."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        str(PYTHON_LOCK),
        "--require-hashes",
        "--disable-pip",
    ]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    return read_python(_run([*command, *options]))


def read_python(output: str) -> Answer:
    what = str(PYTHON_LOCK)
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer(what, skipped="pip-audit reaches no advisories")
    # A mirror without PyPI's JSON API knows no package at all.
    if not any("version" in package for package in packages):
        return Answer(what, skipped="this package index has no advisories")
    findings = []
    for package in packages:
        for known in package.get("vulns", ()):
            fixed = ", ".join(known["fix_versions"])
            told = f"fixed in {fixed}" if fixed else "no fixed version yet"
            advisories = (known["id"], *known.get("aliases", ()))
            findings.append(Finding(f"{package['name']} {package['version']}", advisories, told, bool(fixed)))
    return Answer(what, tuple(findings))


def audit_node(folder: str) -> Answer:
    """Return what is known of the JavaScript tools in a folder."""
    options = ["--json", "--package-lock-only", "--fetch-retries=0", "--fetch-timeout=10000"]
    return read_node(folder, _run(["npm", "--prefix", folder, "audit", *options]))


def read_node(folder: str, output: str) -> Answer:
    what = f"{folder}/package-lock.json"
    try:
        packages = json.loads(output)["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Answer(what, skipped="npm audit reaches no advisories")
    findings = []
    for name, package in packages.items():
        # Packages that only depend on a vulnerable one have texts here; the vulnerable one is listed itself.
        known = [each for each in package["via"] if isinstance(each, dict)]
        if not known:
            continue
        advisories = tuple(each["url"].rpartition("/")[2] for each in known)
        severity, fixed = package["severity"], bool(package["fixAvailable"])
        told = f"{severity}, {'a fixed version exists' if fixed else 'no fixed version yet'}"
        findings.append(Finding(name, advisories, told, fixed and severity in ("high", "critical")))
    return Answer(what, tuple(findings))


def judge(answers: list[Answer], accepted: dict[str, Any], today: datetime) -> tuple[list[str], bool]:
    """Return the lines to print, and whether the audit fails."""
    lines = []
    has_failed = False
    for answer in answers:
        if answer.skipped:
            lines.append(f"Skipped: {answer.what} was not audited: {answer.skipped}")
        for finding in answer.findings:
            rule = next((accepted[each] for each in finding.advisories if each in accepted), None)
            is_accepted = rule is not None and rule["until"] >= today.date()
            ended = f"; its acceptance ended on {rule['until']}" if rule is not None and not is_accepted else ""
            fails = finding.fails and not is_accepted
            has_failed |= fails
            why = f" (accepted: {rule['reason']})" if rule is not None and is_accepted else ""
            word = "FAILED" if fails else "known"
            ids = ", ".join(finding.advisories)
            lines.append(f"{word}: {finding.package} in {answer.what}: {ids}, {finding.told}{ended}{why}")
    return lines, has_failed


def main() -> int:
    digest = _digest()
    if STAMP.exists() and STAMP.read_text() == digest and time.time() - STAMP.stat().st_mtime < DAY:
        print("Audited within a day: no known vulnerability that fails")
        return 0
    with ThreadPoolExecutor() as pool:
        python = pool.submit(audit_python)
        answers = [*pool.map(audit_node, NODE_FOLDERS)]
        answers.insert(0, python.result())
    accepted = tomllib.loads(ACCEPTED.read_text()) if ACCEPTED.exists() else {}
    lines, has_failed = judge(answers, accepted, datetime.now(UTC))
    print("\n".join(lines or ["Audited: no known vulnerability"]))
    if not has_failed and not any(answer.skipped for answer in answers):
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(digest)
    return int(has_failed)


def _digest() -> str:
    locks = [PYTHON_LOCK, ACCEPTED, *(Path(folder, "package-lock.json") for folder in NODE_FOLDERS)]
    return hashlib.sha256(b"".join(lock.read_bytes() for lock in locks if lock.exists())).hexdigest()


def _run(command: list[str]) -> str:
    """Return what a program prints; nothing if it is missing, or does not end."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


if __name__ == "__main__":
    sys.exit(main())
