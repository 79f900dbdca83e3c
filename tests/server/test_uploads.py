"""Uploads from the first question to the asset, against a running service, on both databases and both storages."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from edge.seaweed import Seaweed, needs_seaweed
from hypothesis import given
from hypothesis import strategies as st
from service_process import Client, ServiceProcess, picture, sha256
from sqlalchemy import func, select

from nimbus_tasks.project.settings import load
from nimbus_tasks.server.assets import RESTORABLE_SECONDS
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.service import open_service
from nimbus_tasks.server.storage import Upload, clean_folder, pathname_of
from nimbus_tasks.server.tables import assets, uploads

if TYPE_CHECKING:
    from collections.abc import Iterator

_MIB = 1024 * 1024


class Running(NamedTuple):
    """A service, its client, and what can be seen from below."""

    service: ServiceProcess
    client: Client
    database: Database

    def counts(self) -> tuple[int, int]:
        """Return the numbers of live assets and of open uploads."""
        with self.database.reading() as connection:
            live = connection.scalar(select(func.count()).where(assets.c.deleted_at.is_(None)))
            return live or 0, connection.scalar(select(func.count()).select_from(uploads)) or 0

    def files(self) -> list[Path]:
        """Return the files of the folder storage, unfinished ones too."""
        return [path for path in (self.service.folder / ".nimbus/uploads").rglob("*") if path.is_file()]


S3 = pytest.param("postgresql s3", marks=pytest.mark.soak)
#: For what the database does not see.
EACH_STORAGE = pytest.mark.parametrize("running", ["sqlite folder", S3], indirect=True)


# With S3, bytes go to SeaweedFS: the service does the same with both.
@pytest.fixture(scope="module", params=["sqlite folder", "postgresql folder", S3])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    database, storage = request.param.split()
    folder = tmp_path_factory.mktemp("service")
    environment = {"NIMBUS_SERVER_RATE_TOKENS": "10000", "NIMBUS_SERVER_SLOW_CLIENT": "1"}
    settings = ""
    if database == "postgresql":
        environment["DATABASE_URL"] = request.getfixturevalue("postgres").new_database()
    if storage == "s3":
        s3 = request.getfixturevalue("seaweed")
        settings = f'[assets]\nbucket = "{s3.bucket}"\n[server]\nstorage = "s3"\n'
        environment |= {
            "AWS_ENDPOINT_URL_S3": s3.url,
            "AWS_REGION": s3.credentials.region,
            "AWS_ACCESS_KEY_ID": s3.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.credentials.secret_access_key,
        }
    with ServiceProcess(folder, settings=settings, **environment) as service:
        seen = Database(environment.get("DATABASE_URL", ""), folder)
        yield Running(service, service.client(), seen)
        seen.close()
        assert service.stop() == 0


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    if needs_seaweed.mark.args[0]:
        pytest.skip(needs_seaweed.mark.kwargs["reason"])
    with Seaweed(tmp_path_factory.mktemp("seaweed")) as s3:
        yield s3


@pytest.fixture
def client(running: Running) -> Client:
    return running.client


@pytest.fixture
def content(request: pytest.FixtureRequest) -> bytes:
    """Bytes that no other test has."""
    return picture(hash(request.node.name) & 0xFFFFFFFF)


def _in_folder(running: Running) -> bool:
    return running.service.environment.get("AWS_ENDPOINT_URL_S3", "") == ""


def test_a_file_becomes_an_asset(running: Running, client: Client, content: bytes) -> None:
    assert client.http.post("/api/upload-check", json={"checksums": [sha256(content)]}).json()["existing"] == {}

    asset = client.upload(content)

    assert asset["isDuplicate"] is False
    assert asset["needsProcessing"] is True
    known = client.http.post("/api/upload-check", json={"checksums": [sha256(content)]}).json()
    assert known["existing"][sha256(content)]["id"] == asset["id"]
    told = client.http.get(f"/api/assets/{asset['id']}").json()
    assert (told["filename"], told["size"], told["checksum"]) == ("one.png", len(content), sha256(content))
    if _in_folder(running):
        assert client.http.get(told["blobUrl"]).content == content
    again = client.ask(content).json()
    assert again["isDuplicate"] is True
    assert again["asset"]["id"] == asset["id"]


def test_completing_twice_gives_the_same_answer(client: Client, content: bytes) -> None:
    url = client.ask(content).json()
    client.send(url, content)

    answers = [client.complete(url, content).json() for _ in range(3)]

    assert answers[0] == answers[1] == answers[2]


def test_the_same_bytes_at_once_give_one_asset(running: Running, client: Client, content: bytes) -> None:
    before = running.counts()
    urls = [client.ask(content).json() for _ in range(8)]
    for url in urls:
        client.send(url, content).raise_for_status()
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda url: client.complete(url, content).json()["asset"], urls))

    assert len({asset["id"] for asset in done}) == 1
    assert [asset["isDuplicate"] for asset in done].count(False) == 1
    assert running.counts() == (before[0] + 1, before[1])
    if _in_folder(running):
        assert len({url["assetId"] for url in urls} & {path.parent.name for path in running.files()}) == 1
    # Those that lost get the same answer again.
    assert {client.complete(url, content).json()["asset"]["id"] for url in urls} == {done[0]["id"]}


def test_many_addresses_take_one_request(client: Client, content: bytes) -> None:
    files = [client.describe(content + bytes([number])) for number in range(100)]

    answer = client.http.post("/api/upload-urls", json={"files": files})

    assert len({each["assetId"] for each in answer.json()["files"]}) == 100
    assert client.http.post("/api/upload-urls", json={"files": [*files, files[0]]}).status_code == 400


def test_a_bad_file_of_a_request_refuses_no_other(client: Client, content: bytes) -> None:
    good = client.describe(content)
    bad: list[dict[str, object]] = [{"checksum": "abc"}, {"size": 0}, {"size": -1}, {"filename": "../x"}]

    response = client.http.post("/api/upload-urls", json={"files": [*({**good, **change} for change in bad), good]})

    *refused, accepted = response.json()["files"]
    assert [each["code"] for each in refused] == ["invalid"] * len(bad)
    assert refused[0]["error"] == "checksum must be a SHA-256: 64 hex digits in lower case"
    assert accepted["assetId"]


@EACH_STORAGE
def test_a_large_file_goes_in_parts(running: Running, client: Client) -> None:
    content = picture(7, 91 * _MIB)
    url = client.ask(content, "large.png").json()
    parts = url["parts"]
    assert client.complete(url, content, filename="large.png").status_code == 409
    for part in parts:
        body = content[part["start"] : part["start"] + part["size"]]
        assert httpx.put(part["uploadUrl"], content=body, timeout=60).status_code == 200

    asset = client.complete(url, content, filename="large.png").json()["asset"]

    assert asset["isDuplicate"] is False
    assert len(parts) == 6
    if _in_folder(running):
        stored = [path for path in running.files() if path.parent.name == asset["id"]]
        assert [path.stat().st_size for path in stored] == [len(content)]


@EACH_STORAGE
def test_parts_with_other_bytes_leave_nothing(running: Running, client: Client) -> None:
    content = picture(8, 91 * _MIB)
    before = running.counts(), running.files()
    url = client.ask(content, "large.png").json()
    for part in url["parts"]:
        httpx.put(part["uploadUrl"], content=bytes(part["size"]), timeout=60).raise_for_status()

    answer = client.complete(url, content, filename="large.png")

    assert answer.status_code == 422
    assert (running.counts(), running.files()) == before


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("Holiday/day 1", "Holiday/day 1"),
        ("/../../etc/./passwd//", "etc/passwd"),
        ("C:\\Pictures\\..", "C:/Pictures"),
        ("two\r\nlines\u2028\x1b[2J\x00", "twolines[2J"),
        ("<b>ünïcödé</b> 图片", "<b>ünïcödé</b> 图片"),
        ("deep/" * 1000, "/".join(["deep"] * 200)),
    ],
)
def test_the_folder_that_a_file_was_in_is_kept_for_people(client: Client, content: bytes, told: str, kept: str) -> None:
    asked = {"files": [client.describe(content, folder=told)]}
    (url,) = client.http.post("/api/upload-urls", json=asked).raise_for_status().json()["files"]
    client.send(url, content).raise_for_status()

    other = client.complete(url, content, folder="other")
    assert (other.status_code, other.json()["error"]) == (409, "folder is not what the address was signed for")
    client.complete(url, content, folder=told).raise_for_status()

    asset = client.http.get(f"/api/assets/{url['assetId']}").json()
    assert (asset["folder"], asset["filename"]) == (kept, "one.png")
    assert asset["pathname"] == f"assets/user_local/{asset['id']}/one.png"
    found = client.http.get("/api/search", params={"q": f"{kept} one"}).json()["assets"]
    assert asset["id"] in {each["id"] for each in found}


@given(st.text())
def test_a_folder_leads_nowhere_else(told: str) -> None:
    folder = clean_folder(told)
    assert clean_folder(folder) == folder
    assert folder == "" or not {"", ".", ".."} & {*folder.split("/")}
    assert len(folder) <= 1000


def test_a_form_does_the_same(running: Running, client: Client, content: bytes) -> None:
    _, open_before = running.counts()
    form = {"file": ("form.png", content, "image/png")}
    answer = client.http.post("/api/upload", data={"folder": "/forms"}, files=form)

    asset = answer.json()["asset"]
    told = client.http.get(f"/api/assets/{asset['id']}").json()
    assert (asset["isDuplicate"], told["size"], told["folder"]) == (False, len(content), "forms")
    again = client.http.post("/api/upload", files=form).json()
    assert (again["asset"]["id"], again["asset"]["isDuplicate"]) == (asset["id"], True)
    assert client.http.post("/api/upload", files={"other": ("form.png", content, "image/png")}).status_code == 400
    assert running.counts()[1] == open_before


def test_a_deleted_asset_is_gone_and_can_come_again(client: Client, content: bytes) -> None:
    asset = client.upload(content)

    assert client.http.delete(f"/api/assets/{asset['id']}").status_code == 204
    assert client.http.delete(f"/api/assets/{asset['id']}").status_code == 204

    assert client.http.get(f"/api/assets/{asset['id']}").status_code == 404
    assert client.upload(content)["id"] != asset["id"]
    assert asset["id"] not in client.deleted()
    restored = client.http.post(f"/api/assets/{asset['id']}/restore")
    assert (restored.status_code, restored.json()["error"]) == (
        409,
        "This file was uploaded again since it was deleted",
    )


def test_a_deleted_asset_is_found_and_restored_for_a_while(running: Running, client: Client, content: bytes) -> None:
    asset = client.upload(content)
    path, other = f"/api/assets/{asset['id']}", running.service.client("user_curious")
    assert client.http.get(path).json()["restorableUntil"] is None
    before = time.time()
    client.http.delete(path)

    until = client.deleted()[asset["id"]]["restorableUntil"] / 1000
    assert before - 1 < until - RESTORABLE_SECONDS < time.time() + 1
    assert other.deleted() == {}
    assert client.http.post(f"{path}/restore").json()["restorableUntil"] is None
    assert client.http.post(f"{path}/restore").status_code == 200
    assert client.ask(content).json()["asset"]["id"] == asset["id"]
    assert asset["id"] not in client.deleted()

    client.http.delete(path)
    _delete_long_ago(running, asset["id"])
    assert client.http.post(f"{path}/restore").status_code == 404
    assert asset["id"] not in client.deleted()


def test_of_a_deleted_asset_its_owner_sees_the_thumbnail(running: Running, client: Client, content: bytes) -> None:
    if not _in_folder(running):
        pytest.skip("pages show pictures straight from the bucket")
    asset = client.upload(content)
    thumbnail = f"thumbnails/user_local/{asset['id']}.webp"
    stored = running.service.folder / ".nimbus/uploads" / thumbnail
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(b"small")
    client.http.delete(f"/api/assets/{asset['id']}")

    assert client.http.get(f"/files/{thumbnail}").content == b"small"
    assert client.http.get(asset["blobUrl"]).status_code == 404
    assert running.service.client("user_curious").http.get(f"/files/{thumbnail}").status_code == 404
    _delete_long_ago(running, asset["id"])
    assert client.http.get(f"/files/{thumbnail}").status_code == 404


def _delete_long_ago(running: Running, asset_id: str) -> None:
    """Let it be so long since an asset was deleted that it cannot be restored."""
    long_ago = assets.c.deleted_at - 1000 * RESTORABLE_SECONDS
    with running.database.writing() as connection:
        connection.execute(assets.update().where(assets.c.id == asset_id).values(deleted_at=long_ago))


@pytest.mark.parametrize("state", ["any", "deleted"])
def test_the_listing_has_every_asset_once(client: Client, content: bytes, state: str) -> None:
    made = {client.upload(content + bytes([number]))["id"] for number in range(5)}
    for id_ in made if state == "deleted" else ():
        client.http.delete(f"/api/assets/{id_}").raise_for_status()
    found: list[str] = []
    cursor = ""
    while True:
        page = client.http.get("/api/assets", params={"limit": 2, "cursor": cursor, "state": state}).json()
        found += [asset["id"] for asset in page["assets"]]
        cursor = page["nextCursor"]
        if not cursor:
            break

    assert made <= set(found)
    assert len(found) == len(set(found))
    assert client.http.get("/api/assets", params={"cursor": "nonsense", "state": state}).status_code == 400


# --- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (400, {"filename": "../../etc/passwd"}),
        (400, {"filename": "a\\b.png"}),
        (400, {"filename": "a\x00.png"}),
        (400, {"filename": ".."}),
        (400, {"filename": "x" * 256}),
        (400, {"size": 0}),
        (400, {"size": -1}),
        (400, {"size": "many"}),
        (413, {"size": 10 * 1024**3}),
        (415, {"mimeType": "text/html"}),
        (415, {"mimeType": "image/png\r\nx-evil: 1"}),
        (400, {"checksum": "abc"}),
        (400, {"checksum": "A" * 64}),
    ],
)
def test_a_wrong_description_is_refused(
    running: Running, client: Client, status: int, wrong: dict[str, object]
) -> None:
    before = running.counts()

    answer = client.ask(b"some bytes", **wrong)

    assert answer.status_code == status
    assert answer.json()["code"] == "invalid"
    assert answer.json()["error"]
    assert running.counts() == before


@pytest.mark.parametrize("name", ["ünïcödé 图片.png", "-rf.png", "a'b\"c;d.png", "....png", "con.png", "%2e%2e%2f.png"])
def test_odd_names_are_kept_and_harm_nothing(running: Running, client: Client, name: str) -> None:
    content = picture(len(name)) + name.encode()

    asset = client.upload(content, name)

    told = client.http.get(f"/api/assets/{asset['id']}").json()
    assert told["filename"] == name
    assert re.fullmatch(r"assets/user_local/[0-9a-f-]{36}/[0-9A-Za-z_-][0-9A-Za-z._-]*", told["pathname"])
    if name.startswith("ün"):
        assert told["pathname"].endswith("/unicode-.png")
    if _in_folder(running):
        assert client.http.get(told["blobUrl"]).content == content


def test_other_bytes_are_refused_and_leave_nothing(running: Running, client: Client, content: bytes) -> None:
    before = running.files()
    url = client.ask(content).json()
    other = bytes(len(content))

    answers = [
        client.send(url, other),  # other bytes
        client.send(url, content, **{"content-type": "text/html"}),
        client.send(url, content, **{"x-amz-checksum-sha256": "AAAA"}),
        httpx.put(url["uploadUrl"], content=content),  # without the headers
    ]
    if _in_folder(running):
        answers += [client.send(url, content[:-1]), client.send(url, content + b"x")]

    assert all(answer.status_code in (400, 403, 413) for answer in answers), answers
    assert client.complete(url, content).status_code == 409
    assert running.files() == before


@pytest.mark.parametrize("part", ["path", "expires", "size", "signature"])
def test_a_changed_address_is_refused(running: Running, client: Client, content: bytes, part: str) -> None:
    if not _in_folder(running):
        pytest.skip("S3's own signature is tested in tests/backends/blobs")
    url = client.ask(content).json()
    changed = {
        "path": url["uploadUrl"].replace("user_local", "user_other"),
        "expires": re.sub(r"expires=(\d)", r"expires=9\1", url["uploadUrl"]),
        "size": url["uploadUrl"].replace(f"size={len(content)}", f"size={len(content) + 1}"),
        "signature": url["uploadUrl"][:-1] + ("0" if url["uploadUrl"][-1] != "0" else "1"),
    }[part]

    answer = httpx.put(changed, content=content, headers=url["headers"])

    assert (answer.status_code, answer.json()["code"]) == (403, "auth")


def test_an_expired_address_is_refused(running: Running, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    if not _in_folder(running):
        pytest.skip("S3's own signature is tested in tests/backends/blobs")
    for name, value in running.service.environment.items():
        monkeypatch.setenv(name, value)
    folder, before, answers = running.service.folder, running.files(), []
    signing = open_service(load(folder), folder)
    for seconds in (-1, 300):
        id_, expires = str(uuid4()), 1000 * (int(time.time()) + seconds)
        pathname = pathname_of("user_local", id_, "one.png")
        upload = Upload(
            id_, "user_local", pathname, "one.png", len(content), "image/png", sha256(content), expires_at=expires
        )
        told = asyncio.run(signing.storage.sign(upload, running.service.url))
        answers.append(httpx.put(told.url, content=content, headers=told.headers))
    signing.close()

    said = [(answer.status_code, answer.json()["code"], answer.json()["error"]) for answer in answers]
    assert said == [
        (403, "auth", "The address has expired: ask for a new one"),
        (403, "auth", "This address was used or has been given up: ask for a new one"),
    ]
    assert running.files() == before


def test_an_address_is_not_for_another_time(running: Running, client: Client, content: bytes) -> None:
    """A completed upload's address takes nothing more: its bytes could come back after the asset is deleted."""
    if not _in_folder(running):
        pytest.skip("S3 takes the same bytes again; the sweep removes them")
    asset = client.upload(content)
    url = client.ask(content + b"x").json()
    client.send(url, content + b"x").raise_for_status()
    client.complete(url, content + b"x").raise_for_status()

    answer = client.send(url, content + b"x")

    assert (answer.status_code, answer.json()["code"]) == (403, "auth")
    assert asset["id"] in {each["id"] for each in client.assets()}


