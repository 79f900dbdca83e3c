"""The files in deploy/ name only what exists: metrics, variables, programs, settings. Docker itself is not needed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml
from msgspec.structs import fields
from prometheus_client.parser import text_string_to_metric_families
from service_process import DOIT

from nimbus_tasks.project.settings import load
from nimbus_tasks.project.settings.server import Server
from nimbus_tasks.server.telemetry import Depth, Latency, Metrics, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
#: Of Prometheus itself, and of node_exporter.
FOREIGN = {"up", "node_filesystem_avail_bytes"}
#: Set by Prometheus for each target.
TARGET_LABELS = {"job", "instance", "mountpoint"}


def _metrics() -> dict[str, dict[str, set[str]]]:
    """Return the names of all samples in /metrics, with the values of their labels."""
    metrics = Metrics()
    for step in ("image", "embedding"):
        metrics.job(step, "done", 1)
    for status in (200, 404, 500):
        metrics.request("GET", status)
    latency = Latency(1, 2, 3, 4)
    told = Telemetry(latency, latency, latency, Depth(0, 0, 0, 0, 0, 0), 0, 0)
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(metrics.text(told).decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    return found


METRICS = _metrics()


def _expressions() -> Iterator[tuple[str, str]]:
    for rule in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana/dashboard.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


def _selectors(node: Any) -> Iterator[Any]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("lhs", "rhs", "expr", "vector_selector", "args"):
        found = getattr(node, part, None)
        for child in found if isinstance(found, list) else [found] if found is not None else []:
            yield from _selectors(child)


@pytest.mark.parametrize(("name", "expression"), list(_expressions()), ids=lambda given: str(given)[:40])
def test_alerts_and_dashboard_ask_for_metrics_that_exist(name: str, expression: str) -> None:
    selectors = list(_selectors(promql_parser.parse(expression)))
    assert selectors, name
    for selector in selectors:
        assert selector.name in METRICS.keys() | FOREIGN
        for matcher in selector.matchers.matchers:
            if matcher.name not in TARGET_LABELS:
                assert matcher.value in METRICS[selector.name][matcher.name]


def test_each_alert_says_what_to_do() -> None:
    for rule in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "action"}


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((DEPLOY / "grafana/dashboard.json").read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_the_compose_file_is_one() -> None:
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    needed = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "compose/example.env").read_text(), re.MULTILINE))
    assert given <= needed
    assert needed - given == {"PROXY_ADDRESS", "SUBNET"}  # they have defaults
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            if volume.startswith("."):
                assert (DEPLOY / volume.partition(":")[0]).is_file()
            else:
                assert volume.partition(":")[0] in COMPOSE["volumes"]


def _variables(file: str) -> dict[str, str]:
    lines = [line.removeprefix("#") for line in (DEPLOY / file).read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))


@pytest.mark.parametrize(
    "variables",
    [COMPOSE["services"]["web"]["environment"], _variables("systemd/example.environment")],
    ids=["compose", "systemd"],
)
def test_variables_are_read_by_the_service(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {f"NIMBUS_SERVER_{field.name.upper()}" for field in fields(Server)}
    code = "".join(file.read_text() for file in (ROOT / "nimbus_tasks").rglob("*.py"))
    for name in variables:
        assert name in own if name.startswith("NIMBUS_SERVER_") else f'"{name}"' in code
    (tmp_path / ".nimbus").mkdir()
    shutil.copy(DEPLOY / "compose/project.toml", tmp_path / ".nimbus")
    for name, value in variables.items():
        monkeypatch.setenv(name, re.sub(r"\$\{\w+:[-?]([^}]*)\}", lambda found: found[1] or "its.example", value))
    settings = load(tmp_path)
    assert settings.assets.bucket in "".join(COMPOSE["services"]["bucket"]["command"])
    assert settings.server.direct_upload_percent == 100


@pytest.mark.parametrize("role", ["web", "worker"])
def test_both_roles_are_started_as_the_command_takes_them(role: str) -> None:
    command = COMPOSE["services"][role]["command"]
    (unit,) = [file for file in UNITS if file.name.startswith(f"nimbus-{role}")]
    (started,) = re.findall(r"^ExecStart=\S+ (.*)", unit.read_text(), re.MULTILINE)
    help_text = subprocess.run(
        [DOIT, "help", "nimbus:serve"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for given in (command, started.split()):
        assert given[0] == "nimbus:serve"
        assert f"--role={role}" in given
        for option in given[1:]:
            assert option.partition("=")[0] in help_text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda file: file.name)
def test_units_are_valid_and_confined(unit: Path, tmp_path: Path) -> None:
    file = tmp_path / unit.name.replace("@", "@1")
    file.write_text(unit.read_text().replace("/opt/nimbus/bin/doit", DOIT))
    for command in (["verify", "--man=no", "--recursive-errors=no"], ["security", "--offline=yes", "--threshold=25"]):
        done = subprocess.run(["systemd-analyze", *command, str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "unknown" not in (done.stdout + done.stderr).lower()


def test_the_image_has_what_it_copies_and_the_extras_it_names() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [part for line in re.findall(r"^COPY (?!--)(.*)", text, re.MULTILINE) for part in line.split()[:-1]]
    assert copied
    assert all((ROOT / part).exists() for part in copied)
    (extras,) = re.findall(r"\.\[([\w,]+)\]", text)
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras.split(","))
    assert "\nUSER nimbus\n" in text
