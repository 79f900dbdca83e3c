"""A small kit to tell stories with: a project in a temporary folder, `doit` in it, and what came of it.

Everything goes the way a user's shell goes: `python -m doit` as a process of its own, files on the disk, and the
store's own database. Nothing here imports the pipeline.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import ptyprocess
from deadlines import SECONDS
from warm import programs, run_doit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = "proj_0123456789ab"

SETTINGS = f"""\
[project]
id = "{PROJECT}"
name = "Swiss Watch Repair"
domain = "example.com"
created = "2026-01-02T03:04:05.678Z"

[source]
folder = "dist"
"""

DODO = "from nimbus_tasks import *\n"


def html(text: str = "We repair watches by hand.", title: str = "Watch repair", head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><title>{title}</title>'
        f'<meta name="description" content="About {title}">{head}</head>'
        f'<body><main><h1>{title}</h1><p>{text}</p><img src="w.jpg" alt="A watch"></main></body></html>'
    )


def page_map(source_path: str, **more: object) -> dict[str, Any]:
    """Return a map as another tool might write it."""
    return {
        "path": source_path,
        "engine": "html",
        "main_selector": "main",
        "head": {"title": "Watch repair", "metaDescription": "By hand"},
        "dimensions": {},
        "above_fold_blocks": [{"id": "block-0", "type": "h1", "content": "Watch repair"}],
        "rest_of_page_blocks": [{"id": "block-1", "type": "p", "content": "By hand."}],
        "selector_map": {"block-0": "h1", "block-1": "p"},
    } | more


def page_id(path: str) -> str:
    return "page_" + md5((PROJECT + path).encode(), usedforsecurity=False).hexdigest()[:12]


class Run(NamedTuple):
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def json(self) -> Any:
        """The one document on standard output: anything else there is an error."""
        return json.loads(self.out)


class Store:
    """What the embedded store holds at one moment."""

    def __init__(self, file: Path) -> None:
        self.values: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        if not file.exists():
            return
        with contextlib.closing(sqlite3.connect(file)) as connection:
            for key, value, metadata in connection.execute("SELECT key, value, metadata FROM kv"):
                self.values[key] = json.loads(value)
                self.metadata[key] = json.loads(metadata) if metadata else None

    @classmethod
    def of(cls, values: dict[str, bytes], metadata: dict[str, Any]) -> Store:
        """Return the same view of what another store holds."""
        store = cls(Path("nowhere"))
        store.values = {key: json.loads(value) for key, value in values.items()}
        store.metadata = metadata
        return store

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Store) and (self.values, self.metadata) == (other.values, other.metadata)

    __hash__ = None  # type: ignore[assignment]

    def page(self, path: str) -> dict[str, Any]:
        return self.values[f"page:{PROJECT}:{page_id(path)}"]

    def page_metadata(self, path: str) -> dict[str, Any]:
        return self.metadata[f"page:{PROJECT}:{page_id(path)}"]

    def text(self, path: str) -> str:
        """Return all the text of a page's record."""
        extraction = self.page(path)["extraction"]
        blocks = extraction["above_fold_blocks"] + extraction["rest_of_page_blocks"]
        return " ".join(block["content"] for block in blocks)

    def status(self, path: str) -> str:
        return self.values[f"status:{PROJECT}:{page_id(path)}"]["status"]

    def log(self, path: str) -> list[dict[str, Any]]:
        return self.values[f"logs:{PROJECT}:{page_id(path)}"]["entries"]

    def uploads(self, path: str) -> int:
        """Count how often a page was sent, as its log has it."""
        return sum(entry["step"] == "upload" and entry["level"] == "info" for entry in self.log(path))

    @property
    def pages(self) -> set[str]:
        return {value["source_path"] for key, value in self.values.items() if key.startswith("page:")}

    @property
    def active(self) -> set[str]:
        return {path for path in self.pages if self.status(path) == "uploaded"}

    @property
    def queue(self) -> list[str]:
        """The source paths of the pages that wait, in their order."""
        paths = {page_id(path): path for path in self.pages}
        return [paths[item["page_id"]] for item in self.queue_items]

    @property
    def queue_items(self) -> list[dict[str, Any]]:
        """The entries of the queue's record, then those of its shards."""
        keys = sorted(key for key in self.values if key.startswith("queue:"))
        return [item for key in keys for item in self.values[key]["items"]]

    @property
    def batches(self) -> dict[str, dict[str, Any]]:
        prefix = f"batch:{PROJECT}:"
        return {key.removeprefix(prefix): value for key, value in sorted(self.values.items()) if key.startswith(prefix)}

    @property
    def project(self) -> dict[str, Any]:
        return self.values[f"project:{PROJECT}"]


