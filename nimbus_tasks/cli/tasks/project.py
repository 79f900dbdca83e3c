"""The commands about a project and its target: made, published from maps, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nimbus_tasks.cli.tasks.session import command, commands, option
from nimbus_tasks.cli.tasks.upload_options import UPLOAD, request_of
from nimbus_tasks.project.settings import MAPS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task


def project_tasks() -> Iterator[Task]:
    yield command(
        "nimbus:project:init",
        _INIT_HELP,
        commands.init,
        params=[
            option("name", "", "the project's name (default: the folder's)"),
            option("domain", "", "the site's domain"),
            option("source", "", "folder with the built HTML (default: found by itself)"),
        ],
    )

    def upload(as_json: bool, **options: Any) -> int:
        request = request_of(options, folder=options["folder"])
        return commands.upload(request, as_json=as_json, validate_first=True)

    folder = option("folder", MAPS_FOLDER, f"folder of map files ({MAPS_FOLDER})")
    yield command("nimbus:upload", _NIMBUSUPLOAD_HELP, upload, params=[folder, *UPLOAD])

    yield command(
        "nimbus:reconcile",
        _RECONCILE_HELP,
        commands.reconcile,
        params=[option("dry_run", False, "say what differs, and change nothing")],
    )


_RECONCILE_HELP = """Ask the target what it holds, say how the ledger differs, and mend the ledger

For when something else has written to the target: another machine, a restored backup, a person. Nothing is changed
at the target; what turns out to be missing there, the next doit upload sends.

Examples:
  doit nimbus:reconcile
  doit nimbus:reconcile --dry-run
"""
_INIT_HELP = """Make a project here: .nimbus/project.toml and .gitignore

Finds the folder with the built HTML (dist, build, _site, public, out, site), and asks only on a terminal. Run
twice, it changes nothing.

Examples:
  doit nimbus:project:init
  doit nimbus:project:init --name="Swiss Watch Repair" --domain=example.com --source=dist
"""
_NIMBUSUPLOAD_HELP = """Validate and upload a folder of maps that exists already, with no HTML at all

For projects that write .nimbus/maps/*.json themselves. A folder other than .nimbus/maps is taken as some of the
site's pages: those that are not in it stay as they are.

Examples:
  doit nimbus:upload --folder=.nimbus/maps --limit=100
  doit nimbus:upload --dry-run
"""
