"""Which checks there are, and what each needs. They run side by side: one that fails or hangs stops no other."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor import local
from nimbus_tasks.cli.doctor.findings import Diagnosis, Finding, diagnosis, failed, problem, warning
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.project import settings
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nimbus_tasks.project.settings import Settings

    Check = Callable[[], Iterable[Finding]]

#: Limit for a check; those that wait for a network end by themselves before.
SECONDS = 25.0

_FIX_SETTINGS = f"Correct {PROJECT_FILE}, or restore it from version control."
_REPORT = "This is a bug in Nimbus Tasks: please report it."


def diagnose(root: Path) -> Diagnosis:
    """Check everything that can be checked, and change nothing."""
    found: list[Finding] = []
    chosen: Settings | None = None
    try:
        chosen = settings.load(root)
    except NimbusError as error:
        found.append(problem("settings", error.message, error.next_step or _FIX_SETTINGS))
    checks = _of_settings(root, chosen) if chosen is not None else {}
    embedded = chosen is None or chosen.target.store == "sqlite"
    if (root / STATE_FOLDER).is_dir():
        checks |= {
            "permissions": partial(local.check_permissions, root),
            "disk": partial(local.check_disk, root),
            "databases": partial(local.check_databases, root, embedded=embedded),
            "manifests": partial(local.check_manifests, root),
            "lock": partial(local.check_lock, root),
            "leases": partial(local.check_leases, root),
            "clock": partial(local.check_clock, root),
        }
    checks |= {"versions": local.check_versions, "runtime": partial(local.check_runtime, root)}
    return diagnosis([*found, *examine(checks)])


def _of_settings(root: Path, chosen: Settings) -> dict[str, Check]:
    # Imported only with settings to check: it brings the stores with it.
    from nimbus_tasks.cli.doctor.files import check_files
    from nimbus_tasks.cli.doctor.target import check_target

    return {
        "settings": partial(local.check_settings, chosen),
        "source": partial(local.check_source, chosen),
        "credentials": partial(local.check_credentials, root, chosen),
        "store": partial(check_target, root, chosen),
        "files": partial(check_files, root, chosen),
    }


def examine(checks: Mapping[str, Check], seconds: float = SECONDS) -> list[Finding]:
    """Run checks side by side, and return their findings in the order of the checks."""
    running = [_Running(name, check) for name, check in checks.items()]
    deadline = time.monotonic() + seconds
    return [finding for each in running for finding in each.findings(deadline - time.monotonic(), seconds)]


class _Running:
    """A check in a daemon thread: one that hangs in the operating system cannot be stopped."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._found: Sequence[Finding] = ()
        self._thread = threading.Thread(target=self._run, name=f"doctor {name}", daemon=True)
        self._thread.start()

    def findings(self, wait: float, limit: float) -> Sequence[Finding]:
        self._thread.join(max(0.0, wait))
        if self._thread.is_alive():
            return [warning(self._name, f"No answer within {limit:g} s.", "Is a disk or a network slow?")]
        return self._found

    def _run(self) -> None:
        found: list[Finding] = []
        try:
            for finding in self._check():
                found.append(finding)  # noqa: PERF402 - findings before an error are kept
        except NimbusError as error:
            found.append(failed(self._name, error))
        except Exception as error:
            found.append(warning(self._name, f"The check failed: {type(error).__name__}.", _REPORT))
        self._found = found