def test_completing_needs_the_bytes_and_the_same_file(running: Running, client: Client, content: bytes) -> None:
    url = client.ask(content).json()

    assert client.complete(url, content).status_code == 409
    client.send(url, content).raise_for_status()
    for wrong in ({"size": 1}, {"filename": "two.png"}, {"mimeType": "image/gif"}, {"blobUrl": "https://x.example/y"}):
        assert client.complete(url, content, **wrong).status_code == 409
    assert client.complete(url | {"assetId": "none"}, content).status_code == 404
    assert client.complete(url, content).status_code == 200


def test_others_files_are_not_to_be_had(running: Running, client: Client, content: bytes) -> None:
    other = running.service.client(f"user_{sha256(content)[:8]}")
    asset = client.upload(content)
    url = client.ask(content + b"1").json()
    client.send(url, content + b"1").raise_for_status()

    assert other.complete(url, content + b"1").status_code == 404
    assert other.http.get(f"/api/assets/{asset['id']}").status_code == 404
    assert other.http.delete(f"/api/assets/{asset['id']}").status_code == 404
    assert other.http.post(f"/api/assets/{asset['id']}/restore").status_code == 404
    assert other.assets() == []
    known = other.http.post("/api/upload-check", json={"checksums": [sha256(content)]}).json()
    assert known["existing"] == {}
    if _in_folder(running):
        assert other.http.get(urlsplit(asset["blobUrl"]).path).status_code == 404
    assert client.complete(url, content + b"1").status_code == 200


