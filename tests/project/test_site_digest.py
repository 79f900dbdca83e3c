"""The manifest's digest of the site follows each change of a map, and says the same of equal sites."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nimbus_tasks.model.issues import Issue
from nimbus_tasks.project.manifest import NEVER, Manifest, PageEntry

FLAW = Issue("x", "", "is wrong")
FILES = [f"{folder}{name}.json" for folder in ("", "deep/") for name in "ab"]

files = st.sampled_from(FILES)
entries = st.builds(
    lambda page, digest, flawed: PageEntry(NEVER, page, f"page_{page}", digest, 1, (FLAW,) if flawed else ()),
    st.sampled_from("12"),
    st.sampled_from("xyz"),
    st.booleans(),
)
Step = dict[str, PageEntry] | list[str] | set[str]
#: Maps that are put, removed, and all that conflict from then on.
steps = st.one_of(st.dictionaries(files, entries), st.lists(files), st.sets(files))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".nimbus").mkdir()
    return tmp_path


@given(st.lists(steps))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_depends_on_the_valid_pages_alone(project: Path, steps: list[Step]) -> None:
    for file in project.glob(".nimbus/manifest/*"):
        file.unlink()
    manifest = Manifest(project / ".nimbus/manifest/one.db")
    for changed in steps:
        if isinstance(changed, dict):
            manifest.pages.put(changed.items())
        elif isinstance(changed, set):
            manifest.pages.set_conflicts({file: FLAW for file in changed if file in manifest.pages})
        else:
            manifest.pages.remove(changed)
    valid = dict(manifest.pages.where("NOT invalid"))
    other = Manifest(project / ".nimbus/manifest/other.db")
    other.pages.put(reversed(valid.items()))
    assert int(manifest.fact("site") or "0", 16) == int(other.fact("site") or "0", 16)
    # At once, and not at the end of a run: one that is killed before its end does not look as if nothing changed.
    other.pages.put([("c.json", PageEntry(NEVER, "c", "page_c", "x", 1))])
    assert manifest.fact("site") != other.fact("site")
    manifest.close()
    other.close()
