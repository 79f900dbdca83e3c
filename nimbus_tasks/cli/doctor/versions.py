"""Python and the packages we need: at least the versions that our own metadata asks for; node where it is used."""

from __future__ import annotations

import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.findings import ok, warning
from nimbus_tasks.cli.doctor.judging import judge_versions
from nimbus_tasks.gateway import node_runtime as runtime
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.project.settings import GATEWAY_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.cli.doctor.findings import Finding

_PACKAGE = "nimbus-tasks"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+) *>= *([0-9][0-9.]*)")


def check_versions() -> Iterator[Finding]:
    try:
        told = metadata.metadata(_PACKAGE)
    except metadata.PackageNotFoundError:
        yield warning("versions", f"{_PACKAGE} is not installed as a package here.", f"Run: pip install {_PACKAGE}")
        return
    least = {"Python": _least(" ".join(told.get_all("Requires-Python", [])))}
    installed: dict[str, str | None] = {"Python": platform.python_version()}
    for requirement in told.get_all("Requires-Dist", []):
        named = _REQUIREMENT.match(requirement)
        if named and "extra ==" not in requirement:
            least[named[1]] = named[2]
            installed[named[1]] = _installed(named[1])
    yield from judge_versions(least, installed)


def check_runtime(root: Path) -> Iterator[Finding]:
    """What runs the Worker on this machine, where the project has a Worker or has run one."""
    own = root / GATEWAY_FOLDER
    if not own.is_dir() and not (root / runtime.NODE_FOLDER).is_dir():
        return
    try:
        node = runtime.find_node()
    except NimbusError as error:
        yield warning("runtime", f"doit nimbus:worker:dev will not run here. {error.message}", error.next_step)
        return
    if runtime.find_miniflare(root, own, root / runtime.NODE_FOLDER) is None:
        yield ok("runtime", f"{node}; doit nimbus:worker:dev will install miniflare {runtime.MINIFLARE}, once")
    else:
        yield ok("runtime", f"{node}, and miniflare for the Worker on this machine")


def _least(requires: str) -> str:
    found = re.search(r">= *([0-9.]+)", requires)
    return found[1] if found else "0"


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