def _raw(url: str, head: str, body: bytes = b"") -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 60) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        return connection.recv(65_536)


def test_ten_gigabytes_are_refused_before_they_are_read(running: Running, client: Client, content: bytes) -> None:
    if not _in_folder(running):
        pytest.skip("S3 is another server")
    before = running.files()
    url = client.ask(content).json()
    parts = urlsplit(url["uploadUrl"])
    told = "".join(f"{name}: {value}\r\n" for name, value in url["headers"].items())
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n{told}content-length: {10 * 1024**3}"

    assert b" 413 " in _raw(url["uploadUrl"], head).split(b"\r\n")[0]
    big = f"POST /api/upload-check HTTP/1.1\r\nhost: x\r\n{_key(client)}content-length: {10 * 1024**3}"
    assert b" 413 " in _raw(url["uploadUrl"], big).split(b"\r\n")[0]
    form = f"POST /api/upload HTTP/1.1\r\nhost: x\r\n{_key(client)}content-length: {10 * 1024**3}"
    assert b" 413 " in _raw(url["uploadUrl"], form).split(b"\r\n")[0]
    assert running.files() == before


def test_a_client_that_stops_in_the_middle_leaves_nothing(running: Running, client: Client, content: bytes) -> None:
    if not _in_folder(running):
        pytest.skip("S3 is another server")
    before = running.files()
    url = client.ask(content).json()
    parts = urlsplit(url["uploadUrl"])
    told = "".join(f"{name}: {value}\r\n" for name, value in url["headers"].items())
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n{told}content-length: {len(content)}"

    answer = _raw(url["uploadUrl"], head, content[:500])  # and waits

    assert b" 408 " in answer.split(b"\r\n")[0]
    assert running.files() == before
    slow = f"POST /api/upload-check HTTP/1.1\r\nhost: x\r\n{_key(client)}content-type: application/json\r\n"
    assert b" 408 " in _raw(url["uploadUrl"], slow + "content-length: 100", b"{").split(b"\r\n")[0]


