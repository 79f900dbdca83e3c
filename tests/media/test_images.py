"""What becomes of pictures, good and bad. Pillow makes them and reads the results."""

from __future__ import annotations

import base64
import io
import os
import random
import signal
import zipfile
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from bench import Bench
from pictures import animation, encoded, interlaced, photo, png, read
from PIL import Image, ImageCms

from nimbus_tasks.media.errors import MediaError
from nimbus_tasks.media.images import ImageWorkers
from nimbus_tasks.media.thumbhash import thumbhash
from nimbus_tasks.media.values import Copies, CopiesWanted
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.settings import Images

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

RED, YELLOW, BLUE = (200, 30, 30), (240, 220, 90), (30, 30, 200)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><rect width="40" height="20" fill="#c81e1e"/></svg>'


def near(picture: Image.Image, at: tuple[float, float], colour: tuple[int, int, int], within: int = 12) -> bool:
    """Return whether the pixel at this part of the picture's width and height has about this colour."""
    found = picture.convert("RGB").getpixel((int(at[0] * picture.width), int(at[1] * picture.height)))
    return all(abs(one - other) <= within for one, other in zip(found, colour, strict=True))


def test_a_picture_becomes_a_main_picture_a_thumbnail_and_a_placeholder(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(encoded(photo(3000, 2000), quality=60))
    made = bench.process(file, "image/jpeg")
    assert (made.width, made.height, made.frames, made.content_type) == (3000, 2000, 1, "image/jpeg")
    assert (made.main.width, made.main.height, made.main.content_type) == (2048, 1365, "image/jpeg")
    assert (made.thumbnail.width, made.thumbnail.height, made.thumbnail.content_type) == (256, 171, "image/webp")
    for each in (made.main, made.thumbnail):
        picture = read(each.data)
        assert picture.size == (each.width, each.height)
        assert near(picture, (0.2, 0.2), RED)
        assert near(picture, (0.2, 0.8), YELLOW)
        assert near(picture, (0.8, 0.5), BLUE)
    assert 5 < len(base64.b64decode(made.placeholder)) < 30


@pytest.mark.parametrize(
    ("form", "mode", "main"),
    [
        ("JPEG", "L", "image/jpeg"),
        ("JPEG", "CMYK", "image/jpeg"),
        ("PNG", "RGBA", "image/png"),
        ("PNG", "P", "image/png"),
        ("PNG", "1", "image/png"),
        ("WEBP", "RGB", "image/webp"),
        ("GIF", "P", "image/gif"),
        ("AVIF", "RGB", "image/jpeg"),
        ("AVIF", "RGBA", "image/webp"),
        ("TIFF", "CMYK", "image/jpeg"),
        ("HEIF", "RGB", "image/jpeg"),
    ],
)
def test_formats_and_colour_models_become_srgb_or_grey(bench: Bench, form: str, mode: str, main: str) -> None:
    if form == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    picture = photo(mode=mode)
    if mode == "RGBA":
        picture.putpixel((0, 0), (0, 0, 0, 0))
    made = bench.process(encoded(picture, form))
    assert (made.width, made.height, made.main.content_type) == (320, 240, main)
    result = read(made.main.data)
    assert result.mode in ("RGB", "RGBA", "L", "P", "1")
    # CMYK has other colours than Pillow's simple formula says.
    for at in (0.2, 0.2), (0.2, 0.8), (0.8, 0.5):
        x, y = int(at[0] * 320), int(at[1] * 240)
        colour = picture.convert("RGB").getpixel((x, y))
        assert near(result, at, colour, 120 if mode == "CMYK" else 14)


def test_16_bit_becomes_8_bit(bench: Bench) -> None:
    grey = Image.fromarray(np.full((48, 64), 0x8000, np.uint16))
    result = read(bench.process(encoded(grey, "PNG")).main.data)
    assert (result.mode, result.getpixel((9, 9))) == ("L", 128)


def test_colour_profiles_are_applied_and_dropped(bench: Bench) -> None:
    # A picture in Lab's profile is not at hand: one whose red and blue are exchanged tells as well.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = {name: profile.index(name) for name in (b"rXYZ", b"bXYZ")}
    swapped = bytearray(profile)
    swapped[at[b"rXYZ"] : at[b"rXYZ"] + 4], swapped[at[b"bXYZ"] : at[b"bXYZ"] + 4] = b"bXYZ", b"rXYZ"
    result = read(bench.process(encoded(photo(), "PNG", icc_profile=bytes(swapped))).main.data)
    assert near(result, (0.2, 0.2), BLUE, 25)
    assert near(result, (0.8, 0.5), RED, 25)
    assert "icc_profile" not in result.info
    damaged = bench.process(encoded(photo(), "PNG", icc_profile=b"no profile" * 20))
    assert near(read(damaged.main.data), (0.2, 0.2), RED)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(bench: Bench, orientation: int) -> None:
    turn = Image.Transpose
    how = {
        **{2: turn.FLIP_LEFT_RIGHT, 3: turn.ROTATE_180, 4: turn.FLIP_TOP_BOTTOM, 5: turn.TRANSPOSE},
        **{6: turn.ROTATE_90, 7: turn.TRANSVERSE, 8: turn.ROTATE_270},
    }.get(orientation)
    stored = photo() if how is None else photo().transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    made = bench.process(encoded(stored, exif=exif, quality=90))
    assert (made.width, made.height) == (320, 240)
    for each in (made.main, made.thumbnail):
        result = read(each.data)
        assert result.size == (each.width, each.height) == ((320, 240) if each is made.main else (256, 192))
        assert near(result, (0.2, 0.2), RED)
        assert near(result, (0.2, 0.8), YELLOW)
        assert near(result, (0.8, 0.5), BLUE)
        assert result.getexif().get(0x0112, 1) == 1


def test_place_camera_and_comments_are_dropped_and_the_owner_stays(bench: Bench) -> None:
    exif = Image.Exif()
    exif[0x8298], exif[0x013B], exif[0x010F], exif[0x010E] = "© Ada", "Ada", "SecretCam", "at home"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 36.0)})
    exif.get_ifd(0x8769).update({0x9003: "2026:01:01 10:00:00", 0xA431: "SERIAL-1"})
    data = encoded(photo(), exif=exif, comment=b"a comment", xmp=b"<x:xmpmeta>GPSLatitude</x:xmpmeta>")
    made = bench.process(data)
    kept = read(made.main.data).getexif()
    assert (kept.get(0x013B), 0x010F in kept, 0x010E in kept) == ("Ada", False, False)
    assert not kept.get_ifd(0x8825)
    assert 0x9003 not in kept.get_ifd(0x8769)
    for each in (made.main.data, made.thumbnail.data):
        assert not any(secret in each for secret in (b"SecretCam", b"SERIAL-1", b"2026:", b"GPSLat", b"a comment"))
    assert not read(made.thumbnail.data).getexif()


