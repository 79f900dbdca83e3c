"""Every command against records as other programs write them.

    python foreign.py PLACE WORK SHARE KIND...

For each variant of a record of these kinds, a project is published to PLACE (`sqlite`, or `gateway`: our Worker on
workerd), the record is changed as another program would write it, and the commands run one after the other, each in a
fork of a process that has imported everything. Prints a line of JSON for each variant. SHARE: one of so many variants
is tried.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import quote

import httpx
from edge.workerd import Workerd
from kit import DODO, SETTINGS, html
from kit import PROJECT as PROJECT_OF_KIT
from warm import preload

from nimbus_tasks.__main__ import _run

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = "abcdef"
#: A batch of another program, whose page is not one of this site.
FOREIGN_BATCH, FOREIGN_PAGE = "batch_20240902", "page_ffffffffffff"
#: The own page whose records are varied. It waits in the queue.
PATH = "dist/f.html"
_PAGE = re.compile("page_[0-9a-f]{12}")
#: Parts that an upload or a worker replaces as a whole.
_REPLACED = (("extraction",), ("optimization",))
TRACEBACK = 70
#: What no command may drop.
EXTRA = '"x-extra": {"by" : "Ann", "score": 1.50}'
KINDS = ("queue", "project", "batch", "page", "status", "logs", "foreign-batch", "foreign-page", "foreign-status")

#: In this order; only the last batch has nothing that could be cancelled.
COMMANDS = (
    ("nimbus:doctor",),
    ("nimbus:batch:list", "--json"),
    ("nimbus:batch:status",),
    ("nimbus:batch:status", "--batch={batch}", "--json"),
    ("nimbus:batch:report", "--batch={batch}"),
    ("nimbus:page:status", "--path={path}"),
    ("nimbus:page:log", "--path={path}"),
    ("nimbus:apply", "--dry-run"),
    ("upload", "--dry-run"),
    ("nimbus:reconcile", "--dry-run"),
    ("summarize",),
    ("upload",),
    ("nimbus:process", "--once", "--max-pages=2"),
    ("nimbus:batch:retry", "--batch={batch}"),
    ("nimbus:reconcile",),
    ("upload", "--force"),
    ("nimbus:process", "--once"),
    ("nimbus:batch:cancel", "--batch={batch}"),
    ("nimbus:upload",),
)


class Variant(NamedTuple):
    """One change to a record."""

    name: str
    value: bytes


# --- where pages are published ------------------------------------------------------------------------


class Place(Protocol):
    """A store, seen from outside the program."""

    #: The environment of the commands.
    environment: dict[str, str]

    def read(self, key: str) -> bytes: ...

    def write(self, key: str, value: bytes, metadata: object = None) -> None: ...


class Embedded:
    def __init__(self, folder: Path) -> None:
        self.environment: dict[str, str] = {}
        self._file = folder / ".nimbus/kv.db"

    def read(self, key: str) -> bytes:
        ((value,),) = self._execute("SELECT CAST(value AS BLOB) FROM kv WHERE key = ?", key)
        return value

    def write(self, key: str, value: bytes, metadata: object = None) -> None:
        """Store a value; a known key keeps its metadata, as in a program that knows nothing of it."""
        self._execute(
            "INSERT INTO kv(key, value, metadata) VALUES (?, ?, ?) "
            "ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            key,
            value,
            json.dumps(metadata) if metadata else None,
        )

    def _execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as store:
            return store.execute(statement, values).fetchall()


class Gateway:
    def __init__(self, workerd: Workerd, client: httpx.Client, key: str) -> None:
        self.environment = {"NIMBUS_TARGET": "gateway", "NIMBUS_WORKER_URL": workerd.url, "NIMBUS_API_KEY": key}
        self._client = client

    def read(self, key: str) -> bytes:
        return self._client.get(f"/kv/{quote(key, safe='')}").raise_for_status().content

    def write(self, key: str, value: bytes, metadata: object = None) -> None:
        body = {"value": value.decode(), "options": {"metadata": metadata} if metadata else {}}
        self._client.put(f"/kv/{quote(key, safe='')}", json=body).raise_for_status()


@contextlib.contextmanager
def places(name: str, work: Path) -> Iterator[Any]:
    """Yield a function of a folder that returns its place."""
    if name == "sqlite":
        yield Embedded
        return
    with Workerd(work / "workerd") as workerd, workerd.client() as client:
        key = workerd.new_key("user_0123456789ab")
        yield lambda _folder: Gateway(workerd, client, key)


# --- records ------------------------------------------------------------------------------------------


def page_id(project: str, path: str) -> str:
    return "page_" + hashlib.md5((project + path).encode(), usedforsecurity=False).hexdigest()[:12]


def foreign_records(project: str) -> dict[str, object]:
    then = "2024-09-02T10:00:00.000Z"
    extraction = {"head": {"title": "X"}, "above_fold_blocks": [], "rest_of_page_blocks": [], "selector_map": {}}
    record = {"page_id": FOREIGN_PAGE, "project_id": project, "batch_id": FOREIGN_BATCH, "source_path": "x.html"}
    optimization = {"completed": then, "model": "m", "confidence": 0.5, "changes": 0, "optimized_blocks": []}
    batch = {"batch_id": FOREIGN_BATCH, "project_id": project, "created": then, "page_count": 1, "status": "queued"}
    summary = {"completed": 0, "failed": 0, "pending": 1, "average_time_ms": 0}
    pages = {FOREIGN_PAGE: {"status": "uploaded", "uploaded": then}}
    return {
        f"page:{project}:{FOREIGN_PAGE}": record
        | {"uploaded": then, "extraction": extraction, "optimization": optimization},
        f"status:{project}:{FOREIGN_PAGE}": {"status": "uploaded", "batch_id": FOREIGN_BATCH, "updated": then},
        f"batch:{project}:{FOREIGN_BATCH}": batch | {"pages": pages, "summary": summary},
    }


def key_of(kind: str, project: str, batch: str) -> str:
    page = page_id(project, PATH)
    return {
        "queue": f"queue:{project}",
        "project": f"project:{project}",
        "batch": f"batch:{project}:{batch}",
        "page": f"page:{project}:{page}",
        "status": f"status:{project}:{page}",
        "logs": f"logs:{project}:{page}",
        "foreign-batch": f"batch:{project}:{FOREIGN_BATCH}",
        "foreign-page": f"page:{project}:{FOREIGN_PAGE}",
        "foreign-status": f"status:{project}:{FOREIGN_PAGE}",
    }[kind]


def variants(value: bytes) -> Iterator[Variant]:
    """Yield the record with each of its parts missing, null, of another kind, or with something added."""
    for garbage in (b"not JSON", b"[]", b"null", b"{}", b""):
        yield Variant(f"whole: {garbage!r}", garbage)
    record = json.loads(value)
    for path in _paths(record):
        # A page's id differs from trial to trial.
        where = "/" + "/".join("PAGE" if _PAGE.fullmatch(str(part)) else str(part) for part in path)
        held = _at(record, path)
        if path:
            yield Variant(f"{where} missing", _changed(record, path, missing=True))
            others = {"null": None, "float": 7.5, "string": "7", "word": "archived", "garbage": {"a": [1]}}
            for name, then in others.items():
                yield Variant(f"{where} {name}", _changed(record, path, then))
        if isinstance(held, dict) and path[-1:] not in _REPLACED:
            text = _changed(record, path, held | {"EXTRA": 0}).decode().replace('"EXTRA": 0', EXTRA)
            yield Variant(f"{where} extra", text.encode())


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict) and path[-1:] != ("extraction",):
        for number, (name, inner) in enumerate(value.items()):
            if path[-1:] != ("pages",) or number == 0:
                yield from _paths(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from _paths(value[-1], (*path, len(value) - 1))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


def _changed(record: Any, path: tuple[Any, ...], then: object = None, *, missing: bool = False) -> bytes:
    made = json.loads(json.dumps(record))
    if not path:
        return json.dumps(then).encode()
    inside = _at(made, path[:-1])
    if missing:
        del inside[path[-1]]
    else:
        inside[path[-1]] = then
    return json.dumps(made).encode()


# --- the trials ---------------------------------------------------------------------------------------


def main(place: str, work: Path, share: int, *kinds: str) -> None:
    preload()
    with places(place, work) as place_of:
        for kind in kinds:
            trial = Trial(work / kind / "0", place_of)
            # Every trial has the same variants.
            for number, variant in enumerate(some(list(variants(trial.prepare(kind))), share)):
                trial = Trial(work / kind / f"{number + 1}", place_of)
                value = {each.name: each.value for each in variants(trial.prepare(kind))}[variant.name]
                told = {"kind": kind, **trial.attempt(variant.name, value)}
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()


def some(all_variants: list[Variant], share: int) -> list[Variant]:
    """Return one of so many, and at least one."""
    return all_variants[min(share, len(all_variants)) // 2 :: share]


class Trial:
    """A project of its own in a folder."""

    def __init__(self, folder: Path, place_of: Any) -> None:
        self.folder = folder
        (folder / ".nimbus").mkdir(parents=True)
        self.place: Place = place_of(folder)
        self.project = f"proj_{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
        (folder / "dodo.py").write_text(DODO)
        settings = f"{SETTINGS.replace(PROJECT_OF_KIT, self.project)}[upload]\naudit_log = true\n"
        (folder / ".nimbus/project.toml").write_text(settings)
        self._runs = 0

    def prepare(self, kind: str) -> bytes:
        """Publish the site, let another program write records, and return the record to vary."""
        self._write_site("About")
        status, said = self._doit(("upload",))
        assert status == 0, said
        (self.batch,) = set(re.findall(r"batch_\d{8}_\d{6}", said))
        for key, record in foreign_records(self.project).items():
            metadata = (
                {"batch_id": FOREIGN_BATCH, "uploaded": "2024", "digest": "y"} if key.startswith("page") else None
            )
            self.place.write(key, json.dumps(record).encode(), metadata)
        queue = json.loads(self.place.read(f"queue:{self.project}"))
        entry = {"page_id": FOREIGN_PAGE, "batch_id": FOREIGN_BATCH, "priority": 9, "attempts": 0}
        queue["items"].append(entry | {"queued_at": "2024-09-02T10:00:00.000Z"})
        self.place.write(f"queue:{self.project}", json.dumps(queue).encode())
        self.key = key_of(kind, self.project, self.batch)
        return self.place.read(self.key)

    def attempt(self, name: str, value: bytes) -> dict[str, Any]:
        """Run all commands over this variant, and return how each ended and what is stored then."""
        self.place.write(self.key, value)
        runs = []
        for command in COMMANDS:
            if command == ("upload",):
                self._write_site("New words of")
            status, said = self._doit(command)
            runs.append({"command": " ".join(command), "status": status, "said": said})
        pages = [self.place.read(f"page:{self.project}:{page_id(self.project, f'dist/{each}.html')}") for each in NAMES]
        stored = sum(f"New words of {each}." in page.decode() for each, page in zip(NAMES, pages, strict=True))
        after = self.place.read(self.key).decode(errors="replace")
        return {
            "key": self.key,
            "batch": self.batch,
            "name": name,
            "runs": runs,
            "stored": stored,
            "before": value.decode(),
            "after": after,
        }

    def _write_site(self, words: str) -> None:
        (self.folder / "dist").mkdir(exist_ok=True)
        for name in NAMES:
            (self.folder / f"dist/{name}.html").write_text(html(f"{words} {name}.", f"Page {name}"))

    def _doit(self, command: tuple[str, ...]) -> tuple[int, str]:
        self._runs += 1
        said = self.folder / f"{self._runs}.txt"
        arguments = [part.format(batch=self.batch, path=PATH) if "{" in part else part for part in command]
        return _fork(self.folder, self.place.environment, arguments, said), said.read_text()


def _fork(folder: Path, environment: dict[str, str], arguments: list[str], said: Path) -> int:
    child = os.fork()
    if not child:
        status = TRACEBACK
        try:
            os.chdir(folder)
            os.environ.update(environment)
            out = os.open(said, os.O_WRONLY | os.O_CREAT)
            os.dup2(out, 1)
            os.dup2(out, 2)
            status = _run(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
