"""Which checks there are, and what each needs: some need settings, one needs the network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor import state, versions
from nimbus_tasks.cli.doctor.examination import examine
from nimbus_tasks.cli.doctor.findings import Finding, diagnosis, problem
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.project import settings
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from nimbus_tasks.cli.doctor.examination import Check
    from nimbus_tasks.cli.doctor.findings import Diagnosis
    from nimbus_tasks.project.settings import Settings

_MEND_SETTINGS = f"Mend {PROJECT_FILE}, or restore it from version control."


def diagnose(root: Path) -> Diagnosis:
    """Look at everything that can be looked at, and change nothing."""
    found: list[Finding] = []
    chosen: Settings | None = None
    try:
        chosen = settings.load(root)
    except NimbusError as error:
        found.append(problem("settings", error.message, error.next_step or _MEND_SETTINGS))
    checks = _of_settings(root, chosen) if chosen is not None else {}
    if (root / STATE_FOLDER).is_dir():
        checks |= _of_project(root)
    checks |= _everywhere(root)
    return diagnosis([*found, *examine(checks)])


def _everywhere(root: Path) -> dict[str, Check]:
    return {"versions": versions.check_versions, "runtime": partial(versions.check_runtime, root)}


def _of_project(root: Path) -> dict[str, Check]:
    return {
        "permissions": partial(state.check_permissions, root),
        "disk": partial(state.check_disk, root),
        "databases": partial(state.check_databases, root),
        "manifests": partial(state.check_manifests, root),
        "lock": partial(state.check_lock, root),
        "leases": partial(state.check_leases, root),
        "clock": partial(state.check_clock, root),
    }


def _of_settings(root: Path, chosen: Settings) -> dict[str, Check]:
    # Imported where there are settings to look at: they bring the stores with them.
    from nimbus_tasks.cli.doctor.configured import check_settings, check_source
    from nimbus_tasks.cli.doctor.credentials import check_credentials
    from nimbus_tasks.cli.doctor.target import check_target

    return {
        "settings": partial(check_settings, chosen),
        "source": partial(check_source, chosen),
        "credentials": partial(check_credentials, root, chosen),
        "store": partial(check_target, root, chosen),
    }
