"""Our tasks without a dodo.py: `[tool.doit] loader = "nimbus"` in pyproject.toml, and `python -m nimbus_tasks`.

doit finds the class by its entry point (group `doit.LOADER` in our pyproject.toml). Tasks, default tasks, reporter and
state file are those that `from nimbus_tasks import *` brings.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from doit.cmd_base import NamespaceTaskLoader

from nimbus_tasks.cli.console import Console, exit_with
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import project_above

NAME = "nimbus"
_DODO = "dodo.py"
#: The one command that is about this folder, whatever lies above it.
_INIT = "nimbus:project:init"


def enter_project() -> None:
    """Change to the folder of the nearest project above, as git does, unless this folder has one."""
    root = project_above(Path.cwd())
    if root is not None and _INIT not in sys.argv:
        Console(sys.stderr).line(f"📁 Project found in {root}", "dim")
        os.chdir(root)


class NimbusLoader(NamespaceTaskLoader):  # type: ignore[misc]  # doit has no types
    """Loads every task of ours. `[tool.doit]` wins over our DOIT_CONFIG."""

    def setup(self, opt_values: dict[str, Any]) -> None:
        if self._configured.get("loader") == NAME and Path(_DODO).exists():
            exit_with(
                SettingsError(
                    f'pyproject.toml says loader = "{NAME}", so {_DODO} would not be read.',
                    f"Remove that line and start {_DODO} with `from nimbus_tasks import *`, or remove the file.",
                )
            )
        enter_project()
        from nimbus_tasks.cli import tasks

        self.namespace = {name: getattr(tasks, name) for name in tasks.__all__}

    def load_doit_config(self) -> dict[str, Any]:
        """Return our DOIT_CONFIG without the keys that pyproject.toml sets.

        doit prefers what this returns to pyproject.toml, as if a dodo.py said it. It reads `default_tasks` only here.
        """
        config = {key: value for key, value in super().load_doit_config().items() if key not in self._configured}
        if "default_tasks" in self._configured:
            config["default_tasks"] = self._configured["default_tasks"]
        return config

    @property
    def _configured(self) -> dict[str, Any]:
        """The values of `[tool.doit]`."""
        values: dict[str, Any] = (self.config or {}).get("GLOBAL", {})
        return values
