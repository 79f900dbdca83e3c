"""`--store=server`: the command line sends files to a running service, once, and reads them back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvips
from service_process import PROJECT, ServiceProcess, picture, sha256
from sqlalchemy import select
from warm import run_doit

from nimbus_tasks.backends.blobs import Blob, BlobStore, Held, Location, read_back
from nimbus_tasks.backends.blobs.open import BlobTarget, blob_store, open_blob_store
from nimbus_tasks.backends.blobs.server_addresses import Addresses
from nimbus_tasks.backends.blobs.server_progress import ServiceProgress
from nimbus_tasks.backends.http import Http, Timeouts
from nimbus_tasks.backends.http.response import Response
from nimbus_tasks.backends.kv.open import Connection
from nimbus_tasks.model.errors import RefusedError, TransientError
from nimbus_tasks.project.secrets import Secret
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.tables import assets, uploads

SETTINGS = PROJECT + '[target]\nstore = "sqlite"\n'


class Project:
    """A project whose files go to the service, as those of its user."""

    def __init__(self, folder: Path, web: ServiceProcess, user: str) -> None:
        self.folder, self.web, self.user = folder, web, user
        (folder / ".nimbus").mkdir(parents=True, exist_ok=True)
        (folder / ".nimbus/project.toml").write_text(SETTINGS)
        (folder / "pyproject.toml").write_text('[tool.doit]\nloader = "nimbus"\n')
        self.environment = dict(os.environ, NIMBUS_SERVICE_URL=web.url, NIMBUS_SERVICE_KEY=web.new_key(user))

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / "photos" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def run(self, *arguments: str, status: int = 0) -> Any:
        ended = run_doit([*arguments, "--store=server", "--json"], self.folder, self.environment)
        assert ended.returncode == status, (ended.stdout + ended.stderr).decode()
        return json.loads(ended.stdout)

    def stored(self) -> list[Path]:
        """Return the files of this user in the service's folder, unfinished ones too."""
        return [
            path for path in (self.web.folder / ".nimbus/uploads").rglob("*") if path.is_file() and self._is_ours(path)
        ]

    def _is_ours(self, path: Path) -> bool:
        return f"/assets/{self.user}/" in str(path) or "/parts/" in str(path)

    def counts(self) -> tuple[int, int]:
        """Return the numbers of this user's assets and of their open uploads."""
        seen = Database("", self.web.folder)
        with seen.reading() as connection:
            found = [
                connection.execute(select(t.c.user_id).where(t.c.user_id == self.user)).all() for t in (assets, uploads)
            ]
        seen.close()
        return len(found[0]), len(found[1])


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, web: ServiceProcess) -> Project:
    return Project(tmp_path, web, f"user_{sha256(request.node.name.encode())[:8]}")


def test_files_go_once(project: Project, tmp_path: Path, web: ServiceProcess) -> None:
    for number in range(21):  # more than the first request for addresses asks for
        project.write(f"{number}.png", picture(number))
    project.write("again.png", picture(3))

    first = project.run("nimbus:assets:upload", "--files=photos")
    assert (first["uploaded"], first["failed"], first["bytes"]) == (21, 0, 21 * len(picture()))
    assert project.counts() == (21, 0)
    assert {asset["folder"] for asset in web.client(project.user).assets()} == {"photos"}
    assert len(project.stored()) == 21
    again = project.run("nimbus:assets:upload", "--files=photos")
    assert (again["uploaded"], again["unchanged"], again["bytes"]) == (0, 22, 0)

    # Another computer of the same user knows nothing, and sends nothing.
    other = Project(tmp_path / "other", web, project.user)
    for number in range(21):
        other.write(f"{number}.png", picture(number))
    before = {path: path.stat().st_mtime_ns for path in project.stored()}
    told = other.run("nimbus:assets:upload", "--files=photos")
    assert (told["uploaded"], told["recorded"], told["bytes"]) == (0, 21, 0)
    assert {path: path.stat().st_mtime_ns for path in project.stored()} == before
    assert project.counts() == (21, 0)

    verified = project.run("nimbus:assets:verify")
    assert (verified["verified"], verified["wrong"]) == (21, 0)
    project.stored()[0].write_bytes(bytes(len(picture())))
    verified = project.run("nimbus:assets:verify", status=1)
    assert (verified["verified"], verified["wrong"]) == (20, 1)


