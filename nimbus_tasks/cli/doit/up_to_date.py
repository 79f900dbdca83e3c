"""Whether a stage has nothing to do, as doit asks it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from nimbus_tasks.model.errors import NimbusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Options that say how to work, and nothing where there is no work.
_MANNER = frozenset({"concurrency", "delay", "verbose"})
#: Asks for less to be said, never for more to be done.
_ASKS_NOTHING = frozenset({"quiet"})


class UpToDate:
    """Whether a stage has nothing to do, in a form that `doit info` can print."""

    def __init__(self, verdict: Callable[[], bool], words: Callable[[], str]) -> None:
        self._verdict = verdict
        self._words = words

    def __call__(self) -> bool:
        try:
            fresh = self._verdict()
        except NimbusError:
            return False  # the stage itself will say what is wrong
        if fresh:
            # What was read to find this out is not garbage: the process need not search it when it ends.
            gc.freeze()
        return fresh

    def __repr__(self) -> str:
        try:
            return self._words()
        except NimbusError as error:
            return str(error)


class UpToDateUnlessAsked(UpToDate):
    """Runs whenever an option asks for something, whether there is anything to do or not."""

    def __call__(self, task: Any, values: Mapping[str, str]) -> bool:  # type: ignore[override]  # noqa: ARG002
        """Doit passes the task and what its last good run returned, by these names."""
        defaults = {option["name"]: option["default"] for option in task.params}
        # `concurrency = 10` in [tool.doit.tasks.upload] is there at every run: it asks for nothing by itself.
        settled = _ASKS_NOTHING | _MANNER & (task.cfg_values or {}).keys()
        asked = any(value != defaults.get(name) for name, value in (task.options or {}).items() if name not in settled)
        return not asked and super().__call__()
