"""The settings, and the folder that they name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.cli.doctor.findings import ok, problem
from nimbus_tasks.pipeline.validate import scan_maps
from nimbus_tasks.project import init as project
from nimbus_tasks.project.scan import matcher, scan
from nimbus_tasks.project.settings import ENVIRONMENT, MAPS_FOLDER, PROJECT_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.project.settings import Settings


def check_settings(settings: Settings) -> Iterator[Finding]:
    target = settings.target.store
    yield ok("settings", f"{PROJECT_FILE}: {settings.project.id} ({settings.project.name}), to {target}")
    if winning := [variable for variable in ENVIRONMENT if os.environ.get(variable)]:
        yield ok("settings", f"the environment wins over the file: {', '.join(winning)}")
    if not project.schema_is_current():
        # No upload needs it, and it is never committed: a fresh clone has none.
        yield ok("settings", f"for editors, doit nimbus:project:init writes {project.SCHEMA_FILE}")


def check_source(settings: Settings) -> Iterator[Finding]:
    source = settings.source
    maps = len(scan_maps().files)
    if not source.folder:
        if maps:
            yield ok("source", f"{maps:,} maps of another tool in {MAPS_FOLDER}")
        else:
            yield problem(
                "source",
                f"There are no maps in {MAPS_FOLDER}, and [source] folder is empty.",
                f"Name the folder with the built HTML in {PROJECT_FILE}, or have the other tool write its maps.",
            )
        return
    if not Path(source.folder).is_dir():
        told = f"There is no folder `{source.folder}` ([source] folder)."
        yield problem("source", told, f"Build the site, or name its folder in {PROJECT_FILE}.")
        return
    found = scan(source.folder, matcher(source.include, source.exclude))
    if not found.files:
        told = f"No file in `{source.folder}` is a page: include {', '.join(source.include)}."
        yield problem("source", told, f"Build the site, or change [source] include and exclude in {PROJECT_FILE}.")
        return
    yield ok("source", f"{len(found.files):,} HTML files in {source.folder}; {maps:,} maps in {MAPS_FOLDER}")
