"""All checks side by side, each on its own: one that fails or hangs says so and keeps no other from its answer."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.findings import failed, warning
from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nimbus_tasks.cli.doctor.findings import Finding

    Check = Callable[[], Iterable[Finding]]

#: No check is waited for longer than this; those that wait for a network end by themselves before.
SECONDS = 25.0


def examine(checks: Mapping[str, Check], seconds: float = SECONDS) -> list[Finding]:
    """Run checks side by side, and return their findings in the order of the checks."""
    running = [_Running(name, check) for name, check in checks.items()]
    deadline = time.monotonic() + seconds
    return [finding for each in running for finding in each.findings(deadline - time.monotonic(), seconds)]


class _Running:
    """A check in a thread that does not keep the process alive: what hangs in the system cannot be stopped."""

    def __init__(self, name: str, check: Check) -> None:
        self._name = name
        self._check = check
        self._found: Sequence[Finding] = ()
        self._thread = threading.Thread(target=self._run, name=f"doctor {name}", daemon=True)
        self._thread.start()

    def findings(self, wait: float, limit: float) -> Sequence[Finding]:
        self._thread.join(max(0.0, wait))
        if self._thread.is_alive():
            told = f"It could not be found out within {limit:g} s."
            return [warning(self._name, told, "Is a disk or a network slow?")]
        return self._found

    def _run(self) -> None:
        found: list[Finding] = []
        try:
            for finding in self._check():
                found.append(finding)  # noqa: PERF402 - what was found before an error is kept
        except NimbusError as error:
            found.append(failed(self._name, error))
        except Exception as error:
            found.append(warning(self._name, f"It could not be found out: {type(error).__name__}.", _REPORT))
        self._found = found


_REPORT = "That is a mistake of ours: please report it."
