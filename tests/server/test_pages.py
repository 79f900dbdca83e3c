"""The pages and their files, the parts of the listing that they ask for, and what belongs to the project's owner."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from rows import add_assets
from service_process import PROJECT, ServiceProcess, picture

from nimbus_tasks.backends.kv import Write
from nimbus_tasks.model import keys
from nimbus_tasks.server.assets import now_ms
from nimbus_tasks.server.database import Database
from nimbus_tasks.server.pages import WEB
from nimbus_tasks.server.records_store import RecordsStore

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["/", "/gallery", "/asset", "/deleted", "/failed-jobs", "/status", "/batches", "/keys"]
LOGINS = ["/login", "/login?link=used"]
SCRIPTS = ["/static/js/main.js", "/static/js/upload/" + min(path.name for path in (WEB / "js/upload").glob("*.js"))]


@pytest.mark.parametrize("path", [*PAGES, *LOGINS, *SCRIPTS, "/static/css/style.css", "/static/icon.svg"])
def test_pages_and_their_files_need_no_login(web: ServiceProcess, path: str) -> None:
    kind = {".js": "javascript", ".css": "text/css", ".svg": "image/svg+xml"}.get(Path(path).suffix, "text/html")

    answer = httpx.get(web.url + path)

    assert answer.status_code == 200
    assert kind in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    file = WEB / ("index.html" if kind == "text/html" else path.removeprefix("/static/"))
    assert answer.content == file.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/../../server/pages.py",
        "/static/%2e%2e/pages.py",
        "/static/..%2fpages.py",
        "/static/js/..%2f..%2f..%2fpages.py",
        "/static/..%5cpages.py",
        "/static/%252e%252e/pages.py",
        "/static//etc/passwd",
        "/static/%2fetc/passwd",
        "/static/js",
        "/static/",
        "/static",
        "/static/" + "x" * 5000,
        "/../static/../pages.py",
        "/index.html",
        "/gallery/x",
    ],
)
def test_nothing_else_is_given(web: ServiceProcess, path: str) -> None:
    parts = urlsplit(web.url)
    with contextlib.closing(http.client.HTTPConnection(parts.netloc)) as connection:  # sends a path as it is
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()

    assert (answer.status, b"from __future__" in content) == (404, False)
    assert answer.getheader("content-type") == "application/json"
    assert answer.getheader("cache-control") == "no-store"


def test_the_api_and_its_files_need_a_login(web: ServiceProcess) -> None:
    paths = [
        "/api/assets",
        "/api/session",
        "/api/batches",
        "/api/keys",
        "/api/upload-url",
        "/api/dead-letters",
        "/files/assets/a/b/c",
    ]
    for path in paths:
        answer = httpx.get(web.url + path)
        assert (answer.status_code, answer.json()["code"]) == (401, "auth"), path


def test_the_description_of_the_api_has_every_documented_endpoint(web: ServiceProcess) -> None:
    asked = web.client().http.get
    told = asked("/schema/openapi.json").raise_for_status().json()
    assert asked("/schema").raise_for_status().json() == told
    described = {re.sub(r"\{\w+\}", "{}", path): {*ways} for path, ways in told["paths"].items()}
    documented = [
        (way.lower(), re.sub(r"\{\w+\}", "{}", path))
        for page in DOCS.glob("service*.md")
        for way, path in re.findall(
            r"`(?:(GET|POST|PUT|DELETE) )?(/(?:api/|blobs/|\w+z\b|metrics)[^\s`?]*)", page.read_text()
        )
    ]
    assert len(documented) > 20
    for way, path in documented:
        assert path in described, path
        assert not way or way in described[path], f"{way} {path}"


def test_a_listing_of_some(web: ServiceProcess) -> None:
    client, user = web.client("user_lists"), "user_lists"
    seen = Database("", web.folder)
    working, working_too = add_assets(seen, 2, user=user)
    (ready,) = add_assets(seen, user=user, start=2, processed=True, embedded=True)
    (failed,) = add_assets(seen, user=user, start=3, failed_at=1, processing_error="No image")
    (other,) = add_assets(seen, user="user_other")
    first, second = (add_assets(seen, user=user, start=4, deleted_at=now_ms() - ago)[0] for ago in (1000, 0))
    add_assets(seen, user="user_other", deleted_at=now_ms())
    add_assets(seen, user=user, start=5, deleted_at=1)
    seen.close()

    def ids(**asked: str) -> list[str]:
        answer = client.http.get("/api/assets", params=asked).raise_for_status().json()
        return [asset["id"] for asset in answer["assets"]]

    assert ids() == ids(state="any") == [failed, ready, working_too, working]
    assert ids(state="ready") == [ready]
    assert ids(state="working") == [working_too, working]
    assert ids(state="failed") == [failed]
    assert ids(state="deleted") == [second, first]
    assert ids(state="deleted", ids=f"{working},{first}") == [first]
    assert ids(ids=f"{working},{ready},{other},{first},nonsense,") == [ready, working]
    assert ids(ids=f"{working},{ready}", state="ready") == [ready]
    assert len(ids(ids=",".join([working] * 100))) == 1
    assert client.http.get("/api/assets", params={"state": "odd"}).status_code == 400
    assert client.http.get("/api/assets", params={"ids": "x" * 4001}).status_code == 400


def test_of_many_files_each_is_refused_for_itself(web: ServiceProcess) -> None:
    client = web.client("user_many")
    there = client.upload(picture(1))
    files = [
        client.describe(picture(1)),
        client.describe(picture(2), mimeType="text/html"),
        client.describe(picture(3), size=2 * 1024**3),
        client.describe(picture(4), filename="../one.png"),
        client.describe(picture(6), filename="x" * 256 + ".png"),
        client.describe(picture(7), mimeType="image/" + "x" * 200),
        client.describe(b""),
        client.describe(picture(5)),
    ]

    answers = client.http.post("/api/upload-urls", json={"files": files}).raise_for_status().json()["files"]

    assert (answers[0]["isDuplicate"], answers[0]["asset"]["id"]) == (True, there["id"])
    for answer, word in zip(
        answers[1:-1], ("are taken", "at most", "path", "255 characters", "are taken", "empty"), strict=True
    ):
        assert answer.keys() == {"error", "code"}
        assert answer["code"] == "invalid"
        assert word in answer["error"]
    client.send(answers[-1], picture(5)).raise_for_status()
    assert client.complete(answers[-1], picture(5)).status_code == 200


def test_batches_are_shown_to_the_projects_owner_alone(web: ServiceProcess) -> None:
    owner, other = web.client("user_owner"), web.client("user_nobody")
    first = web.client()
    assert owner.http.get("/api/batches").status_code == 403
    seen = Database("", web.folder)
    project = PROJECT.split('"')[1]
    write = Write(keys.project_key(project), b'{"user_id": "user_owner"}')
    asyncio.run(RecordsStore(seen).put([write]))
    seen.close()

    for client in (owner, first):
        assert client.http.get("/api/batches").raise_for_status().json()["batches"] == []
        assert client.http.get("/api/batches/batch_000000000000/report").status_code == 404
        assert client.http.post("/api/batches/batch_000000000000/retry").status_code == 409
    for path in ("/api/batches", "/api/batches/batch_000000000000/report"):
        answer = other.http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth")
    assert other.http.post("/api/batches/batch_000000000000/retry").status_code == 403