@pytest.mark.parametrize("form", ["GIF", "WEBP"])
def test_an_animation_stays_one(bench: Bench, form: str) -> None:
    data = animation(form)
    made = bench.process(data)
    assert (made.width, made.height, made.frames) == (64, 48, 3)
    result = read(made.main.data)
    assert (result.n_frames, result.size, result.info["loop"]) == (3, (64, 48), 0)  # type: ignore[attr-defined]
    result.seek(1)
    result.load()
    assert result.info["duration"] == 120
    assert near(result, (0.5, 0.5), (40, 100, 200))
    thumbnail = read(made.thumbnail.data)
    assert getattr(thumbnail, "n_frames", 1) == 1
    assert near(thumbnail, (0.5, 0.5), (0, 100, 200))


def test_a_large_animation_shrinks_frame_by_frame(runner: asyncio.Runner) -> None:
    bench = Bench(runner, Images(processes=1, max_side=32))
    result = read(bench.process(animation("GIF")).main.data)
    bench.close()
    assert (result.n_frames, result.size) == (3, (32, 24))  # type: ignore[attr-defined]


# --- bad files ----------------------------------------------------------------------------------------


def truncated(form: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8))
    data = encoded(noise, form)
    return data[: len(data) // 2]


BAD = {
    "0 bytes": (b"", "image/jpeg", "not_an_image"),
    "text": (b"hello" * 100, "image/jpeg", "not_an_image"),
    "a page": (b"<!doctype html><svg onload=alert(1)>", "image/svg+xml", "not_an_image"),
    "a PDF": (b"%PDF-1.7" + encoded(photo()), "", "not_an_image"),
    "a header and nothing": (b"\xff\xd8\xff\xe0", "image/jpeg", "damaged"),
    "wrong type": (encoded(photo(), "PNG"), "image/jpeg", "wrong_type"),
    "a type that is no picture": (encoded(photo(), "PNG"), "text/html; charset=utf-8", "wrong_type"),
    "bomb": (png(50_000, 50_000, bytes(10_000_000)), "image/png", "too_many_pixels"),
    "a bomb that says it is small": (png(100, 100, bytes(200_000_000))[:-40], "image/png", "damaged"),
    "bomb in SVG": (
        b'<!DOCTYPE svg [<!ENTITY a "AAAAAAAAAA">'
        + b"".join(b'<!ENTITY %c "%s">' % (c + 1, b"&%c;" % c * 30) for c in range(ord("a"), ord("j")))
        + b']><svg xmlns="http://www.w3.org/2000/svg"><text>&j;</text></svg>',
        "image/svg+xml",
        "not_an_image",
    ),
    "SVG that is no XML": (b"<svg xmlns='http://www.w3.org/2000/svg'><g></svg>", "image/svg+xml", "not_an_image"),
    **{
        f"truncated {form}": (truncated(form), "", "damaged") for form in ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "TIFF")
    },
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_a_permanent_error_in_one_sentence(bench: Bench, name: str) -> None:
    data, declared, code = BAD[name]
    error = bench.error(data, declared)
    assert (error.code, error.kind, error.permanent) == (code, "invalid", True)
    assert str(error).endswith((".", ")"))
    assert "\n" not in str(error)


def test_a_declared_type_may_have_another_name_or_be_unknown(bench: Bench) -> None:
    for declared in ("image/jpg", "IMAGE/JPEG; q=1", "application/octet-stream", ""):
        assert bench.process(encoded(photo()), declared).content_type == "image/jpeg"


def test_what_follows_or_hides_in_a_picture_is_not_in_the_results(bench: Bench) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("evil.html", "<script>alert(1)</script>")
    for data in (
        encoded(photo()) + archive.getvalue(),
        encoded(photo(), comment=b"<script>alert(1)</script>") + b"<script>alert(1)</script>",
        encoded(photo(), "GIF", comment=b"*/alert(1)//<script>"),
        png(64, 64, bytes(65 * 64), tEXt=b"x\0<script>alert(1)</script>"),
    ):
        made = bench.process(data)
        for each in (made.main.data, made.thumbnail.data):
            assert b"<script" not in each
            assert b"PK\x03\x04" not in each


def test_100_megapixels_are_a_picture_like_others(bench: Bench) -> None:
    made = bench.process(png(10_000, 10_000, bytes(10_001 * 10_000)))
    assert (made.width, made.height, made.main.width) == (10_000, 10_000, 2048)


def test_too_much_memory_or_time_ends_one_picture_and_not_the_next(runner: asyncio.Runner) -> None:
    # An interlaced picture has to be in memory as a whole: this one takes 588 MB.
    whole = interlaced(14_000, 14_000)
    large = png(10_000, 10_000, bytes(10_001 * 10_000))
    for settings, data, code in (
        (Images(processes=1, memory=512), whole, "memory"),
        (Images(processes=1, cpu_seconds=0.05), large, "cpu_time"),
    ):
        bench = Bench(runner, settings)
        error = bench.error(data)
        assert (error.code, error.permanent) == (code, True)
        assert bench.process(encoded(photo(40, 30))).width == 40
        bench.close()


def test_no_answer_in_time_and_a_killed_process_are_temporary(runner: asyncio.Runner) -> None:
    bench = Bench(runner, Images(processes=1, timeout=0.01))
    error = bench.error(encoded(photo(4000, 3000)))
    assert (error.code, error.permanent, error.kind) == ("timeout", False, "server")
    bench.workers.settings = Images(processes=1)
    bench.process(encoded(photo()))
    (process,) = bench.workers._all
    os.kill(process._child.pid, signal.SIGSTOP)
    task = bench.workers.process(encoded(photo()))

    async def killed() -> None:
        import asyncio

        asked = asyncio.create_task(task)
        await asyncio.sleep(0)
        os.kill(process._child.pid, signal.SIGKILL)
        await asked

    with pytest.raises(MediaError) as raised:
        bench.run(killed())
    assert (raised.value.code, raised.value.permanent) == ("killed", False)
    assert bench.process(encoded(photo())).width == 320
    # One that died while nobody needed it is not asked.
    (process,) = bench.workers._all
    os.kill(process._child.pid, signal.SIGKILL)
    bench.run(process._child.wait())
    assert bench.process(encoded(photo())).width == 320
    bench.close()


def test_bytes_at_random_are_errors_and_never_more(bench: Bench) -> None:
    chance = random.Random(7)
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF"):
        good = encoded(photo(40, 30), form)
        for _ in range(12):
            data = bytearray(good)
            for _ in range(chance.randint(1, 30)):
                data[chance.randrange(12, len(data))] = chance.randrange(256)
            try:
                bench.process(bytes(data))
            except MediaError as error:
                assert error.permanent, error


def test_missing_extras_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'nimbus-tasks\[images\]'"):
        ImageWorkers()


# --- SVG ----------------------------------------------------------------------------------------------

HOSTILE = b"""<?xml version="1.0"?>
<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 40 20"
 onload="alert(1)"><script>alert(1)</script><x:script xmlns:x="http://www.w3.org/2000/svg">alert(2)</x:script>
<style>@import url(http://evil/x.css); @import "/beside.css"; .a{fill:url(http://evil/a)}
 .b{fill:url(/beside)} .c{fill:u\\72l(//evil)} .d{fill:url(#g)}</style>
<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="http://evil"/></body></foreignObject>
<a xlink:href="javascript:alert(1)"><rect width="40" height="20" fill="#c81e1e" onclick="alert(1)"/></a>
<image href="http://evil/a.png"/><image xlink:href="/beside.png"/><image href="data:image/svg+xml;base64,AAAA"/>
<image href="data:image/png;base64,AAAA" width="1"/><use href="#g"/><use href="beside.svg#g"/>
<rect style="fill:url('http://evil')" fill="url(//evil/#x)"/><set attributeName="onload" to="x"/>
<linearGradient id="g"><stop offset="0" stop-color="red"/></linearGradient>
</svg>"""


def test_svg_keeps_its_shapes_and_loses_all_that_could_act(bench: Bench) -> None:
    made = bench.process(HOSTILE, "image/svg+xml")
    main = made.main.data.decode()
    for gone in (
        "script",
        "alert",
        "evil",
        "beside",
        "foreignObject",
        "onload",
        "onclick",
        "ENTITY",
        "passwd",
        "import",
    ):
        assert gone not in main
    for kept in ('viewBox="0 0 40 20"', "#c81e1e", "url(#g)", 'href="#g"', "data:image/png;base64,AAAA"):
        assert kept in main
    assert (made.main.content_type, made.width, made.height) == ("image/svg+xml", 40, 20)
    assert near(read(bench.process(SVG).thumbnail.data), (0.5, 0.5), RED)


def test_svg_is_refused_by_setting(runner: asyncio.Runner) -> None:
    bench = Bench(runner, Images(processes=1, svg="refuse"))
    assert bench.error(SVG, "image/svg+xml").code == "svg_refused"
    bench.close()


# --- copies, pixels, placeholders ---------------------------------------------------------------------


def test_copies_are_narrower_or_of_its_own_size(bench: Bench) -> None:
    source = encoded(photo(800, 600))
    made = bench.run(bench.workers.copies(source, CopiesWanted((320, 640, 1024, 640), whole=True, into="image/webp")))
    assert [(each.width, each.height, each.content_type) for each in (*made.narrower, made.whole)] == [
        *((320, 240, "image/webp"), (640, 480, "image/webp"), (800, 600, "image/webp")),
    ]
    made = bench.run(bench.workers.copies(encoded(photo(60, 600), "PNG"), CopiesWanted((30, 60))))
    assert made.whole is None
    assert [(each.width, each.height, each.content_type) for each in made.narrower] == [(30, 300, "image/png")]
    avif = bench.run(bench.workers.copies(source, CopiesWanted(whole=True, into="image/avif")))
    assert read(avif.whole.data).size == (800, 600)


def test_lossless_copies_have_the_same_pixels_or_are_not_made(bench: Bench) -> None:
    wanted = CopiesWanted((100,), whole=True, into="image/webp", lossless=True)
    transparent = photo(mode="RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    for original in (photo(), transparent, photo(mode="L"), photo(mode="P")):
        whole = bench.run(bench.workers.copies(encoded(original, "PNG"), wanted)).whole
        assert read(whole.data).convert("RGBA").tobytes() == original.convert("RGBA").tobytes()
    deep = Image.fromarray(np.arange(320 * 240, dtype=np.uint16).reshape(240, 320))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for source in (encoded(deep, "PNG"), encoded(photo(), "PNG", icc_profile=profile)):
        made = bench.run(bench.workers.copies(source, wanted))
        assert (made.whole, [each.width for each in made.narrower]) == (None, [100])


@pytest.mark.parametrize(
    "source",
    [
        animation("GIF"),
        animation("WEBP"),
        animation("PNG"),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        encoded(Image.new("L", (16_390, 1)), "PNG"),
    ],
    ids=["gif", "webp", "png", "svg", "larger than WebP can be"],
)
def test_of_some_pictures_no_copies_are_made(bench: Bench, source: bytes) -> None:
    assert bench.run(bench.workers.copies(source, CopiesWanted((8,), whole=True, into="image/webp"))) == Copies()


def test_pixels_are_a_square_without_transparency(bench: Bench) -> None:
    transparent = Image.new("RGBA", (30, 60), (255, 0, 0, 0))
    assert set(bench.run(bench.workers.pixels(encoded(transparent, "PNG"), 16))) == {255}
    assert len(bench.run(bench.workers.pixels(encoded(photo()), 16))) == 16 * 16 * 3


def test_placeholders_are_those_of_the_reference() -> None:
    """Made by npm's thumbhash 0.1.1, its author's own, for the same pixels."""
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    colours = (x * x * 7 + y * 13) % 256, (x * y * 5 + 31 * x) % 251, (y * y * y + 17 * x) % 239
    opaque = np.stack([*colours, np.full_like(x, 255)], -1).astype(np.uint8)
    clear = np.stack([*colours, (x * x * 3 + y * y * 2) % 256], -1).astype(np.uint8)
    assert [base64.b64encode(thumbhash(each)).decode() for each in (opaque, clear)] == REFERENCE
    assert thumbhash(np.zeros((1, 1, 4), np.uint8))


REFERENCE = ["HggCDYJxQSBnVwY2STRXmYDpan9Z", "HwiCBIIHkGN8ekhbCmmq9nlGMRQiRTQwBg=="]


def test_settings_travel_to_the_process_as_they_are() -> None:
    settings = Images(max_side=99)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Images) == settings
