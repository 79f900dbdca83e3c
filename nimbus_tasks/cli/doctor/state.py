"""What we keep under `.nimbus/`: permissions, disk, databases, manifests, the lock, this machine's leases."""

from __future__ import annotations

import os
import shutil
import stat
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli.doctor.databases import check_database, select
from nimbus_tasks.cli.doctor.findings import ok, problem, warning
from nimbus_tasks.cli.doctor.judging import judge_leases, judge_newest, judge_secret_mode, judge_space
from nimbus_tasks.processing.leases import CLAIMS_FILE
from nimbus_tasks.project import manifest
from nimbus_tasks.project.lock import LOCK_FILE, seen_holder
from nimbus_tasks.project.secrets import CREDENTIALS_FILE
from nimbus_tasks.project.settings import STATE_FOLDER
from nimbus_tasks.publishing.ledger import LEDGER_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nimbus_tasks.cli.doctor.findings import Finding

_LEASES = "SELECT renewed, until FROM claim WHERE NOT ended"


def check_permissions(root: Path) -> Iterator[Finding]:
    folder = root / STATE_FOLDER
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        told = f"{STATE_FOLDER}/ cannot be written by user {os.geteuid()}."
        yield problem("permissions", told, f"Run: sudo chown -R $(id -u) {STATE_FOLDER}")
        return
    locked = sorted(path.name for path in folder.iterdir() if _is_locked(path))
    if locked:
        told = f"{STATE_FOLDER}/ holds what user {os.geteuid()} cannot write: {', '.join(locked[:5])}."
        yield problem("permissions", told, f"Run: sudo chown -R $(id -u) {STATE_FOLDER}")
    else:
        yield ok("permissions", f"{STATE_FOLDER}/ and its files can be written")
    secrets = root / CREDENTIALS_FILE
    if secrets.exists():
        yield judge_secret_mode(CREDENTIALS_FILE, stat.S_IMODE(secrets.stat().st_mode))
        if not _is_ignored(folder / ".gitignore"):
            told = f"{CREDENTIALS_FILE} may be committed: {STATE_FOLDER}/.gitignore does not name it."
            yield warning("permissions", told, f"Add the line `*` to {STATE_FOLDER}/.gitignore.")


def check_disk(root: Path) -> Iterator[Finding]:
    yield judge_space(shutil.disk_usage(root / STATE_FOLDER).free)


def check_databases(root: Path) -> Iterator[Finding]:
    remove = "Move it away and run doit upload: it is made again from the maps."
    yield from check_database("store", root / KV_FILE, remove)
    ask = "Move it away: the next doit upload asks the target what it holds."
    yield from check_database("ledger", root / LEDGER_FILE, ask)
    ended = "End all doit nimbus:process here, and move it away."
    yield from check_database("leases", root / CLAIMS_FILE, ended)


def check_manifests(root: Path) -> Iterator[Finding]:
    for path, shape in ((manifest.SOURCES, manifest.Sources), (manifest.PAGES, manifest.Pages)):
        try:
            msgspec.json.decode((root / path).read_bytes(), type=shape)
        except FileNotFoundError:
            continue
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield warning("manifest", f"{path} cannot be read: the next run reads every page again.", "Nothing to do.")


def check_lock(root: Path) -> Iterator[Finding]:
    """Who runs now. A lock of a process that has ended is free: the operating system sees to that."""
    if holder := seen_holder(root):
        who = f"process {holder.pid}, since {holder.since}" if holder.pid else f"since {holder.since}"
        yield ok("lock", f"doit {holder.does} runs just now ({who}); {LOCK_FILE} is its own until it ends")


def check_clock(root: Path) -> Iterator[Finding]:
    """Compare the clock with what it has said itself; the target's own is asked where there is a network."""
    for (newest,) in select(root / LEDGER_FILE, "SELECT max(created) FROM batch"):
        if newest:
            yield from judge_newest(datetime.fromisoformat(str(newest)).timestamp() - time.time())


def check_leases(root: Path) -> Iterator[Finding]:
    rows = select(root / CLAIMS_FILE, _LEASES)
    yield from judge_leases([float(row[0]) for row in rows], [float(row[1]) for row in rows], time.time())


def _is_locked(path: Path) -> bool:
    """Whether a file or folder cannot be written. One that went meanwhile, as SQLite's own do, is not locked."""
    wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    return not os.access(path, wanted) and path.exists()


def _is_ignored(gitignore: Path) -> bool:
    try:
        lines = gitignore.read_text(errors="replace").split()
    except OSError:
        return False
    return "*" in lines or Path(CREDENTIALS_FILE).name in lines
