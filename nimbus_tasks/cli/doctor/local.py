"""Facts about this machine: settings, source folder, credentials, `.nimbus/`, versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import time
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.assets.ledger import ASSETS_FILE
from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli.doctor.databases import check_database, select
from nimbus_tasks.cli.doctor.findings import (
    failed,
    judge_api_key,
    judge_leases,
    judge_newest,
    judge_secret_mode,
    judge_space,
    judge_versions,
    ok,
    problem,
    warning,
)
from nimbus_tasks.gateway import miniflare as runtime
from nimbus_tasks.model.errors import NimbusError
from nimbus_tasks.pipeline.snapshot import MAP_PATTERN
from nimbus_tasks.processing.leases import CLAIMS_FILE
from nimbus_tasks.processing.optimise.openai import KEY as AI_KEY
from nimbus_tasks.project import init as project
from nimbus_tasks.project.files import READ_ONLY_DISK, is_on_read_only_disk
from nimbus_tasks.project.lock import LOCK_FILE, seen_holder
from nimbus_tasks.project.manifest import SITE
from nimbus_tasks.project.patterns import matcher
from nimbus_tasks.project.scan import scan, walk
from nimbus_tasks.project.secrets import CREDENTIALS_FILE, read_secret
from nimbus_tasks.project.settings import ENVIRONMENT, GATEWAY_FOLDER, MAPS_FOLDER, PROJECT_FILE, STATE_FOLDER
from nimbus_tasks.publishing.ledger import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.cli.doctor.findings import Finding
    from nimbus_tasks.project.settings import Settings

API_KEY, API_TOKEN = "NIMBUS_API_KEY", "CLOUDFLARE_API_TOKEN"
#: Store -> the credential that its requests carry.
CREDENTIAL = {"gateway": API_KEY, "cloudflare": API_TOKEN}
_LEASES = "SELECT renewed, until FROM claim WHERE NOT ended"
_PACKAGE = "nimbus-tasks"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+) *>= *([0-9][0-9.]*)")


# --- settings and source ------------------------------------------------------------------------------


def check_settings(settings: Settings) -> Iterator[Finding]:
    target = settings.target.store
    yield ok("settings", f"{PROJECT_FILE}: {settings.project.id} ({settings.project.name}), to {target}")
    if winning := [variable for variable in ENVIRONMENT if os.environ.get(variable)]:
        yield ok("settings", f"environment variables override the file: {', '.join(winning)}")
    if not project.schema_is_current():
        # No upload needs it. It is never committed: a fresh clone has none.
        yield ok("settings", f"doit nimbus:project:init writes {project.SCHEMA_FILE} for editors")


def check_source(settings: Settings) -> Iterator[Finding]:
    source = settings.source
    maps = sum(len(each.files) for each in walk(MAPS_FOLDER, matcher(MAP_PATTERN), [], hidden=True))
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
        message = f"There is no folder `{source.folder}` ([source] folder)."
        yield problem("source", message, f"Build the site, or name its folder in {PROJECT_FILE}.")
        return
    found = scan(source.folder, matcher(source.include, source.exclude))
    if not found.files:
        message = f"No file in `{source.folder}` matches [source] include: {', '.join(source.include)}."
        yield problem("source", message, f"Build the site, or change [source] include and exclude in {PROJECT_FILE}.")
        return
    yield ok("source", f"{len(found.files):,} HTML files in {source.folder}; {maps:,} maps in {MAPS_FOLDER}")


# --- credentials: there, and of the right form; nothing of them is ever shown ------------------------


def check_credentials(root: Path, settings: Settings) -> Iterator[Finding]:
    needed = dict.fromkeys(_needed(settings))
    if not needed:
        yield ok("credentials", "the embedded store needs none")
    for name in needed:
        try:
            secret = read_secret(name, root)
        except NimbusError as error:
            yield failed("credentials", error)
            continue
        where = f"{name} ({'environment' if os.environ.get(name, '').strip() else CREDENTIALS_FILE})"
        yield judge_api_key(secret.reveal(), where) if name == API_KEY else ok("credentials", f"{where} is set")


def _needed(settings: Settings) -> Iterator[str]:
    if name := CREDENTIAL.get(settings.target.store):
        yield name
    if settings.process.queue == "cloudflare-queues":
        yield API_TOKEN
    if settings.process.optimiser == "openai":
        yield AI_KEY


# --- .nimbus/ -----------------------------------------------------------------------------------------


def check_permissions(root: Path) -> Iterator[Finding]:
    folder = root / STATE_FOLDER
    if is_on_read_only_disk(folder):
        yield problem("permissions", f"{STATE_FOLDER}/ is not writable.", READ_ONLY_DISK)
        return
    own = folder.stat().st_uid == os.geteuid()
    fix = f"Run: {'chmod -R u+rwX' if own else 'sudo chown -R $(id -u)'} {STATE_FOLDER}"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield problem("permissions", f"{STATE_FOLDER}/ is not writable by user {os.geteuid()}.", fix)
        return
    locked = sorted(path.name for path in folder.iterdir() if _is_locked(path))
    if locked:
        message = f"{STATE_FOLDER}/ has files that user {os.geteuid()} cannot write: {', '.join(locked[:5])}."
        yield problem("permissions", message, fix)
    else:
        yield ok("permissions", f"{STATE_FOLDER}/ and its files are writable")
    secrets = root / CREDENTIALS_FILE
    if secrets.exists():
        yield judge_secret_mode(CREDENTIALS_FILE, stat.S_IMODE(secrets.stat().st_mode))
        if not _is_ignored(folder / ".gitignore"):
            message = f"{CREDENTIALS_FILE} may be committed: {STATE_FOLDER}/.gitignore does not name it."
            yield warning("permissions", message, f"Add the line `*` to {STATE_FOLDER}/.gitignore.")


def check_disk(root: Path) -> Iterator[Finding]:
    yield judge_space(shutil.disk_usage(root / STATE_FOLDER).free)


def check_databases(root: Path, *, embedded: bool) -> Iterator[Finding]:
    """Check the databases of the project; `embedded`: the target is one of them, too."""
    remove = "Move it away and run doit upload: that makes it again from the maps."
    if embedded:
        yield from check_database("store", root / KV_FILE, remove)
    ask = "Move it away: the next doit upload asks the target what it holds."
    yield from check_database("ledger", root / LEDGER_FILE, ask)
    yield from check_database("file ledger", root / ASSETS_FILE, "Move it away: the next doit assets asks the store.")
    ended = "Stop every doit nimbus:process on this machine, and move it away."
    yield from check_database("leases", root / CLAIMS_FILE, ended)


def check_manifests(root: Path) -> Iterator[Finding]:
    found = check_database("manifest", root / SITE, "")
    if any("is damaged" in each.message or "cannot be read" in each.message for each in found):
        yield warning("manifest", f"{SITE} cannot be read: the next run reads every page again.", "Nothing to do.")


def check_lock(root: Path) -> Iterator[Finding]:
    """Name the process that holds the lock. The operating system frees the lock when its process ends."""
    if holder := seen_holder(root):
        who = f"process {holder.pid}, since {holder.since}" if holder.pid else f"since {holder.since}"
        yield ok("lock", f"doit {holder.does} is running ({who}) and holds {LOCK_FILE} until it ends")


def check_clock(root: Path) -> Iterator[Finding]:
    """Compare the clock with its own earlier time stamps; `check_target` compares it with the target's clock."""
    for (newest,) in select(root / LEDGER_FILE, "SELECT max(created) FROM batch"):
        if newest:
            yield from judge_newest(datetime.fromisoformat(str(newest)).timestamp() - time.time())


