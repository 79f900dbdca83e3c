"""A page's map also depends on style sheets and on what the site's pages have in common: both are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from nimbus_tasks.model import keys
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.pipeline import extract as extracting
from nimbus_tasks.pipeline.explain import explain_page
from nimbus_tasks.pipeline.learn_chrome import learn_chrome
from nimbus_tasks.pipeline.rules import CHROME_FILE, read_chrome, read_rules
from nimbus_tasks.pipeline.snapshot import take_snapshot
from nimbus_tasks.project import settings
from nimbus_tasks.project.manifest import NEVER, Manifest, SourceEntry
from nimbus_tasks.project.settings import PROJECT_FILE

SETTINGS = '[project]\nid = "proj_0123456789ab"\nname = "x"\ncreated = "2026-01-02T03:04:05.678Z"\n'
SHEET = Path("dist/css/main.css")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(PROJECT_FILE).parent.mkdir()
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\n')
    SHEET.parent.mkdir(parents=True)


def extract(*, relearn: bool = False) -> extracting.Extraction:
    loaded = settings.load(Path())
    return extracting.extract(loaded, take_snapshot(loaded), silently, relearn=relearn)[0]


def nothing_to_do() -> bool:
    loaded = settings.load(Path())
    return extracting.plan_extraction(loaded, take_snapshot(loaded)).nothing_to_do


def write(name: str, body: str, css: str = "css/main.css") -> Path:
    page = f"<!doctype html><title>a</title><link rel=stylesheet href={css}><body>{body}"
    Path("dist", name).write_text(page)
    return Path(f".nimbus/maps/dist/{name}.json")


def write_site(pages: int, bar: str) -> list[Path]:
    return [write(f"{n}.html", f"<div class={bar}>The site</div><p>{n} is its own") for n in range(pages)]


def test_another_sheet_extracts_its_pages_again() -> None:
    made = write("a.html", "<p>shown<p class=x>hidden")
    extract()
    assert b"hidden" in made.read_bytes()
    # One that pages asked for, and that was missing.
    SHEET.write_text(".x { display: none }")
    assert extract().written == [str(made)]
    assert b"hidden" not in made.read_bytes()
    # The same content, written again.
    SHEET.write_text(".x { display: none }")
    assert nothing_to_do()
    SHEET.write_text(".y { display: none }")
    assert not nothing_to_do()
    assert extract().written == [str(made)]
    assert b"hidden" in made.read_bytes()
    SHEET.write_text(f".x {{ display: none }} {' ' * (8 << 20)}")
    assert extract().written == []
    SHEET.unlink()
    extract()
    assert nothing_to_do()


def test_what_pages_have_in_common_is_learnt_once() -> None:
    maps = write_site(4, "top")
    extract()
    assert read_chrome() is None
    assert b"The site" in maps[0].read_bytes()
    maps = write_site(12, "top")
    extract()
    assert read_chrome().selectors == ("body > div.top",)  # type: ignore[union-attr]
    assert all(b"The site" not in page.read_bytes() for page in maps)
    assert nothing_to_do()
    # Another template: what was learnt stays, until somebody asks.
    write_site(12, "bar")
    done = extract()
    assert done.outdated_chrome
    assert b"The site" in maps[0].read_bytes()
    assert not extract(relearn=True).outdated_chrome
    assert all(b"The site" not in page.read_bytes() for page in maps)
    assert extract(relearn=True).read == 0
    # It may be edited, and is part of the rules.
    Path(CHROME_FILE).write_text('{"pages": 12, "selectors": [], "version": 2}')
    assert extract().read == 12
    Path(CHROME_FILE).write_text('{"pages": 12, "selectors": ["p["], "version": 2}')
    with pytest.raises(SettingsError, match=r"chrome.json: chrome: 'p\[' is not a CSS selector"):
        extract()


def test_pages_that_cannot_be_read_teach_nothing() -> None:
    write_site(6, "top")
    rules = read_rules(settings.load(Path()), Manifest())
    assert not learn_chrome(rules, ["dist/1.html", "dist/gone.html"], 2)
    assert not Path(CHROME_FILE).exists()


def test_a_page_is_explained() -> None:
    SHEET.write_text("nav .x { display: none } .x { display: none } .y { color: red }")
    body = "<nav>menu<b class=x>one</b></nav><p>text<i class=x>two</i><b data-nimbus-ignore>three</b>"
    write("a.html", f"{body}<i class=x>{'long ' * 20}</i><a class=x>#</a><script>four</script><i class=z>five</i>")
    Path(PROJECT_FILE).write_text(SETTINGS + '[source]\nfolder = "dist"\nignore = [".z"]\n')
    loaded = settings.load(Path())
    manifest = Manifest()
    manifest.sources.put([("dist/a.html", SourceEntry(NEVER, "dist/a.json"))])
    page_id = keys.page_id(loaded.project.id, "dist/a.html")
    for path in ("dist/a.html", "./dist/a.html", "a.html", str(Path("dist/a.html").absolute()), page_id):
        page = explain_page(loaded, manifest, path)
        assert (page.path, page.main, page.blocks) == ("dist/a.html", "body", 1)
    assert [(each.words, each.why, each.text[:5]) for each in page.left_out] == [
        (1, "navigation", "menuo"),
        (1, "hidden by css/main.css: .x", "two"),
        (1, "hidden in the page", "three"),
        (20, "hidden by css/main.css: .x", "long "),
        (1, "[source] ignore: .z", "five"),
    ]


def test_what_cannot_be_explained_is_said() -> None:
    loaded = settings.load(Path())
    Path("dist/a.html").write_bytes(b"GIF8")
    assert explain_page(loaded, Manifest(), "dist/a.html").skipped == "not HTML but GIF"
    manifest = Manifest()
    manifest.sources.put([("dist/a.html", SourceEntry(NEVER, "dist/a.json"))])
    for name in ("b", "dist/b.html", "page_0123456789ab", "../a.html"):
        with pytest.raises(SettingsError, match=f"There is no page {name}. Nearest: dist/a.html"):
            explain_page(loaded, manifest, name)
    Path(PROJECT_FILE).write_text(SETTINGS)
    with pytest.raises(SettingsError):
        explain_page(settings.load(Path()), Manifest(), "dist/a.html")
