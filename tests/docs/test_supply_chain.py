"""What `make audit` and `make sbom` make of what their tools say."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
TODAY = datetime(2026, 12, 1, tzinfo=UTC)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f".ci/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


audit, sbom = program("audit"), program("sbom")


def python(*fixed: str, vulns: bool = True) -> str:
    known = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": list(fixed), "description": "Bad."}
    packages = [{"name": "rich", "version": "14.0", "vulns": [known] if vulns else []}]
    return json.dumps({"dependencies": [*packages, {"name": "own", "skip_reason": "not found"}], "fixes": []})


def node(severity: str, *, fixed: bool) -> str:
    via = [{"title": "Bad", "url": "https://github.com/advisories/GHSA-1", "severity": severity}]
    package = {"name": "glob", "severity": severity, "via": via, "fixAvailable": fixed}
    above = {"name": "gulp", "severity": severity, "via": ["glob"], "fixAvailable": fixed}
    return json.dumps({"auditReportVersion": 2, "vulnerabilities": {"glob": package, "gulp": above}})


def judged(answer: Any, **accepted: Any) -> tuple[list[str], bool]:
    rules = {name.replace("_", "-"): rule for name, rule in accepted.items()}
    return audit.judge([answer], rules, TODAY)


@pytest.mark.parametrize(
    ("answer", "word", "fails"),
    [
        (
            audit.read_python(python("14.1")),
            "FAILED: rich 14.0 in .ci/requirements.txt: PYSEC-2026-1, CVE-2026-1",
            True,
        ),
        (audit.read_python(python()), "no fixed version yet", False),
        (audit.read_node("docsite", node("critical", fixed=True)), "FAILED: glob in docsite/package-lock.json", True),
        (audit.read_node("docsite", node("moderate", fixed=True)), "known: glob", False),
        (audit.read_node("docsite", node("high", fixed=False)), "known: glob", False),
    ],
)
def test_a_known_vulnerability_is_shown_and_fails_where_it_can_be_mended(answer: Any, word: str, fails: bool) -> None:
    (line,), failed = judged(answer)
    assert word in line
    assert failed is fails


def test_nothing_known_says_nothing() -> None:
    assert judged(audit.read_python(python(vulns=False))) == ([], False)
    assert judged(audit.read_node("docsite", '{"vulnerabilities": {}}')) == ([], False)


@pytest.mark.parametrize(("day", "fails"), [("2026-12-01", False), ("2026-11-30", True)])
def test_a_finding_is_accepted_with_a_reason_until_a_day(day: str, fails: bool) -> None:
    rule = {"reason": "Not reached.", "until": datetime.fromisoformat(day).date()}
    (line,), failed = judged(audit.read_python(python("14.1")), CVE_2026_1=rule)
    assert failed is fails
    assert ("acceptance ended on" in line) is fails
    assert ("accepted: Not reached." in line) is not fails


@pytest.mark.parametrize("said", ["", "no JSON", "[]", "{}", '{"error": {"code": "ENOTFOUND"}}', "null"])
def test_out_of_reach_is_a_line_and_no_failure(said: str) -> None:
    for answer in (audit.read_python(said), audit.read_node("docsite", said)):
        (line,), failed = judged(answer)
        assert line.startswith("Skipped: ")
        assert not failed
    nobody = json.dumps({"dependencies": [{"name": "rich", "skip_reason": "Dependency not found on PyPI"}]})
    assert "has no advisories" in judged(audit.read_python(nobody))[0][0]


def test_without_a_network_or_the_tools_the_audit_ends_well(tmp_path: Path) -> None:
    """With neither npm nor pip-audit: the same as where neither reaches its service."""
    code = "import runpy, sys; sys.modules['pip_audit'] = None; runpy.run_path(%r, run_name='__main__')"
    (tmp_path / "bin").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code % str(ROOT / ".ci/audit.py")],
        cwd=tmp_path,
        env={"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Skipped: ") == 1 + len(audit.NODE_FOLDERS)
    assert not (tmp_path / ".cache/audited").exists()


def test_the_lock_names_everything_with_a_version_and_a_hash() -> None:
    text = (ROOT / ".ci/requirements.txt").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert all(re.match(r"[a-z0-9._-]+==\S+.* \\\n    --hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    locked = {entry.partition("==")[0].replace("_", "-") for entry in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    # What is only measured against is not needed in CI.
    groups = {name: group for name, group in project["dependency-groups"].items() if name not in ("bench", "quality")}
    lists = [project["build-system"]["requires"], project["project"]["dependencies"], *groups.values()]
    lists += project["project"]["optional-dependencies"].values()
    named = {re.match(r"[a-z0-9_-]+", each)[0].replace("_", "-") for each in itertools.chain(*lists)}
    assert named - {"nimbus-tasks"} <= locked


def test_a_parts_list_has_what_the_package_needs_and_no_tools() -> None:
    listed = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"bom-ref": each} for each in ("httpx", "anyio", "pytest")],
        "dependencies": [
            {"ref": "root", "dependsOn": ["httpx"]},
            {"ref": "httpx", "dependsOn": ["anyio"]},
            {"ref": "anyio"},
            {"ref": "pytest"},
        ],
    }
    parts = sbom.parts_of(listed)
    assert [each["bom-ref"] for each in parts["components"]] == ["httpx", "anyio"]
    assert [each["ref"] for each in parts["dependencies"]] == ["root", "httpx", "anyio"]
