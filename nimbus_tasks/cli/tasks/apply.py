"""The task that writes into the built HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, console, option, optional, pipeline
from nimbus_tasks.model.errors import SettingsError

if TYPE_CHECKING:
    from doit.task import Task


def apply_task() -> Task:
    return command(
        "nimbus:apply",
        _APPLY_HELP,
        _apply,
        params=[
            optional("path", "only pages whose source paths match this pattern, as in .gitignore"),
            optional("output", "write changed pages to this folder (default: in place, with a backup)"),
            option("accepted", False, "only changes that published pages had already, as in a CI after each build"),
            option("dry_run", False, "show the differences and change nothing"),
            option("assets", False, "write the public addresses of uploaded files instead of proposed changes"),
        ],
    )


def _apply(output: str | None, path: str | None, accepted: bool, dry_run: bool, assets: bool, *, as_json: bool) -> int:
    from nimbus_tasks.cli.commands.apply import ApplyCommands
    from nimbus_tasks.cli.commands.target import text_of

    commands, chosen = ApplyCommands(console, pipeline), text_of("--path", path)
    if not assets:
        return commands.proposals(output, chosen, only_accepted=accepted, dry_run=dry_run, as_json=as_json)
    if accepted:
        raise SettingsError("--accepted and --assets do not go together.", "Run the command twice.")
    return commands.addresses(output, chosen, dry_run=dry_run, as_json=as_json)


_APPLY_HELP = """Write the proposed changes into the HTML, and change no other byte

A page that has changed since its extraction is refused, and so is a change whose place is not certain; each with its
reason, and exit status 1. Applying twice changes nothing more.

The next build of the site lacks the changes. A published page keeps them as accepted ones: run the command again after
each build, before doit. With --accepted it makes only these, wherever the texts that they replace are still there.

Examples:
  doit nimbus:apply --dry-run
  doit nimbus:apply                  in place; the originals go to .nimbus/backup/
  doit nimbus:apply --accepted       after each build, as in a CI: no new proposals
  doit nimbus:apply --output=edited
  doit nimbus:apply --assets --output=deploy    public addresses of uploaded images and files
  doit nimbus:apply --path=dist/blog/
"""
