"""Copies of pictures: smaller ones in place of the originals, narrower ones beside them. The originals stay."""

from __future__ import annotations

import contextlib
import resource
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from pictures import animation
from test_images_and_files import FOLDER, PNG, good, picture, records

if TYPE_CHECKING:
    from pathlib import Path

    from kit import Site


def photo(width: int = 200, height: int = 200) -> bytes:
    """Return a picture that gets smaller as JPEG or WebP, as PNG."""
    import pyvips

    noise = pyvips.Image.gaussnoise(width, height, seed=1).gaussblur(2).cast("uchar")
    return bytes(noise.bandjoin([noise, noise]).copy(interpretation="srgb").pngsave_buffer())


def dots() -> bytes:
    """Return a picture that does not get smaller."""
    import pyvips

    return bytes((pyvips.Image.gaussnoise(200, 200) > 128).pngsave_buffer(bitdepth=1))


def read(data: bytes) -> tuple[str, int, int]:
    import pyvips

    picture = pyvips.Image.new_from_buffer(data, "")
    return picture.get("vips-loader"), picture.width, picture.height


def made(site: Site) -> dict[str, str]:
    """Return what the ledger says was made of pictures."""
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db")) as ledger:
        return dict(ledger.execute("SELECT original, copies FROM made").fetchall())


@pytest.mark.parametrize(
    ("settings", "command", "loader"),
    [
        ("", ("nimbus:assets:upload", "--files=dist/*.png", "--compress"), "webpload_buffer"),
        ("", ("assets", "--compress"), "webpload_buffer"),
        ('compress = "avif"\n', ("assets",), "heifload_buffer"),
        ('compress = "lossless"\n', ("upload",), "webpload_buffer"),
    ],
)
def test_pictures_are_sent_smaller_where_that_saves_bytes(
    site: Site, settings: str, command: tuple[str, ...], loader: str
) -> None:
    """A photo is stored as WebP or AVIF, once; what would not get smaller, or is no picture, is sent as it is."""
    site.settings(f'{FOLDER}include = ["*.png"]\npublic_url = "https://img.example"\n{settings}')
    picture(site, "broken.png")
    picture(site, "dots.png", dots())
    digest = picture(site, "photo.png", photo())
    run = good(site.doit(*command, *([] if command[0] == "upload" else ["--json"])))
    assert (site / "dist/photo.png").read_bytes() == photo()
    by_path = {record["source_paths"][0]: record for record in records(site).values()}  # type: ignore[index]
    sent = by_path["dist/photo.png"]
    stored = (site / f".nimbus/blobs/{str(sent['sha256'])[:2]}/{sent['sha256']}").read_bytes()
    assert (read(stored), sent["size"], sent["original"]) == ((loader, 200, 200), len(stored), digest)
    assert (sent["width"], sent["height"]) == (200, 200)
    assert len(stored) < len(photo())
    assert by_path["dist/broken.png"]["content_type"] == "image/png"
    assert "lossless" in settings or by_path["dist/dots.png"]["content_type"] == "image/png"
    assert not (site / ".nimbus/copies").exists()
    assert good(site.doit("nimbus:assets:verify", "--json")).json["verified"] == 3
    assert f"smaller than the original, {digest}" in good(site.doit("nimbus:assets:list")).out
    # The pages get its address, whether the settings or an option said that it is compressed.
    site.page("a", "<img src=photo.png>")
    good(site.doit("validate"))
    assert str(sent["sha256"]) in good(site.doit("nimbus:apply", "--assets", "--dry-run", "--json")).out
    if command[0] != "upload":
        assert run.json["saved"] == len(photo()) - len(stored)
        before = made(site)
        again = good(site.doit(*command))
        assert ("(3 unchanged" in again.said, "saved by smaller copies" in again.said) == (True, False)
        assert made(site) == before


def test_a_picture_that_is_deleted_here_is_sent_as_it_is(site: Site) -> None:
    site.settings(f'{FOLDER}compress = "webp"\n')
    digest = picture(site, "photo.png", photo())
    options = ("nimbus:assets:upload", "--files=dist/*.png", "--delete-local")
    refused = site.doit(*options, "--compress")
    assert (refused.status, "mutually exclusive" in refused.said) == (2, True)
    assert good(site.doit(*options, "--json")).json["deleted"] == ["dist/photo.png"]
    assert list(records(site)) == [digest]


