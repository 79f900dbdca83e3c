"""Our tasks for doit where there is no dodo.py: `[tool.doit] loader = "nimbus"` in pyproject.toml.

doit finds the class by its entry point (group `doit.LOADER` in our pyproject.toml). Tasks, default tasks, reporter and
state file are those that `from nimbus_tasks import *` brings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from doit.cmd_base import NamespaceTaskLoader

from nimbus_tasks.model.errors import SettingsError

NAME = "nimbus"
_DODO = "dodo.py"


class NimbusLoader(NamespaceTaskLoader):  # type: ignore[misc]  # doit has no types
    """Every task of ours; what `[tool.doit]` says goes before what we set.

    Ends with exit status 2 where there is a dodo.py too, whose tasks nobody would see.
    """

    def setup(self, opt_values: dict[str, Any]) -> None:  # noqa: ARG002 - doit passes it by this name
        if self._said.get("loader") == NAME and Path(_DODO).exists():
            _refuse(
                SettingsError(
                    f'pyproject.toml says loader = "{NAME}", so {_DODO} would not be read.',
                    f"Remove that line and start {_DODO} with `from nimbus_tasks import *`, or remove the file.",
                )
            )
        from nimbus_tasks.cli import tasks

        self.namespace = {name: getattr(tasks, name) for name in tasks.__all__}

    def load_doit_config(self) -> dict[str, Any]:
        """Return our DOIT_CONFIG, but for the keys that the project has decided.

        doit takes what this returns over what pyproject.toml says, as if a dodo.py said it. Of `default_tasks` it
        knows from here alone.
        """
        config = {key: value for key, value in super().load_doit_config().items() if key not in self._said}
        if "default_tasks" in self._said:
            config["default_tasks"] = self._said["default_tasks"]
        return config

    @property
    def _said(self) -> dict[str, Any]:
        """What `[tool.doit]` says, by key."""
        said: dict[str, Any] = (self.config or {}).get("GLOBAL", {})
        return said


def _refuse(error: SettingsError) -> NoReturn:
    """End the process with one line; what doit would make of an error has exit status 3."""
    from nimbus_tasks.cli.console import Console

    Console(sys.stderr).fail(str(error))
    sys.exit(error.exit_status)
