"""Pages by their address: a site is published through the Worker, and read there as a visitor would ask for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from edge.workerd import needs_workerd
from kit import Site, html, page_id
from worker_kit import give_miniflare, local_worker

if TYPE_CHECKING:
    from worker_kit import LocalWorker

EXAMPLE = Path(__file__).parents[2] / "examples/reader/read.py"
PUBLIC = '[content]\naccess = "public"'


def allow(site: Site, access: str) -> None:
    """Change who may read."""
    file = site / ".nimbus/project.toml"
    kept = file.read_text(encoding="utf-8").partition("[content]")[0]
    file.write_text(f'{kept}[content]\naccess = "{access}"\n', encoding="utf-8")


def stub(target: str) -> str:
    return f'<meta name=robots content=noindex><meta http-equiv=refresh content="0; url={target}">Moved.'


def routes(site: Site) -> dict[str, str]:
    """Return the address of each page that has a route in the embedded store."""
    values = site.store.values
    return {key.split(":", 2)[2]: value["page_id"] for key, value in values.items() if key.startswith("route:")}


def writes_of_an_edit(site: Site) -> int:
    site.page("a", "Edited.")
    assert site.doit("validate").status == 0
    return int(site.doit("upload", "--dry-run", "--json").json["cost"]["writes"])


def test_a_route_is_written_only_where_it_is_new(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", "b", "docs/index", settings=PUBLIC)
    assert site.doit().status == 0
    assert routes(site) == {
        "/a.html": page_id("dist/a.html"),
        "/b.html": page_id("dist/b.html"),
        "/docs/": page_id("dist/docs/index.html"),
    }
    without = Site.with_pages(tmp_path / "without", "a", "b", "docs/index")
    assert without.doit().status == 0
    assert writes_of_an_edit(site) == writes_of_an_edit(without)
    site.page("a/index")
    site.write("dist/c.html", html(head='<link rel="canonical" href="https://example.com/b.html">'))
    site.write("dist/index.htm", html())
    site.write("dist/index.html", html(title="Home"))
    run = site.doit()
    assert run.status == 0
    assert "dist/index.htm and dist/index.html have one address, /: only dist/index.htm is found by it." in run.said
    assert routes(site)["/a/"] == page_id("dist/a/index.html")
    assert routes(site)["/c.html"] == page_id("dist/c.html")  # a copy of b, which is found by its own address
    assert "-- upload" in site.doit().out  # nothing to do


def test_reading_is_switched_on_for_a_site_that_is_published(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", "b")
    assert site.doit().status == 0
    assert routes(site) == {}
    before = site.store
    site.settings(PUBLIC)
    assert site.doit().status == 0
    after = site.store
    assert len(routes(site)) == 2
    assert {key: value for key, value in after.values.items() if key.startswith("page:")} == {
        key: value for key, value in before.values.items() if key.startswith("page:")
    }
    assert after.project["settings"]["content_access"] == "public"


def test_redirects_are_data(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", settings=PUBLIC)
    site.write("dist/old/index.html", stub("../a.html"))
    site.write("dist/_redirects", "/before /a.html 302\n")
    site.write("dist/404.html", html(head='<meta name="generator" content="Hugo 0.120">'))
    assert site.doit().status == 0
    counts = site.doit("summarize", "--json").json["counts"]
    assert (counts["skipped"], counts["redirects"], counts["generated"]) == (2, 1, 1)
    assert "has no map: Hugo makes it" in site.doit("nimbus:explain", "--path=dist/404.html").out
    assert "has no map: only redirects to ../a.html" in site.doit("nimbus:explain", "--path=dist/old/index.html").out
    assert site.store.project["redirects"] == [
        {"from": "/old/", "to": "/a.html", "status": 301},
        {"from": "/before", "to": "/a.html", "status": 302},
    ]
    site.write("dist/_redirects", "")
    assert site.doit().status == 0  # only the redirects changed
    assert site.store.project["redirects"] == [{"from": "/old/", "to": "/a.html", "status": 301}]


@pytest.fixture
def published(tmp_path: Path) -> Any:
    site = Site.with_pages(tmp_path, "a", "b", "docs/index", settings=PUBLIC)
    site.write("dist/old.html", stub("/a.html"))
    give_miniflare(site)
    with local_worker(site) as worker:
        made = site.doit("nimbus:key:create", "--name=ci", "--json", **worker.settings())
        environment = worker.settings() | {"NIMBUS_API_KEY": made.json["key"]}
        run = site.doit(**environment)
        assert run.status == 0, run.said
        yield site, worker, environment


def get(worker: LocalWorker, path: str, **headers: str) -> httpx.Response:
    with httpx.Client(base_url=worker.url, headers=headers, trust_env=False) as client:
        return client.get(path)


def read(site: Site, worker: LocalWorker) -> str:
    """Run the example that makes a site from what it reads."""
    command = [sys.executable, str(EXAMPLE), worker.url, "mirror"]
    return subprocess.run(command, cwd=site.folder, capture_output=True, text=True, check=True).stdout


@needs_workerd
def test_the_worker_serves_what_was_published(published: tuple[Site, LocalWorker, dict[str, str]]) -> None:
    site, worker, environment = published
    told = get(worker, "/content/a.html")
    assert told.json()["source_path"] == "dist/a.html"
    assert "All about a." in get(worker, "/content/a.html", Accept="text/markdown").text
    rendered = site.doit("nimbus:render", "--path=dist/a.html", "--format=markdown").out
    assert get(worker, "/content/a.html", Accept="text/markdown").text in rendered
    moved = get(worker, "/content/old.html")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/content/a.html")
    assert "https://example.com/docs/" in get(worker, "/sitemap.xml").text
    assert "[Page a](" in get(worker, "/llms.txt").text
    assert read(site, worker) == "3 pages, 3 changed\n"
    assert read(site, worker) == "3 pages, 0 changed\n"
    assert "<h1>Page docs/index</h1>" in (site / "mirror/docs/index.html").read_text()
    site.page("a", "Edited.")
    site.remove("dist/b.html")
    assert site.doit(**environment).status == 0
    assert read(site, worker) == "2 pages, 1 changed\n"
    changed = get(worker, "/content/a.html", **{"If-None-Match": told.headers["ETag"]})
    assert changed.status_code == 200
    assert "Edited." in changed.text
    assert get(worker, "/content/b.html").status_code == 404
    allow(site, "key")
    key = site.doit("nimbus:key:create", "--name=reader", "--content", "--json", **worker.settings()).json["key"]
    assert site.doit(**environment).status == 0
    assert get(worker, "/content/a.html").status_code == 401
    assert worker.status(key, "/content/a.html") == 200
    assert worker.status(key, "/") == 403
    assert "only reads content" in site.doit("nimbus:key:list", **worker.settings()).out


def test_another_output_folder_keeps_the_pages(tmp_path: Path) -> None:
    """The build writes to `build` now, and says so in one setting: nothing is sent again."""
    site = Site.with_pages(
        tmp_path, "a", "docs/index", settings=f'[dimensions]\npatterns = ["dist/{{name}}.html"]\n{PUBLIC}'
    )
    site.write("dist/style.css", ".hidden { display: none }")
    site.write("dist/b.html", html(head='<link rel=stylesheet href="style.css"><p class=hidden>Not shown.</p>'))
    site.write("dist/old.html", stub("a.html"))
    assert site.doit().status == 0
    assert site.doit("nimbus:process", "--once").status == 0
    before = site.store
    (site / "dist").rename(site / "build")
    settings = (site / ".nimbus/project.toml").read_text(encoding="utf-8")
    moved = settings.replace('folder = "dist"', 'folder = "build"\nknown_as = "dist"')
    (site / ".nimbus/project.toml").write_text(moved, encoding="utf-8")
    run = site.doit()
    assert run.status == 0, run.said
    assert "Nothing to upload" in run.said or "-- upload" in run.said
    assert site.store == before
    assert site.doit("nimbus:explain", "--path=build/a.html").status == 0
    assert "All about a." in site.doit("nimbus:render", "--path=build/a.html").out
    site.page("a", "Edited.")
    (site / "dist/a.html").replace(site / "build/a.html")
    assert site.doit().status == 0
    assert site.store.text("dist/a.html") != before.text("dist/a.html")
    applied = site.doit("nimbus:apply", "--dry-run", "--json")
    assert all(not page["refused"] for page in applied.json["pages"])


def test_a_renamed_page_keeps_what_was_proposed(tmp_path: Path) -> None:
    site = Site.with_pages(tmp_path, "a", "b", "c", settings=PUBLIC)
    site.write("dist/b.html", html("It is  the the best   watch.", title="watch"))
    assert site.doit().status == 0
    assert site.doit("nimbus:process", "--once").status == 0
    before = site.store
    (site / "dist/b.html").rename(site / "dist/moved.html")
    site.page("d")
    site.doit("validate")
    told = site.doit("upload", "--dry-run", "--json")
    assert told.json["reasons"] == {"new": 1, "moved": 1}
    assert "moved      " in told.err
    run = site.doit()
    assert run.status == 0
    assert f"Moved: {page_id('dist/moved.html')}  dist/moved.html (was dist/b.html)" in run.said
    assert "1 page moved" in run.said
    after = site.store
    assert after.page("dist/moved.html")["optimization"] == before.page("dist/b.html")["optimization"]
    assert after.status("dist/moved.html") == "done"
    assert after.log("dist/moved.html")[-1]["message"] == "Done: renamed, and not queued again"
    assert after.status("dist/b.html") == "inactive"
    assert after.queue == ["dist/d.html"]
    batch = after.batches[max(after.batches)]
    assert (batch["status"], batch["summary"]["completed"], batch["summary"]["pending"]) == ("processing", 1, 1)
    assert routes(site)["/moved.html"] == page_id("dist/moved.html")
    assert site.doit("nimbus:reconcile", "--json").json["differences"] == []