def _key(client: Client) -> str:
    return f"authorization: {client.http.headers['authorization']}\r\n"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"checksums": 1}', b"\xff\xfe", b'{"checksums": ["' + b"x" * 64 + b'"]}']
)
def test_bodies_that_are_no_request_are_told(client: Client, body: bytes) -> None:
    answer = client.http.post("/api/upload-check", content=body, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid"


def test_a_nul_is_refused_before_a_database_sees_it(client: Client, content: bytes) -> None:
    answers = [
        client.http.get("/api/assets/%00"),
        client.http.get("/api/assets?ids=%00"),
        client.http.get("/api/assets?cursor=1.%00"),
        client.http.get("/api/search?q=%00"),
        client.http.get("/files/assets/a/%00/c"),
        client.http.get("/static/index.html%00.js"),
        client.complete({"assetId": "\x00", "blobUrl": ""}, content),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(400, "invalid")] * len(answers)


def test_an_address_that_a_client_makes_up_does_not_count(client: Client) -> None:
    """Without `trusted_proxies`, whoever tries keys is one client."""
    tries = [
        client.http.post("/api/session", json={"key": "wrong"}, headers={"x-forwarded-for": f"10.0.0.{number}"})
        for number in range(14)
    ]

    assert 429 in {answer.status_code for answer in tries}


def test_many_at_once_lose_nothing(client: Client) -> None:
    contents = [picture(1000 + number) for number in range(40)]
    with ThreadPoolExecutor(10) as pool:
        ids = [asset["id"] for asset in pool.map(client.upload, contents)]

    assert len(set(ids)) == len(contents)