def test_what_records_say_is_read_back_until_it_is_there_again(project: Project, tmp_path: Path) -> None:
    """Also by a machine that sent nothing; what another user sent is not this one's."""
    project.write("lost.png", picture(1))
    project.write("kept.png", picture(2))
    project.run("nimbus:assets:upload", "--files=photos")
    other = Project(tmp_path / "other", project.web, f"{project.user}_other")
    shutil.copy(project.folder / ".nimbus/kv.db", other.folder / ".nimbus/kv.db")
    other.write("other.png", picture(3))
    other.run("nimbus:assets:upload", "--files=photos")
    assert len(other.run("nimbus:assets:list")["assets"]) == 3
    verified = other.run("nimbus:assets:verify")
    assert (verified["verified"], verified["elsewhere"]) == (1, 2)
    said = run_doit(["nimbus:assets:verify", "--store=server"], other.folder, other.environment).stdout.decode()
    assert "Not read back: 2 more files at other addresses" in said
    shutil.copy(other.folder / ".nimbus/kv.db", project.folder / ".nimbus/kv.db")
    for database in (project.folder / ".nimbus").glob("assets.db*"):
        database.unlink()
    verified = project.run("nimbus:assets:verify")
    assert (verified["verified"], verified["elsewhere"]) == (2, 1)

    (stored,) = (path for path in project.stored() if path.name == "lost.png")
    stored.unlink()
    for _ in range(2):
        verified = project.run("nimbus:assets:verify", status=1)
        assert (verified["verified"], verified["wrong"]) == (1, 1)
        (wrong,) = (each for each in verified["files"] if each["error"])
        assert (wrong["path"], wrong["result"]) == ("photos/lost.png", "missing")
    said = run_doit(["nimbus:assets:verify", "--store=server"], project.folder, project.environment).stdout.decode()
    assert "Delete those first that the service still lists" in said
    client = project.web.client(project.user)
    (asset,) = (each for each in client.assets() if each["checksum"] == sha256(picture(1)))
    client.http.delete(f"/api/assets/{asset['id']}").raise_for_status()
    _, command = wrong["again"].split(" ", 1)
    assert project.run(*command.split())["uploaded"] == 1
    assert project.run("nimbus:assets:verify")["verified"] == 2


def test_what_nothing_uses_is_removed(project: Project, web: ServiceProcess) -> None:
    """Of this user, and not what a pointer names."""
    files = [project.write(f"{number}.png", picture(number)) for number in range(2)]
    pointer = ("--group=photo", "--variant=latest")
    project.run("nimbus:assets:upload", "--files=photos/0.png")
    project.run("nimbus:assets:upload", "--files=photos/1.png", *pointer)
    others = Project(project.folder / "others", web, f"{project.user}_other")
    others.write("0.png", picture(0))
    others.run("nimbus:assets:upload", "--files=photos")
    with contextlib.closing(sqlite3.connect(project.folder / ".nimbus/assets.db", isolation_level=None)) as connection:
        connection.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")

    for option, left in (("--dry-run", 2), ("--days=1", 1)):
        done = project.run("nimbus:assets:prune", "--days=1", option)
        assert (list(done["files"]), done["kept"]) == ([sha256(picture(0))], 1)
        assert len(web.client(project.user).assets()) == left
    assert project.run("nimbus:assets:verify")["verified"] == 1
    assert [each["source_paths"] for each in project.run("nimbus:assets:list")["assets"]] == [["photos/1.png"]]
    assert len(web.client(others.user).assets()) == 1
    assert all(file.exists() for file in files)


def test_the_test_upload_leaves_no_asset(project: Project, web: ServiceProcess) -> None:
    done = project.run("nimbus:test-upload")
    assert (done["passed"], done["verified"], done["steps"][-1]["name"]) == (True, "checksum", "remove the picture")
    assert web.client(project.user).assets() == []
    project.environment["NIMBUS_SERVICE_KEY"] = web.new_key(project.user)[:-1] + "?"
    refused = project.run("nimbus:test-upload", status=1)
    assert [bool(step["error"]) for step in refused["steps"]] == [True]


def test_a_picture_is_one_picture_there_whatever_widths_say(project: Project) -> None:
    """The service makes its own thumbnails."""
    (project.folder / ".nimbus/project.toml").write_text(f"{SETTINGS}[assets]\nwidths = [40]\n")
    project.write("noise.png", pyvips.Image.gaussnoise(200, 100).cast("uchar").write_to_buffer(".png"))
    ended = run_doit(["nimbus:assets:upload", "--files=photos", "--store=server"], project.folder, project.environment)
    assert ended.returncode == 0 and b"[assets] widths is not used" in ended.stdout + ended.stderr
    assert project.counts() == (1, 0)


