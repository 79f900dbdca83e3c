"""Pages by their address: who may read them, in which form, and what is at no page's address."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from worker_requests import User, code_of, kv, new_project

from nimbus_tasks.html.addresses import path_on_site
from nimbus_tasks.html.render import to_html, to_markdown
from nimbus_tasks.model.keys import route_key, route_name

if TYPE_CHECKING:
    import httpx
    from edge.workerd import Workerd


def extraction(url: str, text: str) -> dict[str, Any]:
    return {
        "engine": "html",
        "main_selector": "main",
        "head": {"title": f"About {text}", "lang": "en"},
        "dimensions": {},
        "above_fold_blocks": [{"id": "block-0", "type": "p", "content": text}],
        "rest_of_page_blocks": [],
        "selector_map": {"block-0": "p"},
        "url": url,
    }


class Reading:
    """A project whose pages are read by their address."""

    def __init__(self, user: User, reader: httpx.Client, access: str, **record: object) -> None:
        self.user, self.reader, self.project = user, reader, new_project()
        settings = {"domain": "example.com", "content_access": access}
        self.put(
            f"project:{self.project}",
            {"project_id": self.project, "user_id": user.id, "name": "Watches", "settings": settings, **record},
        )

    def put(self, key: str, record: object, metadata: dict[str, str] | None = None) -> None:
        body = {"value": json.dumps(record), "options": {"metadata": metadata}}
        self.user.client.put(kv(key), json=body).raise_for_status()

    def page(self, url: str, text: str = "repairs", digest: str = "d") -> dict[str, Any]:
        """Store a page as an upload does, and return what its record holds of it."""
        page_id, held = f"page_{secrets.token_hex(6)}", extraction(url, text)
        record = {"page_id": page_id, "project_id": self.project, "batch_id": "b", "source_path": "dist/x.html"}
        shown = {"batch_id": "b", "uploaded": "2026-01-02T03:04:05.678Z", "digest": digest}
        more = {"url": url if len(url) < 400 else "", "title": held["head"]["title"], "description": ""}
        optimization = {"model": "rules", "optimized_blocks": []}
        full = record | {"uploaded": shown["uploaded"], "extraction": held, "optimization": optimization}
        self.put(f"page:{self.project}:{page_id}", full, shown | more)
        self.put(route_key(self.project, route_name(url)), {"page_id": page_id, "updated": shown["uploaded"]})
        return held

    def get(self, path: str, method: str = "GET", query: str = "", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.reader.request(method, f"{path}?project={self.project}{query}", headers=named)


@pytest.fixture
def public(user: User, nobody: httpx.Client) -> Reading:
    return Reading(user, nobody, "public")


def test_a_page_in_each_form(public: Reading) -> None:
    held = public.page("/docs/")
    told = public.get("/content/docs/")
    assert told.headers["Content-Type"] == "application/json"
    assert told.json()["extraction"] == held
    assert set(told.json()) == {"page_id", "source_path", "uploaded", "extraction"}  # no proposals, no batch
    for accept in ("text/markdown", "text/markdown, text/html;q=0.5", "text/*;q=0.1, text/markdown;q=0.2"):
        markdown = public.get("/content/docs/", Accept=accept)
        assert markdown.headers["Content-Type"] == "text/markdown; charset=utf-8"
        assert markdown.text == to_markdown(held)
    html = public.get("/content/docs/", Accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    assert html.text.replace('<base href="https://example.com/docs/">\n', "") == to_html(held)
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    assert public.get("/content/docs/", query="&format=markdown", Accept="text/html").text == to_markdown(held)
    for accept in ("", "*/*", "application/json", "image/png", "text/html;q=x, a/b;q=0.5"):
        assert public.get("/content/docs/", Accept=accept).headers["Content-Type"] == "application/json"
    assert code_of(public.get("/content/docs/", query="&format=pdf")) == (400, "bad_request")


def test_a_reader_keeps_what_it_has_as_long_as_it_is_the_same(public: Reading) -> None:
    public.page("/a.html")
    first = public.get("/content/a.html")
    assert first.headers["Cache-Control"] == "public, max-age=60, stale-while-revalidate=600"
    assert (first.headers["Vary"], first.headers["Access-Control-Allow-Origin"]) == ("Accept", "*")
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = public.get("/content/a.html", If_None_Match=known)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert public.get("/content/a.html", If_None_Match=tag, Accept="text/markdown").status_code == 200
    head = public.get("/content/a.html", "HEAD")
    assert (head.status_code, head.content, head.headers["ETag"]) == (200, b"", tag)
    public.page("/a.html", "sells")
    changed = public.get("/content/a.html", If_None_Match=tag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


PATHS = ["/", "/é/ü.html", "/日本語/", "/a b.html", "/100%.html", "/a+b;c=d@e,f.html", "/'(x)!~*$&:.html"]


def test_addresses_in_any_script_and_of_any_length(public: Reading) -> None:
    for path in [*PATHS, "/" + "ö" * 200]:
        url = path_on_site(quote(path))
        public.page(url, f"at {path}")
        for asked in (quote(path), quote(path).lower(), quote(path, safe="/!$&'()*+,;:@~")):
            told = public.get(f"/content{asked}")
            assert told.json()["extraction"]["above_fold_blocks"][0]["content"] == f"at {path}", asked


NOT_PATHS = ["none", "/a.html", "a%2Fb.html", "a%5Cb", "a%00", "%FF", "%", "a%0Ab", "..%2f..%2fkv", "a.html/"]


@pytest.mark.parametrize("path", [*NOT_PATHS, "a/index.html", "x" * 5000, "__proto__"])
def test_what_is_no_page_is_not_found(public: Reading, path: str) -> None:
    public.page("/b.html")
    told = public.get(f"/content/{path}")
    if told.status_code == 308:
        told = public.reader.get(told.headers["Location"])
    assert code_of(told) == (404, "not_found")
    assert told.headers["Cache-Control"] == "no-store"


def test_other_methods_and_parameters_are_refused(public: Reading) -> None:
    public.page("/b.html")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        told = public.get("/content/b.html", method)
        assert code_of(told) == (405, "method_not_allowed")
        assert told.headers["Allow"] == "GET, HEAD"
    assert code_of(public.get("/content/b.html", query="&x=1")) == (400, "bad_request")
    assert code_of(public.reader.get("/content/b.html?project=proj_x")) == (404, "not_found")
    assert code_of(public.reader.get("/content/b.html")) == (404, "not_found")  # this Worker has no project of its own


def test_a_page_whose_source_is_gone_is_not_found(public: Reading) -> None:
    public.page("/gone.html", digest="")
    assert code_of(public.get("/content/gone.html")) == (404, "not_found")
    assert "gone" not in public.get("/sitemap.xml").text


def test_addresses_as_hosts_of_static_sites_take_them(public: Reading) -> None:
    public.page("/guide.html")
    public.page("/docs/")
    for asked, found in (
        ("/guide", "/guide.html"),
        ("/guide/", "/guide.html"),
        ("/docs", "/docs/"),
        ("/docs/index.html", "/docs/"),
        ("/docs/index.htm", "/docs/"),
    ):
        told = public.get(f"/content{asked}")
        assert told.status_code == 308, asked
        assert told.headers["Location"] == f"/content{found}?project={public.project}"


def test_redirects_of_the_site(user: User, nobody: httpx.Client) -> None:
    site = Reading(
        user,
        nobody,
        "public",
        redirects=[
            {"from": "/old.html", "to": "/new.html#part", "status": 301},
            {"from": "/loop", "to": "/loop", "status": 301},
            {"from": "/blog/*", "to": "/news/:splat", "status": 308},
            {"from": "/shop/*", "to": "https://shop.example.com/", "status": 302},
            {"from": "/odd", "to": "/x", "status": 200},
            {"from": "/bad", "to": "javascript:x()"},
            {"from": 1},
        ],
    )
    site.page("/blog/kept.html")
    more = f"?project={site.project}"
    for asked, status, location in (
        ("/old.html", 301, f"/content/new.html{more}#part"),
        ("/blog/2026/a.html", 308, f"/content/news/2026/a.html{more}"),
        ("/shop/x", 302, "https://shop.example.com/"),
        ("/odd", 301, f"/content/x{more}"),
    ):
        told = site.get(f"/content{asked}")
        assert (told.status_code, told.headers["Location"]) == (status, location)
    assert site.get("/content/blog/kept.html").status_code == 200  # a page comes first
    for asked in ("/loop", "/bad"):
        assert code_of(site.get(f"/content{asked}")) == (404, "not_found")


def test_only_the_owner_reads_where_a_key_is_asked_for(user: User, other: User, nobody: httpx.Client) -> None:
    site = Reading(user, nobody, "key")
    site.page("/a.html")
    path = f"/content/a.html?project={site.project}"
    for each in (path, path.replace("/content/a.html", "/llms.txt"), path.replace("/content/a.html", "/sitemap.xml")):
        assert code_of(nobody.get(each)) == (401, "unauthorized")
        assert code_of(other.client.get(each)) == (403, "forbidden")
        told = user.client.get(each)
        assert told.status_code == 200
        assert told.headers["Cache-Control"].startswith("private, ")
        assert told.headers["Vary"] == "Accept, Authorization"
        assert "Access-Control-Allow-Origin" not in told.headers


def test_without_the_setting_there_is_nothing(user: User, nobody: httpx.Client) -> None:
    for access in ("", "off", "Public"):
        site = Reading(user, nobody, access)
        site.page("/a.html")
        for client in (nobody, user.client):
            assert code_of(client.get(f"/content/a.html?project={site.project}")) == (404, "not_found")


def test_a_key_that_only_reads_content(user: User, worker: Workerd, nobody: httpx.Client) -> None:
    site = Reading(user, nobody, "key")
    site.page("/a.html")
    key = worker.new_key(user.id, scope="content")
    with worker.client(key) as reader:
        assert reader.get(f"/content/a.html?project={site.project}").status_code == 200
        for path in ("/", kv(f"project:{site.project}"), kv(f"apikeys:{user.id}"), "/keys?prefix=page"):
            assert code_of(reader.get(path)) == (403, "forbidden")
        assert code_of(reader.put("/bulk", json=[])) == (403, "forbidden")


def test_lists_of_the_pages(public: Reading) -> None:
    public.page("/b/", "[b] & c")
    public.page("/a.html", "a")
    public.page("/", "home")
    text = public.get("/llms.txt")
    assert text.headers["Content-Type"] == "text/plain; charset=utf-8"
    origin, more = str(public.reader.base_url).rstrip("/"), f"?format=markdown&project={public.project}"
    assert text.text == (
        "# Watches\n\n> The pages of https://example.com, as Markdown.\n\n## Pages\n\n"
        f"- [About home]({origin}/content/{more})\n"
        f"- [About a]({origin}/content/a.html{more})\n"
        f"- [About \\[b\\] & c]({origin}/content/b/{more})\n"
    )
    assert public.get("/llms.txt", If_None_Match=text.headers["ETag"]).status_code == 304
    assert public.reader.get(f"{origin}/content/a.html{more}").text.endswith("\na\n")
    told = public.get("/sitemap.xml")
    assert told.headers["Content-Type"] == "application/xml"
    assert told.text.count("<loc>") == 3
    assert "<url><loc>https://example.com/a.html</loc><lastmod>2026-01-02T03:04:05.678Z</lastmod></url>" in told.text
    assert public.get("/sitemap.xml", "HEAD").content == b""


def test_a_large_site_has_a_sitemap_of_sitemaps(user: User, nobody: httpx.Client) -> None:
    for pages, parts in ((10_001, 16), (300_000, 256)):
        site = Reading(user, nobody, "public", usage={"total_pages": pages})
        site.page("/a.html")
        told = site.get("/sitemap.xml")
        assert "<sitemapindex" in told.text
        assert told.text.count("<loc>") == parts
    found = [site.get("/sitemap.xml", query=f"&part={digit:x}").text.count("<url>") for digit in range(16)]
    assert sorted(found) == [0] * 15 + [1]
    assert code_of(site.get("/sitemap.xml", query="&part=xyz")) == (400, "bad_request")


def test_a_record_of_another_program_can_be_read_as_json(public: Reading) -> None:
    page_id = "page_0123456789ab"
    public.put(f"page:{public.project}:{page_id}", {"page_id": page_id, "extraction": {"blocks": []}})
    public.put(f"route:{public.project}:/x", {"page_id": page_id})
    assert public.get("/content/x").json() == {"page_id": page_id, "extraction": {"blocks": []}}
    assert code_of(public.get("/content/x", Accept="text/html")) == (406, "not_acceptable")
