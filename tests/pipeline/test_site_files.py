"""On disk, a page is the old one or the new one, the old one is kept, and nothing else is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nimbus_tasks.html.apply.diff import diff
from nimbus_tasks.model.errors import SourceError, StateError
from nimbus_tasks.pipeline import site_files as files

OLD, NEW = b"<p>old\r\n", b"<p>new\r\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    page = tmp_path / "project" / "dist" / "local" / "a.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(OLD)
    page.chmod(0o640)
    return tmp_path / "project"


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_page_is_replaced_and_kept(root: Path) -> None:
    assert files.read_page(files.open_site(root, "dist"), "dist/local/a.html") == OLD
    backup = files.replace_page(files.open_site(root, "dist"), "dist/local/a.html", OLD, NEW, "20261121T100301Z")
    page = root / "dist/local/a.html"
    assert page.read_bytes() == NEW
    assert page.stat().st_mode & 0o777 == 0o640
    assert backup == root / ".nimbus/backup/20261121T100301Z/dist/local/a.html"
    assert backup.read_bytes() == OLD
    assert listing(root) == [".nimbus/backup/20261121T100301Z/dist/local/a.html", "dist/local/a.html"]


def test_a_second_run_with_the_same_stamp_keeps_the_first_page(root: Path) -> None:
    files.replace_page(files.open_site(root, "dist"), "dist/local/a.html", OLD, NEW, "now")
    backup = files.replace_page(files.open_site(root, "dist"), "dist/local/a.html", NEW, b"newer", "now")
    assert backup.read_bytes() == OLD
    assert (root / "dist/local/a.html").read_bytes() == b"newer"


def test_a_page_that_changed_meanwhile_stays(root: Path) -> None:
    with pytest.raises(SourceError, match="has changed in the meantime"):
        files.replace_page(files.open_site(root, "dist"), "dist/local/a.html", b"other", NEW, "now")
    assert listing(root) == ["dist/local/a.html"]
    assert (root / "dist/local/a.html").read_bytes() == OLD


def test_a_page_goes_into_another_folder(root: Path) -> None:
    output = root / "out"
    target = files.put_page(files.open_site(root, "dist", str(output)), "dist/local/a.html", NEW)
    assert target == output / "local/a.html"
    assert (target.read_bytes(), target.stat().st_mode & 0o777) == (NEW, 0o640)
    assert (root / "dist/local/a.html").read_bytes() == OLD
    files.put_page(files.open_site(root, "dist", str(output)), "dist/local/a.html", b"again")
    assert target.read_bytes() == b"again"


def test_the_whole_project_may_be_the_folder(root: Path) -> None:
    assert files.read_page(files.open_site(root, "."), "dist/local/a.html") == OLD
    assert files.read_page(files.open_site(root, ""), "dist/local/a.html") == OLD


def test_the_folder_itself_may_be_a_link(root: Path) -> None:
    (root / "linked").symlink_to("dist")
    assert files.read_page(files.open_site(root, "linked"), "linked/local/a.html") == OLD


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dist/local/a.html", "is not the path of a page"),
        ("dist/../secret.html", "is not the path of a page"),
        ("dist//local/a.html", "is not the path of a page"),
        ("./dist/local/a.html", "is not the path of a page"),
        ("", "is not the path of a page"),
        ("dist/a\0.html", "is not the path of a page"),
        ("other/a.html", "is not in dist"),
        ("dist-old/a.html", "is not in dist"),
        ("dist", "is not a plain file"),
        ("dist/local", "is not a plain file"),
        ("dist/none.html", "does not exist"),
        ("dist/link.html", "behind, a link"),
        ("dist/folder/a.html", "behind, a link"),
        ("dist/pipe.html", "is not a plain file"),
    ],
)
def test_only_plain_files_in_the_folder_are_pages(root: Path, path: str, reason: str) -> None:
    (root / "dist/link.html").symlink_to("local/a.html")
    (root / "dist/folder").symlink_to("local")
    os.mkfifo(root / "dist/pipe.html")
    for work in (
        lambda: files.read_page(files.open_site(root, "dist"), path),
        lambda: files.replace_page(files.open_site(root, "dist"), path, OLD, NEW, "now"),
        lambda: files.put_page(files.open_site(root, "dist", str(root / "out")), path, NEW),
    ):
        with pytest.raises(SourceError, match=reason):
            work()
    assert (root / "dist/local/a.html").read_bytes() == OLD
    assert not (root / "out").exists()


def test_another_folder_must_lead_elsewhere(root: Path) -> None:
    for output in (root / "dist", root / "dist/out", root / "out/../dist"):
        with pytest.raises(SourceError, match=r"(lies in dist,|is) the folder of the pages"):
            files.put_page(files.open_site(root, "dist", str(output)), "dist/local/a.html", NEW)
    (root / "out").mkdir()
    (root / "out/local").symlink_to(root / "dist/local")
    with pytest.raises(SourceError, match="behind, a link"):
        files.put_page(files.open_site(root, "dist", str(root / "out")), "dist/local/a.html", NEW)
    assert (root / "dist/local/a.html").read_bytes() == OLD


def test_what_cannot_be_written_is_said_and_leaves_nothing(root: Path) -> None:
    (root / "out").write_text("a file")
    with pytest.raises(StateError, match=r"cannot be written: (not a directory|file exists)"):
        files.put_page(files.open_site(root, "dist", str(root / "out")), "dist/local/a.html", NEW)
    (root / "out").unlink()
    (root / "out/local/a.html").mkdir(parents=True)
    with pytest.raises(StateError, match="cannot be written"):
        files.put_page(files.open_site(root, "dist", str(root / "out")), "dist/local/a.html", NEW)
    assert listing(root / "out") == []


def test_a_page_that_is_too_large_or_gone_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LARGEST", 4)
    with pytest.raises(SourceError, match="is larger than"):
        files.read_page(files.open_site(root, "dist"), "dist/local/a.html")
    (root / "dist/local/a.html").unlink()
    with pytest.raises(SourceError, match="does not exist"):
        files.read_page(files.open_site(root, "dist"), "dist/local/a.html")


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "cp1252"])
def test_the_difference_is_told_line_by_line(codec: str) -> None:
    before, after = (f"<p>é\r\n<p>{word}\r\n<p>c".encode(codec) for word in ("old", "new"))
    assert diff("dist/a.html", before, after) == (
        "--- a/dist/a.html\n+++ b/dist/a.html\n"
        "@@ -1,3 +1,3 @@\n <p>é\n-<p>old\n+<p>new\n <p>c\n\\ No newline at end of file\n"
    )
    assert diff("dist/a.html", before, before) == ""


def test_changes_that_are_far_apart_have_hunks_of_their_own() -> None:
    lines = [f"{n}\n" for n in range(1, 21)]
    before, after = ("".join(text).encode() for text in (lines, ["0\n", *lines[:9], "x\n", *lines[10:12], *lines[13:]]))
    assert diff("a", before, after).splitlines()[2:] == [
        "@@ -1,3 +1,4 @@", "+0", " 1", " 2", " 3",
        "@@ -7,10 +8,9 @@", " 7", " 8", " 9", "-10", "+x", " 11", " 12", "-13", " 14", " 15", " 16",
    ]  # fmt: skip
    assert diff("a", b"", b"a\n").splitlines()[2:] == ["@@ -0,0 +1 @@", "+a"]


def test_an_end_of_line_that_comes_or_goes_is_told_as_diff_tells_it() -> None:
    assert diff("a", b"<p>a\n", b"<p>a").endswith("-<p>a\n+<p>a\n\\ No newline at end of file\n")
    assert diff("a", b"<p>a\n", b"<p>b\n").endswith("-<p>a\n+<p>b\n")


def test_pages_without_an_encoding_of_ours_have_differences_too() -> None:
    assert "+b" in diff("a", b"<meta charset=iso-2022-jp>\na\xff", b"<meta charset=iso-2022-jp>\nb\xff")
