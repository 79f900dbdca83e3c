"""nimbus:worker:init: the Worker's files in a user's project.

The first line of each module holds a digest of the rest, which tells an older module of ours from a changed one, in any
clone and without a list of files. `wrangler.jsonc` belongs to the user once it exists.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import GATEWAY_FOLDER, STATE_FOLDER

if TYPE_CHECKING:
    from nimbus_tasks.project.settings import Settings

FOLDER = GATEWAY_FOLDER
#: The Worker's entry module, in its folder.
MAIN = "src/index.js"
WRANGLER = "wrangler.jsonc"
#: The Worker in this package.
SHIPPED = Path(__file__).with_name("worker")

_GUIDE = Path(__file__).with_name("deploy.md")
#: A name is part of a host name, which takes 63 characters (RFC 1035), less those of `-gateway`.
_NAME_LENGTH = 40
_MARK = re.compile(rb"From Nimbus Tasks \(sha256 ([0-9a-f]{16})\)")

Fate = Literal["made", "updated", "replaced", "unchanged", "changed", "foreign", "yours"]


class Written(Struct, frozen=True):
    """The outcome for each file, by its path.

    updated: an older version of ours. replaced: changed, and --force was given. changed: left as it is. foreign: not
    made by this command, left as it is. yours: differs from what the settings would give, left as it is.
    """

    folder: str
    fates: dict[str, Fate]

    def paths(self, *fates: Fate) -> list[str]:
        """Return the files with one of these outcomes."""
        return [path for path, fate in self.fates.items() if fate in fates]


def write_worker(settings: Settings, folder: str, *, force: bool) -> Written:
    """Bring the Worker's files in a folder of the project up to date.

    Raises:
        SettingsError: the folder cannot be used.
        StateError: a file cannot be read or written.
    """
    place = check_folder(folder)
    fates: dict[str, Fate] = {}
    for name, body in _bodies().items():
        fates[str(place / name)] = _refresh(place / name, _marked(name, body), force=force and name.endswith(".js"))
    fates[str(place / WRANGLER)] = _make_once(place / WRANGLER, wrangler_settings(settings).encode())
    return Written(str(place), fates)


def check_folder(folder: str) -> Path:
    """Return a folder for the Worker as a path below the project.

    Raises:
        SettingsError: it is not a folder below the project, or a file is in the way.
    """
    root = Path.cwd().resolve()
    try:
        # Resolved, because no link may lead out of the project.
        places = [(root / folder).resolve(), (root / folder / MAIN).resolve().parent]
        blocked = [each for place in places for each in (place, *place.parents) if each.exists() and not each.is_dir()]
    except (OSError, ValueError, RuntimeError):
        raise SettingsError(f"--folder={folder} is not a folder.", _ADVICE) from None
    if not folder.isprintable() or any(root not in place.parents for place in places):
        raise SettingsError(f"--folder={folder} must be a folder below the project.", _ADVICE)
    if places[0].is_relative_to(root / STATE_FOLDER):
        raise SettingsError(f"--folder={folder} is in {STATE_FOLDER}, which is not kept in git.", _ADVICE)
    if blocked:
        raise SettingsError(f"--folder={folder}: {blocked[0].relative_to(root)} is a file.", _ADVICE)
    return places[0].relative_to(root)


_ADVICE = f"Use a name such as {FOLDER}."


def wrangler_settings(settings: Settings) -> str:
    """Return the text of a new wrangler.jsonc."""
    template = Template((SHIPPED / "wrangler.jsonc.template").read_text(encoding="utf-8"))
    target = settings.target
    named = {"NIMBUS_KV": target.namespace_id}
    named |= {binding: id_ for binding, id_ in sorted(target.namespaces.items()) if id_}
    bindings = [{"binding": binding, "id": id_} if id_ else {"binding": binding} for binding, id_ in named.items()]
    lines = ",\n".join(f"    {{ {json.dumps(binding)[1:-1]} }}" for binding in bindings)
    return template.substitute(
        name=worker_name(settings), main=MAIN, kv_namespaces=f"[\n{lines}\n  ]", project=settings.project.id
    )


def worker_name(settings: Settings) -> str:
    """Return a name for the Worker that differs from the site's own, which another Worker may use to serve the site."""
    plain = unicodedata.normalize("NFKD", settings.project.name).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain)[:_NAME_LENGTH].strip("-")
    return f"{name or settings.project.id.replace('proj_', 'nimbus-')}-gateway"


def _bodies() -> dict[str, bytes]:
    modules = {f"src/{path.name}": path.read_bytes() for path in sorted((SHIPPED / "src").glob("*.js"))}
    return {**modules, "README.md": _GUIDE.read_bytes()}


def _refresh(path: Path, content: bytes, *, force: bool) -> Fate:
    there = _read(path)
    if there == content:
        return "unchanged"
    fate = "made" if there is None else _fate_of(there, force=force)
    if fate in ("made", "updated", "replaced"):
        files.replace(path, content)
    return fate


def _fate_of(there: bytes, *, force: bool) -> Fate:
    first, _, rest = there.partition(b"\n")
    mark = _MARK.search(first)
    if mark is None:
        return "foreign"  # even with --force: it may be another program of the user's
    if mark[1].decode() == _digest(rest):
        return "updated"
    return "replaced" if force else "changed"


def _make_once(path: Path, content: bytes) -> Fate:
    there = _read(path)
    if there is not None:
        return "unchanged" if there == content else "yours"
    files.replace(path, content)
    return "made"


def _marked(name: str, body: bytes) -> bytes:
    begin, end = ("<!-- ", " -->") if name.endswith(".md") else ("// ", "")
    line = f"From Nimbus Tasks (sha256 {_digest(body)}): doit nimbus:worker:init updates it until you change it."
    return f"{begin}{line}{end}\n".encode() + body


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


def _read(path: Path) -> bytes | None:
    try:
        return files.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
