"""The structured log: one JSON object a line in `.nimbus/log.jsonl`, for machines and for the day after.

What a person must see at once goes to the console; the log keeps it with its fields. No secret ever reaches it:
events carry ids, paths, counts and times only.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nimbus_tasks.project.settings import STATE_FOLDER, LogLevelName

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import FilteringBoundLogger

LOG_FILE = f"{STATE_FOLDER}/log.jsonl"
_LEVELS = get_args(LogLevelName)  # from the least to the most important


@contextlib.contextmanager
def _without_rich() -> Iterator[None]:
    """Let structlog be imported without rich, which it takes for tracebacks on a terminal: half of its 80 ms."""
    if "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # how Python spells "not installed"
    try:
        yield
    finally:
        del sys.modules["rich"]


class _Lines:
    """A file that is open only while a line is added: it may be moved away, and lines of processes do not mix."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, line: bytes) -> None:
        with open(self._path, "ab", buffering=0) as file:
            file.write(line)

    def flush(self) -> None:
        """Nothing is held back."""


class Log:
    """Appends events at or above a level. Opened at the first event: a run with nothing to say costs nothing."""

    def __init__(self, level: LogLevelName, path: Path | None = None) -> None:
        self._level = level
        self._path = path or Path(LOG_FILE)
        self._logger: FilteringBoundLogger | None = None

    def event(self, level: LogLevelName, name: str, **fields: Any) -> None:
        """Write one event. A log that cannot be written stops nothing: the disk's trouble is told elsewhere."""
        if _LEVELS.index(level) < _LEVELS.index(self._level):
            return  # structlog would see to it too, at the price of importing it and of a call a page
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

        self._path.parent.mkdir(parents=True, exist_ok=True)
        logger: FilteringBoundLogger = structlog.wrap_logger(
            structlog.BytesLogger(_Lines(self._path)),  # type: ignore[arg-type]  # all that it uses of a file
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: msgspec.json.encode(event)),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(self._level),
        )
        return logger