def test_a_refused_file_does_not_stop_the_others(project: Project) -> None:
    project.write("1.png", picture(1))
    project.write("2.txt", b"no picture")
    project.write("3.png", b"")
    project.write("4.png", picture(4))

    ended = project.run("nimbus:assets:upload", "--files=photos", status=1)

    assert (ended["uploaded"], ended["failed"]) == (2, 2)
    errors = {each["path"]: each["error"] for each in ended["results"] if each["result"] == "failed"}
    assert "Its type is text/plain; these are taken: image/*" in errors["photos/2.txt"]
    assert "The file is empty" in errors["photos/3.png"]
    assert project.counts() == (2, 0)


def test_addresses_that_were_refused_are_asked_for_together_again(project: Project, web: ServiceProcess) -> None:
    blobs = [
        Blob(
            project.write(f"{number}.png", picture(number)),
            sha256(picture(number)),
            len(picture(number)),
            "image/png",
            "x.png",
        )
        for number in range(3)
    ]
    http = Http(web.url, Secret(web.new_key(project.user)), Timeouts())
    send, asked = http.send, list[int]()

    async def refusing_once(method: str, path: str, *more: Any) -> Response:
        if path == "/api/upload-urls":
            asked.append(len(json.loads(more[0])["files"]))
            if len(asked) == 1:
                raise TransientError("Too many uploads.")
        return await send(method, path, *more)

    async def run() -> None:
        http.send = refusing_once  # type: ignore[assignment]
        addresses = Addresses(http)
        addresses.expect(blobs)
        with pytest.raises(TransientError):
            await addresses.of(blobs[0])
        for blob in blobs:
            assert (await addresses.of(blob)).upload_url
        await http.close()

    asyncio.run(run())
    assert asked == [3, 3]


def test_an_upload_waits_for_a_service_that_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "1.png"
    file.write_bytes(picture(1))
    blob = Blob(file, sha256(picture(1)), len(picture(1)), "image/png", "1.png")
    first = ServiceProcess(tmp_path / "service", "--role=web")

    async def run() -> Location:
        away = asyncio.Event()
        connection = Connection(warn=lambda _: away.set())
        target = BlobTarget(store="server", service_url=first.url, tries=2, retry_wait=1, give_up_after=2)
        async with await open_blob_store(target, connection=connection) as store:
            assert first.stop() == 0
            putting = asyncio.create_task(store.put(blob))
            await away.wait()
            with ServiceProcess(first.folder, "--role=web", f"--port={first.url.rpartition(':')[2]}"):
                return await putting

    with first:
        monkeypatch.setenv("NIMBUS_SERVICE_KEY", first.new_key())
        assert asyncio.run(run()).verified == "checksum"


def test_the_monitor_ends_when_nothing_moves_and_says_where_failures_are_explained(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path / "service") as service:
        project = Project(tmp_path / "site", service, "user_local")
        project.write("right.png", pyvips.Image.black(40, 30).pngsave_buffer())
        project.write("broken.png", picture())
        project.run("nimbus:assets:upload", "--files=photos")
        service.client().ask(picture(7)).raise_for_status()  # and nobody sends it
        followed = run_doit(["nimbus:assets:monitor"], project.folder, project.environment)
    assert followed.returncode == 1
    *_, phases, unused, where = followed.stdout.decode().splitlines()
    assert phases.endswith("Uploading 2/3 · Processing 1/3 · Searchable 1/3 · 1 failed")
    assert "1 upload began and did not end" in unused
    assert where.endswith(f"Which files failed, and why: {service.url}/failed-jobs")


def test_progress_is_streamed(project: Project, web: ServiceProcess) -> None:
    """A second stream goes on from the last event of the first one."""
    key, client = Secret(web.new_key(project.user)), web.client(project.user)

    async def follow() -> list[int]:
        progress = ServiceProgress(Http(web.url, key, Timeouts()))
        totals: list[int] = []
        for number in (1, 2):
            if totals:
                await asyncio.to_thread(client.upload, picture(number))
            async with contextlib.aclosing(progress.stream()) as stream:
                async for stats in stream:
                    totals.append(stats.total)
                    if stats.total == number:
                        break
                    if stats.total == 0:
                        await asyncio.to_thread(client.upload, picture(number))
        await progress.close()
        return totals

    assert list(dict.fromkeys(asyncio.run(follow()))) == [0, 1, 2]


def page(title: str, body: str) -> str:
    return f"<!doctype html><html lang=en><title>{title}</title><main><h1>{title}</h1><p>Text.</p>{body}</main>"


