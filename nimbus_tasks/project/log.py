"""The structured log: one JSON object a line in `.nimbus/log.jsonl`.

Events carry ids, paths, counts and times only, never a secret.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nimbus_tasks.project import files
from nimbus_tasks.project.secrets import hide_json
from nimbus_tasks.project.settings import STATE_FOLDER, LogLevelName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import FilteringBoundLogger

LOG_FILE = f"{STATE_FOLDER}/log.jsonl"
_LEVELS = get_args(LogLevelName)  # from the least to the most important


@contextlib.contextmanager
def _without_rich() -> Iterator[None]:
    """Import structlog without rich, which takes half of its 80 ms."""
    if "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python spells "not installed"
    try:
        yield
    finally:
        del sys.modules["rich"]


class _Lines:
    """A file that is opened for each line, so that it may be moved and processes do not mix their lines."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: bytes) -> None:
        with files.open_to_append(self._path) as descriptor:
            os.write(descriptor, line)

    def flush(self) -> None:
        """Do nothing: nothing is buffered."""


class Log:
    """Appends events at or above a level. Opened at the first event, so that a run without events costs nothing."""

    def __init__(self, level: LogLevelName, path: Path | None = None) -> None:
        self._level = level
        self._path = path or Path(LOG_FILE)
        self._logger: FilteringBoundLogger | None = None

    def event(self, level: LogLevelName, name: str, **fields: Any) -> None:
        """Write one event. Errors are ignored: the log must not stop a command."""
        if _LEVELS.index(level) < _LEVELS.index(self._level):
            return  # before structlog is imported, and without a call for each page
        try:
            if self._logger is None:
                self._logger = self._open()
            getattr(self._logger, level)(name, **fields)
        except OSError:
            self._logger = None

    def _open(self) -> FilteringBoundLogger:
        import msgspec

        with _without_rich():
            import structlog

        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.BytesLogger(_Lines(self._path)),  # type: ignore[arg-type]  # the part of a file that it uses
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: hide_json(msgspec.json.encode(event))),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        )
        return logger