def change(site: Site, before: str, after: str) -> None:
    """Replace a part of the settings."""
    file = site / ".nimbus/project.toml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


WIDTHS = f'{FOLDER}public_url = "https://img.example"\nwidths = [50, 100, 400]\n'


def blob(site: Site, sha256: str) -> Path:
    return site.folder / f".nimbus/blobs/{sha256[:2]}/{sha256}"


def copies(site: Site, digest: str) -> list[dict[str, Any]]:
    """Return the copies that the record of a picture names, as far as the store has them."""
    location = records(site)[digest]["locations"]["folder"]  # type: ignore[index]
    found = location.get("copies", [])
    assert all(read(blob(site, each["sha256"]).read_bytes())[1:] == (each["width"], each["height"]) for each in found)
    return found


def test_narrower_copies_are_stored_with_a_picture_and_named_in_srcset(site: Site) -> None:
    site.settings(WIDTHS)
    digest = picture(site, "w.jpg", photo())
    done = good(site.doit("upload")).said
    assert "📐 Narrower copies of these pictures: 2" in done
    found = copies(site, digest)
    assert [(each["width"], each["content_type"]) for each in found] == [(50, "image/png"), (100, "image/png")]
    assert list(records(site)) == [digest]
    listed = good(site.doit("nimbus:assets:list")).out
    assert f"50 px: {found[0]['url']}" in listed
    assert "1 file and 2 narrower copies, " in listed
    said = "Verified 3 files in .nimbus/blobs, 2 of them narrower copies of pictures: 0 wrong"
    assert said in good(site.doit("nimbus:assets:verify")).out

    # They are in the pages, and after the next build again.
    before = (site / "dist/a.html").read_bytes()
    start, end = before.split(b'"w.jpg"')
    for _ in range(2):
        (site / "dist/a.html").write_bytes(before)
        good(site.doit("nimbus:apply", "--assets"))
        after = (site / "dist/a.html").read_bytes()
        assert (after[: len(start)], after[-len(end) :]) == (start, end)
        address = "https://img.example/{0[0]}{0[1]}/{0}".format
        urls = [*(f"{address(each['sha256'])} {each['width']}w" for each in found), f"{address(digest)} 200w"]
        srcset = f' width="200" height="200" srcset="{", ".join(urls)}" sizes="(max-width: 200px) 100vw, 200px"'
        assert after[len(start) : -len(end)].decode() == f'"{address(digest)}"{srcset}'
        good(site.doit("nimbus:apply", "--assets"))
        assert (site / "dist/a.html").read_bytes() == after


def test_copies_are_made_once_and_again_where_they_are_missing(site: Site) -> None:
    site.settings(WIDTHS)
    digest = picture(site, "w.jpg", photo())
    good(site.doit("assets"))
    known, (first, second) = made(site), [each["sha256"] for each in copies(site, digest)]
    # A rebuild that writes the same bytes: nothing is made, nothing is sent.
    (site / "dist/w.jpg").unlink()
    picture(site, "w.jpg", photo())
    assert good(site.doit("assets", "--json")).json["unchanged"] == 1
    assert made(site) == known
    # Other widths: only what is new is sent, and the record names what there should be.
    change(site, "[50, 100, 400]", "[100, 150]")
    assert good(site.doit("assets", "--json")).json["uploaded"] == 1
    assert [each["width"] for each in copies(site, digest)] == [100, 150]
    # A copy that is gone from the store is made again.
    blob(site, copies(site, digest)[0]["sha256"]).unlink()
    assert site.doit("nimbus:assets:verify").status == 1
    assert good(site.doit("assets", "--json")).json["uploaded"] == 1
    assert [each["width"] for each in copies(site, digest)] == [100, 150]
    # Nothing uses the copies that were made before; the others belong to the picture.
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db", isolation_level=None)) as ledger:
        ledger.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")
    assert list(good(site.doit("nimbus:assets:prune", "--json")).json["files"]) == sorted([first, second])
    change(site, "[100, 150]", "[]")
    assert good(site.doit("assets", "--json")).json["recorded"] == 1
    assert copies(site, digest) == []