def test_pictures_are_found_by_what_pages_say_of_them(project: Project, web: ServiceProcess) -> None:
    """Alt texts and titles are sent where they changed, also where the picture did not."""
    settings = f'{SETTINGS}[source]\nfolder = "dist"\n[assets]\nstore = "server"\n'
    (project.folder / ".nimbus/project.toml").write_text(settings)
    (project.folder / "dist/img").mkdir(parents=True)
    for number in (1, 2):
        (project.folder / f"dist/img/{number}.png").write_bytes(picture(number))
    pictures = '<img src="img/1.png" alt="A red bicycle"><img src="/img/2.png" alt="">'
    (project.folder / "dist/a.html").write_text(page("Summer tour", pictures))
    (project.folder / "dist/b.html").write_text(page("Wheels", '<img src="./img/1.png" alt="Two wheels">'))
    http = web.client(project.user).http

    def found(words: str) -> list[str]:
        answer = http.get("/api/search", params={"q": words})
        return sorted(each["filename"] for each in answer.raise_for_status().json()["assets"])

    def doit(*arguments: str) -> Any:
        ended = run_doit(arguments, project.folder, project.environment)
        assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()
        return ended.stdout.decode()

    def pages(words: str) -> list[tuple[str, str]]:
        (asset,) = http.get("/api/search", params={"q": words}).json()["assets"]
        return [(each["url"], each["title"]) for each in http.get(f"/api/assets/{asset['id']}").json()["pages"]]

    doit("assets")
    assert pages("bicycle") == [("/a.html", "Summer tour"), ("/b.html", "Wheels")]
    assert (found("bicycle"), found("two wheels"), found("summer")) == (["1.png"], ["1.png"], ["1.png", "2.png"])
    (project.folder / "dist/b.html").write_text(page("Repairs", '<img src="./img/1.png" alt="Two wheels">'))
    assert "No files to upload" in doit("upload")
    assert pages("repairs") == [("/a.html", "Summer tour"), ("/b.html", "Repairs")]
    assert (found("repairs"), found("wheels"), found("bicycle")) == (["1.png"], ["1.png"], ["1.png"])
    domain = settings.replace(PROJECT, f'{PROJECT}domain = "example.com"\n')
    (project.folder / ".nimbus/project.toml").write_text(domain)
    doit("assets")
    assert [url for url, _ in pages("repairs")] == ["https://example.com/a.html", "https://example.com/b.html"]
    applied = run_doit(["nimbus:apply", "--assets", "--dry-run"], project.folder, project.environment)
    assert (applied.returncode, b"to their owner only" in applied.stdout + applied.stderr) == (2, True)


def _user(*, through_the_service: bool) -> str:
    """Return a user whose bytes go through the service, or straight to its storage."""
    shares = ((name, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % 100) for name in _names())
    return next(name for name, share in shares if (share >= 99) == through_the_service)


def _names() -> Iterator[str]:
    return (f"user_{number}" for number in itertools.count())


@pytest.mark.parametrize("through_the_service", [False, True])
def test_what_is_put_is_found_listed_read_and_removed(
    tmp_path: Path, web: ServiceProcess, monkeypatch: pytest.MonkeyPatch, through_the_service: bool
) -> None:
    project = Project(tmp_path, web, _user(through_the_service=through_the_service))
    for name in ("NIMBUS_SERVICE_URL", "NIMBUS_SERVICE_KEY"):
        monkeypatch.setenv(name, project.environment[name])
    content = picture(1, 300_000)
    file = project.write('a "b" ü.png', content)
    blob = Blob(file, sha256(content), len(content), "image/png", file.name)

    async def run(store: BlobStore) -> None:
        await store.open()
        assert await store.find(blob) is None
        sent: list[int] = []
        location = await store.put(blob, sent.append)
        assert sum(sent) == blob.size
        assert location.verified == "checksum"
        assert await store.find(blob) == location
        assert await store.put(blob) == location
        assert [(held.sha256, held.location) async for held in store.list()] == [(blob.sha256, location)]
        assert await read_back(store, blob, location)
        for held in (Held(blob.sha256, blob.size, location), Held(blob.sha256, blob.size, Location(""))):
            await store.remove(held)
        assert await store.find(blob) is None
        with pytest.raises(RefusedError, match="is not there"):
            await store.read_at(Held(blob.sha256, blob.size, location), 0)
        await store.close()

    asyncio.run(run(blob_store(BlobTarget(store="server"), tmp_path, Connection())))
    asset = project.web.client(project.user).http.get("/api/assets").json()
    assert asset["assets"] == []


@pytest.mark.soak
def test_a_large_file_is_read_back(project: Project) -> None:
    """It goes in parts, and comes back in ranges: no answer may be that long."""
    project.write("large.png", picture() + os.urandom(1024) * 1024 * 95)

    assert project.run("nimbus:assets:upload", "--files=photos")["uploaded"] == 1
    assert project.counts() == (1, 0)
    assert [path.stat().st_size for path in project.stored()] == [len(picture()) + 95 * 1024 * 1024]
    verified = project.run("nimbus:assets:verify")
    assert (verified["verified"], verified["wrong"]) == (1, 0)
