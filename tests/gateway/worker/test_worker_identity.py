"""Which store this is: one id for one KV, another for another, however late KV shows what was written."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edge.workerd import Workerd
from worker_requests import WINDOW, code_of, etag, kv, put, until

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

IDENTITY = "store:identity"


def store_of(client: httpx.Client) -> str:
    return str(client.get("/").json()["store"])


def test_first_requests_at_once_agree_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    with Workerd(tmp_path / "a") as worker, worker.client() as admin, ThreadPoolExecutor(8) as pool:
        stores = set(pool.map(lambda _: store_of(admin), range(16)))
        assert len(stores) == 1
        assert re.fullmatch(r"[0-9a-f]{32}", store := stores.pop())
        assert admin.get(kv(IDENTITY)).text == store
    with Workerd(tmp_path / "a") as worker, worker.client() as admin:
        assert store_of(admin) == store
    with Workerd(tmp_path / "b") as worker, worker.client() as admin:
        assert store_of(admin) != store


def test_while_kv_shows_nothing_yet_no_second_id_is_made(tmp_path: Path) -> None:
    lag = [{"do": "get", "key": IDENTITY, "fail": "lag"}]
    with Workerd(tmp_path, worker=WINDOW) as worker, worker.client() as admin:
        store = store_of(admin)
    with Workerd(tmp_path, worker=WINDOW) as worker, worker.client() as admin:
        admin.put("/_faults", json=lag)
        assert store_of(admin) == store


def test_an_id_that_kv_did_not_take_is_put_there_later(tmp_path: Path) -> None:
    with Workerd(tmp_path, worker=WINDOW) as worker, worker.client() as admin:
        admin.put("/_faults", json=[{"do": "put", "key": IDENTITY, "fail": "KV is down"}])
        assert code_of(admin.get("/")) == (503, "store_unavailable")
        admin.put("/_faults", json=[])
        assert admin.get(f"/_kv/NIMBUS_KV/{IDENTITY}").status_code == 404
        assert admin.get(f"/_kv/NIMBUS_KV/{IDENTITY}").text != store_of(admin)
        assert admin.get(f"/_kv/NIMBUS_KV/{IDENTITY}").text == store_of(admin)


def test_another_namespace_behind_the_same_worker_is_another_store(tmp_path: Path) -> None:
    """The Durable Objects stay, as they do where a deployment gets another namespace."""
    project = "queue:proj_0123456789ab"
    folder, kept, other = tmp_path / "do", tmp_path / "kv", tmp_path / "other"
    with Workerd(folder, worker=WINDOW, kv=kept) as worker, worker.client() as admin:
        admin.put("/_clock", content="-600000").raise_for_status()  # this was ten minutes ago
        admin.put("/_faults", json=[{"do": "put", "key": project, "fail": "KV is down"}])
        first = store_of(admin)
        put(admin, project, "first", If_None_Match="*").raise_for_status()
    with Workerd(folder, worker=WINDOW, kv=other) as worker, worker.client() as admin:
        assert store_of(admin) != first
        assert admin.get(kv(project)).status_code == 404
        put(admin, project, "second", If_None_Match="*").raise_for_status()
        until(lambda: admin.get(f"/_kv/NIMBUS_KV/{project}").text, "second")
        # What still waited for the first namespace was not written to this one.
        assert len(admin.get("/_puts", params={"key": project}).json()) == 1
    with Workerd(folder, worker=WINDOW, kv=kept) as worker, worker.client() as admin:
        assert store_of(admin) == first
        assert admin.get(kv(project)).headers["ETag"] == etag("first")
        until(lambda: admin.get(f"/_kv/NIMBUS_KV/{project}").text, "first")


def test_without_a_common_namespace_the_identity_stands_with_the_pages(tmp_path: Path) -> None:
    namespaces = ["NIMBUS_PAGES", "NIMBUS_KEYS"]
    with Workerd(tmp_path, worker=WINDOW, namespaces=namespaces) as worker, worker.client() as admin:
        assert admin.get(f"/_kv/NIMBUS_PAGES/{IDENTITY}").status_code == 404
        assert store_of(admin) == admin.get(f"/_kv/NIMBUS_PAGES/{IDENTITY}").text
        assert code_of(put(admin, "unknown:1", "1")) == (503, "store_unavailable")
        assert put(admin, "page:1", "1").status_code == 200


def test_without_any_namespace_the_answer_says_so(tmp_path: Path) -> None:
    with Workerd(tmp_path, namespaces=[]) as worker, worker.client() as admin:
        answer = admin.get("/")
        assert code_of(answer) == (503, "store_unavailable")
        assert "NIMBUS_KV" in answer.json()["error"]["message"]