def test_the_copies_of_what_a_pointer_names_stay(site: Site) -> None:
    site.settings(WIDTHS)
    digest = picture(site, "chart.png", photo())
    good(site.doit("nimbus:assets:upload", "--files=dist/chart.png", "--group=a", "--variant=b"))
    site.remove("dist/chart.png")
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db", isolation_level=None)) as ledger:
        ledger.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")
    assert good(site.doit("nimbus:assets:prune", "--json")).json["files"] == {}
    assert len(copies(site, digest)) == 2


def test_a_killed_upload_of_copies_is_resumed(site: Site) -> None:
    site.settings(f'{WIDTHS}include = ["*.png"]\nconcurrency = 1\n')
    digests = [picture(site, f"{number:02}.png", photo(150 + number)) for number in range(6)]
    with site.start("assets", "--verbose") as running:
        running.until("[2/6]")
        running.process.kill()
    known = made(site)
    assert len(known) == 6
    done = good(site.doit("assets", "--json")).json
    assert done["uploaded"] + done["recorded"] + done["unchanged"] == 6
    assert made(site) == known
    assert [len(copies(site, digest)) for digest in digests] == [2] * 6
    stored = [path.name for path in (site / ".nimbus/blobs").rglob("*") if path.is_file()]
    assert len(stored) == 18


def test_animations_and_vector_graphics_stay_as_they_are(site: Site) -> None:
    site.settings(f'{WIDTHS}compress = "webp"\ninclude = ["*"]\nexclude = ["*.html"]\n')
    kept = {
        picture(site, name, content)
        for name, content in (
            ("a.gif", animation("GIF")),
            ("a.webp", animation("WEBP")),
            ("a.png", animation("PNG")),
            ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="900"/>'),
        )
    }
    good(site.doit("assets"))
    assert set(records(site)) == kept
    assert not any(copies(site, digest) for digest in kept)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("widths = [480, 0]", "[assets] widths"),
        ("widths = [-1]", "[assets] widths"),
        ('widths = ["wide"]', "[assets] widths"),
        ('compress = "jpeg"', "[assets] compress"),
    ],
)
def test_settings_that_mean_no_picture_are_named(site: Site, settings: str, why: str) -> None:
    site.settings(f"{FOLDER}{settings}\n")
    run = site.doit("assets")
    assert (run.status, run.said.count("❌")) == (2, 1)
    assert why in run.said


def test_without_the_library_one_line_says_what_to_install(site: Site) -> None:
    site.settings(WIDTHS)
    picture(site, "w.jpg", photo())
    site.write("hidden/sitecustomize.py", HIDE_PYVIPS)
    with site.start("assets", PYTHONPATH=str(site.folder / "hidden")) as running:
        assert running.end() == 2
    assert "❌ Pictures need pyvips and numpy. Run: pip install 'nimbus-tasks[images]'" in running.lines


HIDE_PYVIPS = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "pyvips" else find_spec(name, *more)
"""


def test_a_picture_that_cannot_be_read_is_sent_as_it_is_and_said_once(site: Site) -> None:
    site.settings(WIDTHS)
    digest = picture(site, "w.jpg", PNG.replace((3).to_bytes(4), (300).to_bytes(4)))
    assert "dist/w.jpg is sent as it is: The picture is truncated or damaged" in good(site.doit("assets")).said
    assert list(records(site)) == [digest]
    assert "as it is" not in good(site.doit("assets")).said


def test_a_full_disk_is_one_line_and_no_page_waits_for_it(site: Site) -> None:
    site.settings(WIDTHS)
    picture(site, "w.jpg", photo(600, 600))
    change(site, "400", "590")
    good(site.doit("validate"))
    good(site.doit("nimbus:assets:list"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    try:
        with site.start("assets") as running:
            assert running.end() == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (line,) = (line for line in running.lines if line.startswith("❌"))
    assert ".nimbus/copies/" in line
    assert "cannot be written: file too large. Free space" in line
    good(site.doit("assets"))
