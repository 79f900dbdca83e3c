"""The commands about a project and this machine: init, doctor, completion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.cli.commands import NOTHING_DONE, OK
from nimbus_tasks.cli.console import write
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import NoProjectError, SettingsError
from nimbus_tasks.project import init as project
from nimbus_tasks.project import settings
from nimbus_tasks.project.settings import PROJECT_FILE, STATE_FOLDER
from nimbus_tasks.publishing.ledger import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.cli.option_errors import Option
    from nimbus_tasks.project.settings import Settings

#: An identity ends with the id of its project.
_KNOWN_IDENTITIES = """
SELECT identity FROM target LEFT JOIN batch ON batch.target = target.name
GROUP BY target.name ORDER BY max(batch.created) DESC
"""
_SIGNS = {"ok": ("✅", ""), "warning": ("⚠️ ", "yellow"), "problem": ("❌", "red")}
_WIDTH = len("credentials")


class ProjectMade(Struct, frozen=True):
    """What `nimbus:project:init --json` prints. already: the project was here before, and nothing was changed."""

    project_id: str
    name: str
    domain: str
    source: str
    file: str
    already: bool
    generator: str = ""


class CompletionScript(Struct, frozen=True):
    """What `nimbus:completion --json` prints."""

    shell: str
    script: str


def init(console: Console, name: str, domain: str, source: str, *, nested: bool, as_json: bool) -> int:
    """Make a project here; an existing one stays as it is.

    Raises:
        SettingsError: an option contradicts the existing project, the source folder is missing, or there is a
            project above and `nested` does not allow another one.
    """
    try:
        existing = settings.load(Path())
    except NoProjectError as error:
        if error.above and not nested:
            raise SettingsError(
                f"There is a project in {error.above} already.",
                f"Work there: cd {error.above}  To make another one inside it, add --nested.",
            ) from None
        existing = None
    if existing is not None:
        _refuse_changes(existing, {"name": name, "domain": domain, "source": source})
        console.line(f"Project {existing.project.id} is already here: nothing changed ({PROJECT_FILE})")
        if project.write_schema():
            console.line(f"   {project.SCHEMA_FILE} has the keys of this version, for editors")
    made = existing or _make(console, name, domain, source)
    chosen, already = made.project, existing is not None
    source = made.source.folder
    generator = project.detect_generator(source) if source else ""
    document = ProjectMade(chosen.id, chosen.name, chosen.domain, source, PROJECT_FILE, already, generator)
    give_document(document, as_json=as_json)
    return OK


def _refuse_changes(existing: Settings, options: dict[str, str]) -> None:
    """Refuse options that ask for something else than what the existing project has."""
    places = {
        "name": ("[project] name", existing.project.name),
        "domain": ("[project] domain", existing.project.domain),
        "source": ("[source] folder", existing.source.folder),
    }
    for option, value in options.items():
        place, current = places[option]
        if value and value != current:
            raise SettingsError(
                f'Project {existing.project.id} is already here, with {place} = "{current}": '
                f"--{option}={value} changes nothing.",
                f"Change {place} in {PROJECT_FILE}.",
            )


def _make(console: Console, name: str, domain: str, source: str) -> Settings:
    from nimbus_tasks.publishing.project_record import store_project

    source = source or project.detect_source()
    can_ask = console.live and sys.stdin is not None and sys.stdin.isatty()
    if not source and can_ask:
        source = _ask(console, "Folder with the built HTML (empty: maps come from another tool)")
    if source and not Path(source).is_dir():
        raise SettingsError(f"There is no folder `{source}`.", "Build the site first, or name its folder: --source")
    if not domain and can_ask:
        domain = _ask(console, "Domain of the site (may stay empty)")
    settings.refuse_bad_domain("--domain", domain)
    name = name or Path.cwd().name
    known = _known_id()
    project_id = known or project.new_project_id()
    text = project.settings_text(project_id, name, domain, source, now())
    # Parsed before it is written: a project file that cannot be read must not appear.
    made = settings.parse(text, {})
    project.write(text)
    store_project(made)
    console.line(f"✅ Project {project_id} ({name}): {PROJECT_FILE}")
    if known:
        console.line(f"   The id is the one that {LEDGER_FILE} knows, so that no page is sent twice.")
        console.line(f"   For a new project, remove {STATE_FOLDER}/ and run nimbus:project:init again.")
    has_pages = source or Path(settings.MAPS_FOLDER).is_dir()
    no_source = "maps come from another tool" if has_pages else "there is no folder with built HTML yet"
    console.line(f"   Source: {source or f'none, {no_source}'}")
    if generator := source and project.detect_generator(source):
        console.line(f"   Generator: {generator}")
    if has_pages:
        console.line("   Next: doit")
    else:
        console.line(f"   Next: build the site, set [source] folder in {PROJECT_FILE}, then doit")
        console.line("   For the service alone, without a site: doit nimbus:serve")
    return made


def _known_id() -> str:
    """Return the id of the project that the ledger knows, the newest if it knows several; empty if none."""
    from nimbus_tasks.cli.doctor.databases import select

    rows = select(Path(LEDGER_FILE), _KNOWN_IDENTITIES)
    return str(rows[0][0]).rpartition(" ")[2] if rows else ""


def _ask(console: Console, question: str) -> str:
    console.line(f"{question}: ")
    return sys.stdin.readline().strip()


def doctor(console: Console, *, as_json: bool) -> int:
    """Check everything and change nothing. Warnings do not count as failure."""
    from nimbus_tasks.cli.doctor.checks import diagnose

    found = diagnose(Path())
    give_document(found, as_json=as_json)
    if as_json:
        return OK if found.well else NOTHING_DONE
    for finding in found.checks:
        _print_finding(console, finding)
    counts = [(found.problems, "problem"), (found.warnings, "warning")]
    totals = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts if number)
    if found.well:
        console.line(f"📊 Ready to upload{f' ({totals})' if totals else ''}")
        return OK
    console.line(f"📊 {totals}: an upload will fail")
    return NOTHING_DONE


def _print_finding(console: Console, finding: Finding) -> None:
    sign, style = _SIGNS[finding.level]
    matters = finding.level == "problem"
    console.line(f"{sign} {finding.check:<{_WIDTH}}  {finding.message}", style, matters=matters)
    if finding.next_step:
        console.line(f"   {'':<{_WIDTH}}  → {finding.next_step}", matters=matters)


def completion(shell: str, tasks: Mapping[str, tuple[str, Sequence[Option]]], *, as_json: bool) -> int:
    """Print the completion script for a shell. `tasks`: line and options by name."""
    from nimbus_tasks.cli.completion import completion_script

    script = completion_script(shell, tasks)
    give_document(CompletionScript(shell, script), as_json=as_json)
    if not as_json:
        write(sys.stdout, script)
    return OK
