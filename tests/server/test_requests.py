"""What surrounds every request: its id, headers, a line in the log; and what is under way when the service stops."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
from deadlines import SECONDS, wait_until
from service_process import ServiceProcess, picture

from nimbus_tasks.server.telemetry import Depth, Latency, Telemetry, log_line

if TYPE_CHECKING:
    from pathlib import Path


def logged(service: ServiceProcess, words: str, count: int = 1) -> list[dict[str, object]]:
    """Wait for so many lines of the log with these words, and return them."""
    file, found = service.folder / ".nimbus/log.jsonl", list[dict[str, object]]()

    def are_there() -> bool:
        lines = file.read_text().splitlines() if file.exists() else []
        found[:] = [json.loads(line) for line in lines if words in line]
        return len(found) == count

    wait_until(are_there)
    return found


def test_a_request_has_an_id_and_safe_headers(web: ServiceProcess) -> None:
    """The id of a proxy is kept; one that could not be in a log is not."""
    path = "/api/assets/none-of-these-requests"
    ids = []
    for given in ("proxy-0123456789", "short", 'a"b\\c' * 5, "x" * 65):
        answer = httpx.get(web.url + path, headers={"x-request-id": given})
        ids.append(answer.headers["x-request-id"])
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert ids[0] == "proxy-0123456789"
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids[1:]), ids
    lines = {each["request_id"]: each for each in logged(web, path, 4)}
    assert sorted(map(str, lines)) == sorted(ids)
    assert (lines[ids[0]]["level"], lines[ids[0]]["status"], lines[ids[0]]["method"]) == ("info", 401, "GET")


def test_who_is_refused_for_the_rate_is_in_the_log(tmp_path: Path) -> None:
    settings = "[server]\nrate_tokens = 1\nrate_per_minute = 1\n"
    with ServiceProcess(tmp_path, "--role=web", settings=settings) as service:
        client = service.client()
        assert [client.ask(picture(number)).status_code for number in range(2)] == [200, 429]
        (line,) = logged(service, '"status":429')
    assert (line["level"], line["user_id"]) == ("warning", "user_local")


def test_a_stop_ends_no_request_that_is_under_way(tmp_path: Path) -> None:
    content = picture(1, 200_000)
    with ServiceProcess(tmp_path) as service:
        url = service.client().ask(content).json()
        assert logged(service, "[Metrics] queue_image=0")
        parts = urlsplit(url["uploadUrl"])
        told = "".join(f"{name}: {value}\r\n" for name, value in url["headers"].items())
        head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n{told}content-length: {len(content)}\r\n\r\n"
        with socket.create_connection((parts.hostname, parts.port), SECONDS) as connection:
            connection.sendall(head.encode() + content[:100_000])
            wait_until(lambda: [path for path in (tmp_path / ".nimbus/uploads").rglob("*") if path.is_file()])
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not _takes_connections(parts.port))
            time.sleep(0.5)  # the server looks after 0.1 seconds what is still under way
            connection.sendall(content[100_000:])
            answer = connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        checksum = url["headers"]["x-amz-checksum-sha256"]
        assert f'etag: "{checksum}"'.encode() in answer
        assert service.process.wait(SECONDS) == 0


def _takes_connections(port: int | None) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port or 0)) == 0


def test_the_line_of_figures() -> None:
    told = Telemetry(Latency(90, 450, 600, 3), Latency(), Latency(5, 7, 7, 2), Depth(1, 2, 3, 0, 0, 4), 5, 0)
    assert log_line(told) == (
        "[Metrics] upload_latency_p95=450ms embedding_latency_p95=7ms queue_image=2 queue_embedding=3 dead_letters=4"
    )