class Site:
    """A project in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def without_project(cls, folder: Path) -> Site:
        site = cls(folder)
        site.write("dodo.py", DODO)
        return site

    @classmethod
    def new(cls, folder: Path, settings: str = "") -> Site:
        site = cls.without_project(folder)
        site.write(".nimbus/project.toml", SETTINGS)
        site.settings(settings)
        return site

    @classmethod
    def with_pages(cls, folder: Path, *names: str, settings: str = "") -> Site:
        site = cls.new(folder, settings)
        for name in names:
            site.page(name)
        return site

    # --- the files ------------------------------------------------------------------------------------

    def __truediv__(self, path: str) -> Path:
        return self.folder / path

    def write(self, path: str, content: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def page(self, name: str, text: str | None = None) -> None:
        """Write `dist/{name}.html`."""
        self.write(f"dist/{name}.html", html(text or f"All about {name}.", f"Page {name}"))

    def map(self, name: str, **content: object) -> None:
        """Write `.nimbus/maps/{name}.json`, as another tool does."""
        self.write(f".nimbus/maps/{name}.json", json.dumps(page_map(f"src/{name}.njk", **content)))

    def remove(self, *paths: str) -> None:
        for path in paths:
            (self.folder / path).unlink()

    def settings(self, more: str = "", **replaced: str) -> None:
        """Add to the settings; `folder=...` replaces what `[source] folder` says."""
        file = self.folder / ".nimbus/project.toml"
        text = file.read_text(encoding="utf-8")
        for key, value in replaced.items():
            kept = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
            kept.insert(kept.index("[source]") + 1, f"{key} = {value}")
            text = "\n".join(kept) + "\n"
        file.write_text(f"{text}\n{more}\n", encoding="utf-8")

    def edit_all_ways(self) -> None:
        """Of the pages a to e, change one, rename one and remove one; add a new one."""
        self.page("a", "Edited.")
        self.page("f")
        (self / "dist/d.html").rename(self / "dist/g.html")
        self.remove("dist/e.html")

    # --- the commands ---------------------------------------------------------------------------------

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        known = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
        return known | {"PYTHONIOENCODING": "utf-8"} | more

    def doit(self, *arguments: str, **environment: str) -> Run:
        """Run `doit` to its end. `start` and `Terminal` are new interpreters; here it is a fork of one (`warm.py`)."""
        known = self.environment(environment)
        return _checked(run_doit(arguments, self.folder, known), known)

    def publish(self, *arguments: str) -> Run:
        """Run `doit upload`, which is expected to go well."""
        run = self.doit("upload", *arguments)
        assert run.status == 0, run.said
        return run

    @contextlib.contextmanager
    def start(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """Start a command and go on; it is killed at the end if it still runs."""
        command = [sys.executable, "-m", "doit", *arguments]
        with started(command, self.folder, self.environment(environment)) as running:
            yield running

    @contextlib.contextmanager
    def start_fork(self, *arguments: str, **environment: str) -> Iterator[Running]:
        """Do the same with a fork (`warm.py`), where the process is only waited for or gets Ctrl-C."""
        with started([str(programs() / "doit"), *arguments], self.folder, self.environment(environment)) as running:
            yield running

    # --- what came of it ------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        return Store(self.folder / ".nimbus/kv.db")

    def report(self, name: str = "upload") -> dict[str, Any]:
        return json.loads((self.folder / f".nimbus/reports/{name}.json").read_bytes())

    def sent(self) -> dict[str, str]:
        """Return what the last upload stored or marked, as path -> reason."""
        done = ("stored", "queued", "removed")
        return {page["path"]: page["reason"] for page in self.report()["pages"] if page["result"] in done}

    def summary(self) -> dict[str, str]:
        """Return the whole site as the last run left it, as path -> result."""
        return {page["path"]: page["result"] for page in self.report("summary")["pages"]}

    def change_store(self, statement: str, *values: object) -> None:
        """Write to the store as another program would."""
        with contextlib.closing(sqlite3.connect(self.folder / ".nimbus/kv.db", isolation_level=None)) as connection:
            connection.execute(statement, values)

    @contextlib.contextmanager
    def ledger(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.folder / ".nimbus/ledger.db", isolation_level=None)) as connection:
            yield connection

    def forget_ledger(self) -> None:
        self.remove_database("ledger.db")

    def remove_database(self, name: str) -> None:
        for file in self.folder.glob(f".nimbus/{name}*"):
            file.unlink()

    def maps(self) -> dict[str, int]:
        """Return when each map file was last written."""
        maps = (self.folder / ".nimbus/maps").rglob("*.json")
        return {str(file.relative_to(self.folder)): file.stat().st_mtime_ns for file in maps}


def ended(command: Sequence[str], folder: Path, environment: Mapping[str, str], given: bytes = b"") -> Run:
    """Run a command to its end, `given` on its standard input. A traceback in what it says is a bug."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=given,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return _checked(done, environment)


def _checked(done: subprocess.CompletedProcess[bytes], environment: Mapping[str, str]) -> Run:
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    run = Run(done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding))
    assert "Traceback" not in run.said, run.said
    return run


@contextlib.contextmanager
def started(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """Start a command and go on; it is killed at the end if it still runs."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        running = Running(process)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            running.reader.join(SECONDS)


class Running:
    """A command that runs: its lines can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._new: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def until(self, words: str) -> str:
        """Wait for a line with these words, and return it."""
        while True:
            line = self._new.get(timeout=SECONDS)
            assert line is not None, f"ended without saying {words!r}:\n" + "\n".join(self.lines)
            self.lines.append(line)
            if words in line:
                return line

    def end(self) -> int:
        """Wait for the end, and return the exit status."""
        while (line := self._new.get(timeout=SECONDS)) is not None:
            self.lines.append(line)
        return self.process.wait(SECONDS)

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.end()


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, site: Site, *arguments: str, **environment: str) -> None:
        self._site, self._arguments, self._environment = site, arguments, environment
        self.said = ""

    def __enter__(self) -> Self:
        self._process = ptyprocess.PtyProcess.spawn(
            [sys.executable, "-m", "doit", *self._arguments],
            cwd=str(self._site.folder),
            env=self._site.environment({"TERM": "xterm-256color", **self._environment}),
            dimensions=(40, 120),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close(force=True)

    def until(self, words: str) -> None:
        while words not in self.said:
            self.said += self._process.read(4096).decode(errors="replace")

    def type(self, keys: str) -> None:
        self._process.write(keys.encode())

    def end(self) -> int:
        try:
            while True:
                self.said += self._process.read(4096).decode(errors="replace")
        except EOFError:
            return int(self._process.wait())
