"""A build that stamps every page: what is sent, what is named, and what a dry run shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kit import Site, html

if TYPE_CHECKING:
    from pathlib import Path

NAMES = "abcdef"
A, B = "dist/a.html", "dist/b.html"


def build(site: Site, stamp: str, text: str = "", block: str = "") -> None:
    """Build the site with a stamp in each head, and one in a block of each page."""
    head = f'<meta name="build" content="{stamp}"><meta property="og:type" content="website">'
    for name in NAMES:
        page = html(f"All about {name}. {text if name == 'a' else ''}", f"Page {name}", head)
        site.write(f"dist/{name}.html", page.replace("</main>", f"{block}</main>"))


@pytest.fixture
def stamped(tmp_path: Path) -> Site:
    site = Site.new(tmp_path)
    build(site, "1")
    site.publish()
    return site


def test_a_new_build_stamp_is_named_with_the_setting_that_then_silences_it(stamped: Site) -> None:
    build(stamped, "2")
    for options in (["--dry-run"], []):
        out = stamped.publish(*options).out
        assert "6 of the 6 changed pages that were compared differ in nothing but `build` in the head." in out
        assert '   ignore_head = ["build"]\n' in out
    assert stamped.report()["volatile"]["values"] == ["build"]
    stamped.settings(ignore_head='["build"]')
    stamped.publish()
    build(stamped, "3", text="Edited.")
    assert "differ in nothing but" not in stamped.publish().out
    assert stamped.sent() == {A: "changed"}
    build(stamped, "4", text="Edited.")
    stamped.publish()
    assert "build" not in stamped.store.page(A)["extraction"]["head"]
    assert "6 pages published\n" in stamped.doit().out


def test_a_stamp_in_a_block_is_named_too(stamped: Site) -> None:
    stamped.settings(ignore='[".ad"]')
    build(stamped, "1", block='<p class="stamp">Built 1</p><p>On 1</p>')
    stamped.publish()
    build(stamped, "1", block='<p class="stamp">Built 2</p><p>On 2</p>')
    out = stamped.publish("--dry-run").out
    assert 'differ in nothing but the block "On 2" and the block p.stamp.' in out
    assert '   ignore = [".ad", "p.stamp"]\n' in out
    assert "put data-nimbus-ignore on its element" in out


def test_other_changes_are_no_stamps(stamped: Site) -> None:
    for name in NAMES:
        stamped.page(name, f"Rewritten {name}.")
    document = stamped.publish("--dry-run", "--json").json
    assert (document["reasons"], "volatile" in document) == ({"changed": 6}, False)


def test_a_dry_run_shows_what_changed_on_each_page(stamped: Site) -> None:
    build(stamped, "1", text="Edited.")
    secret = "cf-token-0123456789"
    stamped.page("b", f"All about b. {'word ' * 40}{secret}")
    out = stamped.doit("upload", "--dry-run", "--diff", CLOUDFLARE_API_TOKEN=secret).out
    assert '      /above_fold_blocks/1/content: "All about a." → "All about a. Edited."\n' in out
    assert '      /head/build: gone: "1"\n' in out
    assert secret[:9] not in out
    run = stamped.doit("upload", "--dry-run", "--diff", "--json", CLOUDFLARE_API_TOKEN=secret)
    assert secret[:9] not in run.said
    diffs = {page["path"]: page["differences"] for page in run.json["diffs"]}
    assert diffs.keys() == {A, B}
    assert diffs[A] == [
        {"pointer": "/above_fold_blocks/1/content", "before": "All about a.", "after": "All about a. Edited."}
    ]


def test_a_page_that_the_target_cannot_show_says_so(stamped: Site) -> None:
    build(stamped, "1", text="Edited.")
    stamped.change_store("UPDATE kv SET value = 'x' WHERE key LIKE 'page:%'")
    assert "its record at the target cannot be read" in stamped.doit("upload", "--dry-run", "--diff").out


def test_diff_is_for_dry_runs(stamped: Site) -> None:
    run = stamped.doit("upload", "--diff")
    assert (run.status, "--diff needs --dry-run." in run.said) == (2, True)


# --- --path -------------------------------------------------------------------------------------------


def test_a_pattern_sends_these_pages_and_leaves_the_others_for_later(stamped: Site) -> None:
    build(stamped, "2")
    stamped.remove("dist/f.html")
    out = stamped.publish("--path=a.html").out
    assert "4 changed pages left for later by --path" in out
    assert stamped.sent() == {A: "changed"}
    assert stamped.summary()[B] == "waiting"
    stamped.publish("--path", "dist/a.*", "--force")
    assert stamped.sent() == {A: "forced"}
    stamped.publish()
    assert stamped.sent() == dict.fromkeys((f"dist/{n}.html" for n in "bcde"), "changed") | {"dist/f.html": "removed"}


def test_a_pattern_that_matches_no_page_is_an_error(stamped: Site) -> None:
    for command in ("upload", "nimbus:upload", "nimbus:process --once", "nimbus:apply"):
        run = stamped.doit(*command.split(), "--path=nowhere/")
        assert run.status == 2, run.said
        assert "--path=nowhere/ matches none of the 6 pages. Patterns are as in .gitignore" in run.said


def test_processing_and_applying_take_the_pages_of_a_pattern(stamped: Site) -> None:
    for name in "ab":
        text = "Our  office is is open  daily ,  we repair  all watches very very well. " * 3
        stamped.write(f"dist/{name}.html", html(text, f"Page {name}").replace('alt="A watch"', ""))
    stamped.publish()
    document = stamped.doit("nimbus:process", "--until-empty", "--path=[ab].html", "--json").json
    assert document["done"] == 2
    assert sorted(stamped.store.queue) == [f"dist/{name}.html" for name in "cdef"]
    applied = stamped.doit("nimbus:apply", "--path=b.html", "--dry-run", "--json").json
    assert [page["path"] for page in applied["pages"]] == [B]
