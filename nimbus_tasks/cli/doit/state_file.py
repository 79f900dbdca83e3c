"""doit's own state, `.nimbus/doit.db`: whatever happens to it is a warning, as each stage knows what it has to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit.dependency import DatabaseException, Dependency, SqliteDB

from nimbus_tasks.cli.console import exit_with
from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project import files, heal
from nimbus_tasks.project.sqlite import Error, is_damage, is_locked

if TYPE_CHECKING:
    from collections.abc import Callable

#: In doit's state, values that are not JSON are a `ValueError`.
_FAILURES = (DatabaseException, Error, ValueError, OSError)
_MEMORY = ":memory:"
_FORGETS = "What this run did is not remembered: the next one checks every stage."


class StateFile(SqliteDB):  # type: ignore[misc]  # doit has no types
    """doit's SQLite backend, made anew where it is damaged, and in memory where it is locked or not writable."""

    _conn: Any

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        path = Path(name)
        try:
            self._load(name, codec)
        except _FAILURES as error:
            cause = _cause(error)
            if isinstance(cause, ValueError) or is_damage(cause, path):
                heal.set_aside(path, "it is a folder" if path.is_dir() else str(cause), "Every stage is checked again.")
                self._load(name, codec)
            else:
                heal.warn_unused(path, _problem(cause), _FORGETS)
                self._load(_MEMORY, codec)

    def _load(self, name: str, codec: Any) -> None:
        super().__init__(name, codec)
        self.is_copy = name != _MEMORY and not files.is_writable(Path(name))
        if self.is_copy:
            # A copy: what this run does is not remembered, and a stage that has to write says itself that it cannot.
            copy = self._sqlite3(_MEMORY)
            self._conn.backup(copy)
            self._conn.close()
            self._conn = copy
        for row in self._conn.execute("select task_id, task_data from doit"):
            # As doit uses it.
            if not hasattr(row["task_data"], "get"):
                raise ValueError(f"the values of {row['task_id']} are not an object")

    def dump(self) -> None:
        """Write what has changed, and close the file."""
        self._attempt(super().dump)

    def remove(self, task_id: str) -> None:
        self._attempt(lambda: super(StateFile, self).remove(task_id))

    def remove_all(self) -> None:
        """Forget every task (`doit forget`)."""
        try:
            super().remove_all()
        except _FAILURES as error:
            exit_with(StateError(f"{self.name} cannot be written: {_problem(error)}."))

    def _attempt(self, write: Callable[[], None]) -> None:
        try:
            write()
        except _FAILURES as error:
            self._dirty.clear()
            heal.warn_unused(Path(self.name), _problem(error), _FORGETS)


class Dependencies(Dependency):  # type: ignore[misc]  # doit has no types
    """doit's dependency manager, with our backend in the place of doit's own for SQLite."""

    def __init__(self, db_class: type, *arguments: Any, **more: Any) -> None:
        super().__init__(StateFile if db_class is SqliteDB else db_class, *arguments, **more)


def _cause(error: Exception) -> Exception:
    """Return the error of SQLite that doit has wrapped."""
    context = error.__context__
    return context if isinstance(error, DatabaseException) and isinstance(context, Exception) else error


def _problem(error: Exception) -> str:
    return "locked by another process" if is_locked(error) else str(error)