def check_leases(root: Path) -> Iterator[Finding]:
    rows = select(root / CLAIMS_FILE, _LEASES)
    yield from judge_leases([float(row[0]) for row in rows], [float(row[1]) for row in rows], time.time())


def _is_locked(path: Path) -> bool:
    """Return whether a file or folder is not writable. SQLite's own files may disappear meanwhile."""
    wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    return not os.access(path, wanted) and path.exists()


def _is_ignored(gitignore: Path) -> bool:
    try:
        lines = gitignore.read_text(errors="replace").split()
    except OSError:
        return False
    return "*" in lines or Path(CREDENTIALS_FILE).name in lines


# --- versions -----------------------------------------------------------------------------------------


def check_versions() -> Iterator[Finding]:
    try:
        package = metadata.metadata(_PACKAGE)
    except metadata.PackageNotFoundError:
        yield warning("versions", f"{_PACKAGE} is not installed as a package here.", f"Run: pip install {_PACKAGE}")
        return
    version = package["Version"]
    least = {_PACKAGE: version, "Python": _least(" ".join(package.get_all("Requires-Python", [])))}
    installed: dict[str, str | None] = {_PACKAGE: version, "Python": platform.python_version()}
    for requirement in package.get_all("Requires-Dist", []):
        named = _REQUIREMENT.match(requirement)
        if named and "extra ==" not in requirement:
            least[named[1]] = named[2]
            installed[named[1]] = _installed(named[1])
    yield from judge_versions(least, installed)


def check_runtime(root: Path) -> Iterator[Finding]:
    """Check what runs the Worker on this machine, if the project has a Worker or has run one."""
    own = root / GATEWAY_FOLDER
    if not own.is_dir() and not (root / runtime.NODE_FOLDER).is_dir():
        return
    try:
        node = runtime.find_node()
    except NimbusError as error:
        yield warning("runtime", f"doit nimbus:worker:dev will not run here. {error.message}", error.next_step)
        return
    if runtime.find_miniflare(root, own, root / runtime.NODE_FOLDER) is None:
        yield ok("runtime", f"{node}; doit nimbus:worker:dev installs miniflare {runtime.MINIFLARE} once")
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
