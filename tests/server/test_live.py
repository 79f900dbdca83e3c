"""After an upload, over HTTP: jobs, stats, streams, dead letters, search, figures and cron."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from deadlines import SECONDS, wait_until
from rows import add_assets
from service_process import Client, ServiceProcess
from test_kills import png

from nimbus_tasks.server.database import Database

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = "cron-secret-of-the-tests"
#: What is neither an address on the web nor a path on a site.
HOSTILE = [
    "", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//other.example/", "/\\other.example",
    "page", "https://", "https:///x", "https://me:secret@example.com/", "https://a b/", "/a\nb", "/a\n", " /a",
    "/\t/other.example", "https://a.example/\x00", "/" + "x" * 2000,
]  # fmt: skip
SETTINGS = '[server]\nrate_tokens = 1000\n[images]\nprocesses = 1\n[log]\nlevel = "debug"\n'


@pytest.fixture
def service(tmp_path: Path, database_url: str) -> Iterator[ServiceProcess]:
    """Without workers: cron does the work."""
    environment = {"DATABASE_URL": database_url, "CRON_SECRET": SECRET}
    with ServiceProcess(tmp_path, "--role=web", settings=SETTINGS, **environment) as running:
        yield running


def cron(service: ServiceProcess, what: str, secret: str = SECRET) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.post(f"{service.url}/api/cron/{what}", headers=headers, timeout=SECONDS)


def events(client: Client, last: str = "") -> Iterator[dict[str, str]]:
    """Yield the events of a stream, each as its fields."""
    with client.http.stream("GET", "/api/sse/processing-updates", headers={"last-event-id": last}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        event: dict[str, str] = {}
        for line in answer.iter_lines():
            if line:
                name, _, value = line.partition(": ")
                event[name] = value
            elif event:
                yield event
                event = {}


def stats(event: dict[str, str]) -> dict[str, int]:
    found: dict[str, int] = json.loads(event["data"])["stats"]
    return found


def test_a_story(service: ServiceProcess) -> None:
    client, other = service.client(), service.client("bob")
    asked = client.http.get
    began = time.perf_counter()
    stream = events(client)
    first = next(stream)
    answered = 1000 * (time.perf_counter() - began)
    assert stats(first)["total"] == 0

    ids = [client.upload(png(number), name)["id"] for number, name in enumerate(("red boat.png", "blue boat.png"))]
    broken = client.upload(b"\x89PNG no picture", "broken.png")["id"]
    wait_until(lambda: stats(next(stream))["processing"] == 3)
    assert cron(service, "process-images").json() == {"success": True, "processed": 2, "failed": 1, "remaining": 0}
    assert cron(service, "process-embeddings").json() == {"success": True, "processed": 2, "failed": 0, "remaining": 0}
    wait_until(lambda: stats(last := next(stream))["ready"] == 2 and last)
    stream.close()  # type: ignore[attr-defined]
    missed = events(client, first["id"])
    assert stats(next(missed))["total"] > 0
    missed.close()  # type: ignore[attr-defined]

    told = asked("/api/processing-stats").json()["stats"]
    assert told == {
        "total": 3, "uploaded": 3, "processed": 2, "embedded": 2, "failed": 1, "uploading": 0, "processing": 0,
        "embedding": 0, "ready": 2,
    }  # fmt: skip
    assert [each["filename"] for each in asked("/api/search", params={"q": "blue"}).json()["assets"]] == [
        "blue boat.png"
    ]
    like = asked("/api/search", params={"like": ids[0]}).json()
    assert ([each["id"] for each in like["assets"]], len(like["scores"])) == ([ids[1]], 1)
    assert client.http.put(f"/api/assets/{ids[0]}/context", json={"alt": ["A harbour"]}).status_code == 204
    assert [each["id"] for each in asked("/api/search", params={"q": "harb"}).json()["assets"]] == [ids[0]]
    pages = [{"url": "https://example.com/a?b#c", "title": "A"}, {"url": "/b/", "title": ""}]
    assert client.http.put(f"/api/assets/{ids[0]}/context", json={"pages": pages}).status_code == 204
    assert asked(f"/api/assets/{ids[0]}").json()["pages"] == pages
    assert asked(f"/api/assets/{ids[1]}").json()["pages"] == []
    for url in HOSTILE:
        answer = client.http.put(f"/api/assets/{ids[0]}/context", json={"pages": [{"url": url}]})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid"), url
        assert len(answer.json()["error"]) < 100
    assert client.http.put(f"/api/assets/{ids[0]}/context", json={"pages": pages * 26}).status_code == 400
    assert asked(f"/api/assets/{ids[0]}").json()["pages"] == pages
    for params, status in (({}, 400), ({"q": "--"}, 400), ({"like": broken}, 404), ({"q": "a", "like": "b"}, 400)):
        assert asked("/api/search", params=params).status_code == status

    (letter,) = asked("/api/dead-letters").json()["deadLetters"]
    assert (letter["id"], letter["step"], letter["errorClass"], letter["attempts"]) == (broken, "image", "invalid", 1)
    assert other.http.get("/api/dead-letters").json()["total"] == 0
    assert other.http.post(f"/api/dead-letters/{broken}/retry").status_code == 404
    assert client.http.post(f"/api/assets/{ids[0]}/retry-processing").status_code == 409
    assert client.http.post(f"/api/assets/{broken}/retry-processing").json() == {"queued": 1}
    assert asked("/api/dead-letters").json()["total"] == 0
    assert cron(service, "process-images").json()["failed"] == 1
    assert client.http.post("/api/dead-letters/retry-all").json() == {"queued": 1}
    assert cron(service, "process-images").json()["failed"] == 1
    assert client.http.post(f"/api/dead-letters/{broken}/dismiss").status_code == 204
    assert client.http.post(f"/api/dead-letters/{broken}/dismiss").status_code == 404
    assert asked("/api/dead-letters", params={"cursor": "odd"}).status_code == 400
    for way, path, said in (
        ("GET", "/api/dead-letters?class=foo", "class: must be one of: rate_limit, network, server"),
        ("POST", "/api/dead-letters/retry-all?class=foo", "class: must be one of: rate_limit, network, server"),
        ("GET", "/api/search?q=a&state=foo", "state: must be one of: any, ready, working, failed"),
        ("GET", "/api/assets?state=foo", "state: must be one of: any, ready, working, failed"),
        ("GET", "/api/search?q=a&limit=0", "limit: "),
    ):
        answer = client.http.request(way, path)
        assert (answer.status_code, answer.json()["error"][: len(said)]) == (400, said), path

    figures = asked("/api/telemetry").json()
    assert figures["uploadLatency"]["count"] == 3
    assert httpx.request("PROPFIND", f"{service.url}/metrics").status_code == 405
    text = httpx.get(f"{service.url}/metrics").text
    for sample in ('method="GET",status="2xx"', 'method="PUT",status="4xx"', 'method="other",status="4xx"'):
        assert float(text.partition(f"nimbus_requests_total{{{sample}}} ")[2].split()[0]) >= 1
    for file in ("prometheus/alerts.yaml", "grafana/dashboard.json"):
        for name in re.findall(r"\b(?:nimbus|process)_\w+", (DEPLOY / file).read_text()):
            assert re.search(rf"^{name}[ {{]", text, re.MULTILINE), f"{file}: {name}"
    assert 'nimbus_job_seconds_count{outcome="done",step="image"} 2.0' in text
    assert 'nimbus_queue_depth{queue="dead_letters"} 1.0' in text

    assert cron(service, "process-images", "wrong").status_code == 401
    assert httpx.get(f"{service.url}/api/processing-stats").status_code == 401
    open_stream = events(client)
    next(open_stream)
    assert service.stop() == 0  # streams do not hold up a stop
    logged = [json.loads(line) for line in (service.folder / ".nimbus/log.jsonl").read_text().splitlines()]
    streams = [each for each in logged if each.get("path") == "/api/sse/processing-updates"]
    assert streams[0]["ms"] < answered  # a stream is no slow request, however long it is open


def test_a_call_of_cron_does_not_more_than_fits_its_time(service: ServiceProcess) -> None:
    client = service.client()
    for number in range(12):
        client.upload(b"\x89PNG no picture" + bytes([number]), f"{number}.png")
    told = [cron(service, "process-images").json() for _ in range(2)]
    assert [(each["failed"], each["remaining"]) for each in told] == [(10, 2), (2, 0)]
    seen = Database(service.environment["DATABASE_URL"], service.folder)
    add_assets(seen, 6, user="user_local", processed=True)
    seen.close()
    assert (cron(service, "process-embeddings").json()["failed"]) == 5
    # Who tries secrets is one client.
    answers = [cron(service, "process-images", "wrong") for _ in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 7 + [429]
    assert answers[-1].json()["error"].startswith("Too many calls of cron endpoints. Please wait")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 6
