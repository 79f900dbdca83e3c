"""Images and files of a site: they go up with its pages, once, and stay at each store. S3 is SeaweedFS."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from edge.pinata import Pinata
from edge.seaweed import Seaweed, needs_seaweed
from watch_kit import until_status, watching

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from kit import Run, Site

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (3).to_bytes(4) + (2).to_bytes(4) + b"\x08\0\0\0\0" + b"pixels"
FOLDER = '[assets]\nstore = "folder"\n'


class Place(NamedTuple):
    """A blob store: what the settings say of it, and its credentials."""

    settings: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with Seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


def folder(_: pytest.FixtureRequest, __: str) -> Iterator[Place]:
    yield Place(FOLDER, {})


def s3(request: pytest.FixtureRequest, prefix: str) -> Iterator[Place]:
    server: Seaweed = request.getfixturevalue("seaweed")
    settings = f'[assets]\nstore = "s3"\nbucket = "{server.bucket}"\nprefix = "{prefix}/"\nendpoint = "{server.url}"\n'
    keys = server.credentials
    yield Place(settings, {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key})


def pinata(_: pytest.FixtureRequest, __: str) -> Iterator[Place]:
    with Pinata(requests=100_000) as server:
        addresses = dict.fromkeys(("PINATA_UPLOAD_URL", "PINATA_API_URL", "PINATA_GATEWAY_URL"), server.url)
        yield Place('[assets]\nstore = "pinata"\nplan = "fiesta"\n', {"PINATA_JWT": server.token, **addresses})


@pytest.fixture(params=[folder, pytest.param(s3, marks=needs_seaweed), pinata], ids=lambda make: make.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    yield from request.param(request, tmp_path.name)


def picture(site: Site, name: str, content: bytes = PNG) -> str:
    """Write `dist/{name}`; return its digest."""
    (site / f"dist/{name}").parent.mkdir(parents=True, exist_ok=True)
    (site / f"dist/{name}").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def records(site: Site) -> dict[str, dict[str, Any]]:
    return {key.rpartition(":")[2]: value for key, value in site.store.values.items() if key.startswith("asset:")}


def good(run: Run) -> Run:
    assert run.status == 0, run.said
    return run


def test_the_life_of_a_picture(site: Site, place: Place) -> None:
    site.settings(place.settings)
    digest = picture(site, "w.jpg")
    said = good(site.doit("upload", **place.environment)).said
    assert "Found 1 file to upload" in said
    record = records(site)[digest]
    assert record["source_paths"] == ["dist/w.jpg"]
    assert (record["content_type"], record["width"], record["height"]) == ("image/png", 3, 2)
    (location,) = record["locations"].values()
    assert location["verified"]
    assert not any(secret in said for name, secret in place.environment.items() if "URL" not in name)

    # Nothing changed: nothing is sent, with and without what this machine knows.
    assert "upload" in good(site.doit("upload", **place.environment)).out
    site.remove_database("assets.db")
    again = good(site.doit("assets", "--json", **place.environment)).json
    assert (again["uploaded"], again["unchanged"] + again["recorded"]) == (0, 1)

    # A copy is not sent, a changed picture is; no page is sent for it.
    picture(site, "copy.png")
    site.settings('include = ["*.png"]')
    assert good(site.doit("assets", "--json", **place.environment)).json["uploaded"] == 0
    assert records(site)[digest]["source_paths"] == ["dist/copy.png", "dist/w.jpg"]
    other = picture(site, "w.jpg", PNG + b"more")
    good(site.doit("upload", **place.environment))
    assert not site.sent()
    assert records(site)[other]["source_paths"] == ["dist/w.jpg"]


def test_a_dry_run_sends_nothing(site: Site) -> None:
    site.settings(FOLDER)
    picture(site, "w.jpg")
    done = good(site.doit("assets", "--dry-run", "--json")).json
    assert (done["uploaded"], done["cost"]) == (0, {"requests": 1, "bytes": len(PNG), "writes": 1, "minutes": 0.0})
    said = f"1 request and {len(PNG)} bytes to .nimbus/blobs, 1 record. Nothing was sent."
    assert said in good(site.doit("assets", "--dry-run")).out
    good(site.doit("upload", "--dry-run"))
    assert not (site / ".nimbus/blobs").exists()
    assert not records(site)


def make_unreadable(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link_elsewhere(path: Path) -> None:
    path.unlink()
    (path.parent.parent / "secret.txt").write_text("secret")
    path.symlink_to("../secret.txt")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (make_unreadable, "dist/w.jpg cannot be read: it is not a plain file"),
        (link_elsewhere, "dist/w.jpg is, or lies behind, a link: only files inside the project are read"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_others_go_up(site: Site, spoil: Callable[[Path], None], why: str) -> None:
    site.settings(f'{FOLDER}include = ["*.png"]\n')
    picture(site, "w.jpg")
    digest = picture(site, "good.png", PNG + b"good")
    spoil(site / "dist/w.jpg")
    for command in ("assets", "upload", "upload"):
        run = site.doit(command)
        assert run.status == 1
        assert f"❌ {why}\n" in run.said
    assert list(records(site)) == [digest]
    assert site.store.active == {"dist/a.html", "dist/b.html", "dist/c.html"}


def test_a_file_that_is_not_there_is_a_warning(site: Site) -> None:
    site.settings(f'{FOLDER}include = ["nothere/**"]\n')
    for _ in range(2):
        run = good(site.doit("assets"))
        assert "dist/w.jpg was not found; dist/a.html and 2 more refer to it." in run.said
        assert "[assets] include matches no file in `dist`." in run.said


def test_a_picture_that_is_none_is_a_warning_each_time(site: Site) -> None:
    site.settings(f'{FOLDER}include = ["*.svg"]\n')
    picture(site, "w.jpg", b"Not found")
    picture(site, "drawing.svg", b"<svg/>")
    for command in (("assets",), ("assets",), ("nimbus:assets:upload", "--files=dist")):
        run = good(site.doit(*command))
        warned = [line for line in run.said.splitlines() if "is named like a picture" in line]
        assert [line.split()[1] for line in warned] == ["dist/w.jpg"], run.said


def test_a_file_that_a_link_leads_to_goes_up(site: Site) -> None:
    """One that is not there is a warning, unless the address is that of a page without its extension."""
    site.settings(FOLDER)
    site.page(
        "a", 'See <a href="plain.pdf">a</a> <a href="gone.csv">b</a> <a href="v1.x">c</a> <a href="about.us">d</a>'
    )
    site.page("v1.x/index")
    site.page("about.us")
    picture(site, "v1.x/w.jpg")
    digest = picture(site, "plain.pdf", b"%PDF-1.7")
    picture(site, "w.jpg")
    run = good(site.doit("assets"))
    assert "dist/gone.csv was not found; dist/a.html refers to it." in run.said
    assert run.said.count("was not found") == 1, run.said
    assert records(site)[digest]["content_type"] == "application/pdf"


def test_empty_files_and_names_in_any_script_go_up(site: Site) -> None:
    site.settings(f'{FOLDER}include = ["downloads/**"]\n')
    names = ["leer.txt", "图片.png", "ä b'%20.pdf", "x" * 200]
    for number, name in enumerate(names):
        picture(site, f"downloads/{name}", b"x" * number)
    assert good(site.doit("assets", "--json")).json["uploaded"] == len(names)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("", "[assets] store is not set"),
        ('[assets]\nstore = "ftp"\n', "assets"),
        (
            '[assets]\nstore = "s3"\n',
            ".nimbus/project.toml: [assets] bucket is not set. AWS_ACCESS_KEY_ID is not set. "
            "AWS_SECRET_ACCESS_KEY is not set. Secrets are read from the environment and .nimbus/credentials.toml.",
        ),
        ('[assets]\nstore = "server"\n', ".nimbus/project.toml: [assets] service_url is not set"),
        ('[assets]\nstore = "pinata"\n', "PINATA_JWT is not set."),
    ],
)
def test_what_is_missing_is_said_before_anything_is_sent(site: Site, settings: str, why: str) -> None:
    site.settings(settings)
    run = site.doit("assets")
    assert run.status == 2
    assert why in run.said
    assert run.said.count("❌") == 1


def test_a_store_that_does_not_answer_keeps_no_page_back(site: Site) -> None:
    site.settings('[assets]\nstore = "s3"\nbucket = "b"\nendpoint = "http://127.0.0.1:9"\n[upload]\nretry_wait = 1\n')
    picture(site, "w.jpg")
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "a-secret-of-some-length"}
    run = site.doit("upload", **keys)
    assert run.status == 1
    assert "127.0.0.1:9 does not answer" in run.said
    assert len(site.store.active) == 3


def test_a_picture_that_changes_is_sent_by_the_watch(site: Site) -> None:
    site.settings(FOLDER)
    picture(site, "w.jpg")
    with watching(site, "--status=.nimbus/watch.json") as watch:
        digest = picture(site, "w.jpg", PNG + b"new")
        watch.until("→ uploaded 1 file: dist/w.jpg in")
        until_status(site, lambda status: status["state"] == "idle")
        watch.interrupt()
    assert digest in records(site)


def test_a_killed_upload_is_resumed(site: Site, place: Place) -> None:
    """Kill before, in the middle of, and after the uploads; the next run sends what is missing, and only that."""
    site.settings(f'{place.settings}include = ["*.png"]\nconcurrency = 1\n')
    good(site.doit("upload", **place.environment))
    digests = {picture(site, f"{number:02}.png", PNG + bytes([number]) * 50_000) for number in range(12)}
    with site.start("assets", "--verbose", **place.environment) as running:
        running.until("[4/12]")
        running.process.kill()
    done = good(site.doit("assets", "--json", **place.environment)).json
    assert digests <= set(records(site))
    assert done["uploaded"] + done["recorded"] <= 9
    assert good(site.doit("assets", "--json", **place.environment)).json["unchanged"] == 12


def test_the_doctor_asks_the_store(site: Site, place: Place) -> None:
    site.settings(place.settings)
    picture(site, "w.jpg")
    good(site.doit("upload", **place.environment))
    checks = good(site.doit("nimbus:doctor", "--json", **place.environment)).json["checks"]
    assert [each["level"] for each in checks if each["check"] == "files"] == ["ok"]
    wrong = {name: "wrong-credential" if "URL" not in name else value for name, value in place.environment.items()}
    if wrong:
        (found,) = (c for c in site.doit("nimbus:doctor", "--json", **wrong).json["checks"] if c["check"] == "files")
        assert found["level"] == "problem"
        assert found["next_step"]


def files_said(site: Site, **environment: str) -> dict[str, str]:
    """Return what the doctor says of the blob store, by check."""
    checks = site.doit("nimbus:doctor", "--json", **environment).json["checks"]
    return {each["check"]: each["message"] for each in checks if each["check"] in ("files", "cors")}


@needs_seaweed
def test_the_doctor_asks_a_bucket_whether_pages_may_upload(site: Site, request: pytest.FixtureRequest) -> None:
    (place,) = s3(request, site.folder.name)
    site.settings(place.settings)
    assert "pages of https://example.com upload" in files_said(site, **place.environment)["cors"]


def test_the_doctor_tells_the_plan_and_a_group_that_does_not_exist(site: Site, request: pytest.FixtureRequest) -> None:
    for place in pinata(request, ""):
        site.settings(place.settings)
        said = files_said(site, **place.environment)
        assert said == {"files": "Pinata can be used (plan fiesta: 500 requests a minute)"}
        said = files_said(site, **place.environment, PINATA_GROUP_ID="none")["files"]
        assert "Pinata has no group `none`" in said


# --- who is told ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def hook(status: int) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers with this status, and the events that it got."""
    events: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["webhook-signature"].startswith("v1,")
            events.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/uploads", events
        server.shutdown()


def test_a_webhook_and_prometheus_are_told_of_uploads(site: Site) -> None:
    picture(site, "w.jpg")
    secret = {"NIMBUS_WEBHOOK_SECRET": "the-secret-of-a-webhook"}
    with hook(200) as (url, events):
        site.settings(f'{FOLDER}metrics = "numbers/nimbus.prom"\nwebhook = "{url}"\n')
        picture(site, "bad.png")
        make_unreadable(site / "dist/bad.png")
        site.settings('include = ["*.png"]')
        run = site.doit("assets", "--json", **secret)
        assert (run.status, run.json["failures"], run.json["webhook"]) == (
            1,
            {"unreadable": 1},
            {"delivered": 2, "failed": 0},
        )
        assert [event["type"] for event in events] == ["assets.files", "assets.finished"]
        assert [each["path"] for each in events[0]["data"]["files"]] == ["dist/w.jpg"]
        assert events[1]["data"]["uploaded"] == 1
        assert secret["NIMBUS_WEBHOOK_SECRET"] not in json.dumps(events) + run.said
        numbers = (site / "numbers/nimbus.prom").read_text()
        assert 'nimbus_assets_last_run_failures{project="' in numbers
        assert 'result="uploaded"} 1\n' in numbers
        # A dry run tells nobody.
        site.doit("assets", "--dry-run", "--force", **secret)
        assert len(events) == 2
    (site / "dist/bad.png").unlink()
    (site / "numbers/nimbus.prom").unlink()
    (site / "numbers/nimbus.prom").mkdir()
    for number, told in enumerate((secret, {})):  # nothing listens there any more; there is no secret
        picture(site, "w.jpg", PNG + bytes([number]))
        run = good(site.doit("nimbus:assets:upload", "--files=dist/w.jpg", **told))
        assert "webhook " in run.said
        assert "nimbus.prom cannot be written" in run.said


# --- by name --------------------------------------------------------------------------------------------------


def test_a_file_by_name_its_pointer_and_what_is_known_of_it(site: Site, place: Place) -> None:
    site.settings(place.settings)
    site.write("plots/today.svg", "<svg/>")
    options = ("--files=plots/*.svg", "--group=temperature", "--variant=daily", "--metadata=unit=celsius,n=1")
    for _ in range(2):
        done = good(site.doit("nimbus:assets:upload", *options, "--json", **place.environment)).json
        assert done["pointer"] == "temperature:daily:latest"
    assert done["uploaded"] == 0
    pointer = site.store.values["temperature:daily:latest"]
    assert pointer.get("ipfs_url") or pointer["url"]
    said = {"filename": "today.svg", "size": 6, "content_type": "image/svg+xml", "unit": "celsius", "n": "1"}
    assert said.items() <= pointer["metadata"].items()
    assert_shown(site, pointer)
    (listed,) = good(site.doit("nimbus:assets:list", "--json", **place.environment)).json["assets"]
    assert listed["source_paths"] == ["plots/today.svg"]
    # On this machine, and on one that has not sent it.
    assert good(site.doit("nimbus:assets:verify", "--json", **place.environment)).json["verified"] == 1
    site.remove_database("assets.db")
    assert good(site.doit("nimbus:assets:verify", "--json", **place.environment)).json["verified"] == 1
    gone = good(site.doit("nimbus:assets:upload", "--files=plots", "--delete-local", "--json", **place.environment))
    assert gone.json["deleted"] == ["plots/today.svg"]
    assert not (site / "plots/today.svg").exists()


def assert_shown(site: Site, pointer: dict[str, Any]) -> None:
    """The commands about pointers show this one, and say where there is none."""
    url = pointer.get("ipfs_url") or pointer["url"]
    names = ("--group=temperature", "--variant=daily")
    run = good(site.doit("nimbus:pointer:get", *names))
    assert f"temperature:daily:latest  {url}" in run.out
    assert all(f"   {name}: {value}\n" in run.out for name, value in pointer["metadata"].items())
    shown = good(site.doit("nimbus:pointer:get", *names, "--json")).json
    assert (shown["url"], shown["metadata"]) == (url, pointer["metadata"])
    assert good(site.doit("nimbus:pointer:list", "--json")).json == {"pointers": [shown]}
    assert "1 pointer" in good(site.doit("nimbus:pointer:list", "--group=temperature")).out
    assert "There is no pointer in the group wind yet" in good(site.doit("nimbus:pointer:list", "--group=wind")).out
    for arguments, status, message in (
        (("--group=temperature", "--variant=hourly"), 1, "There is no pointer temperature:hourly:latest"),
        (("--group=page", "--variant=daily"), 2, "The group `page` is a kind of record"),
        (("--group=temperature",), 2, "--group or --variant is missing"),
    ):
        run = site.doit("nimbus:pointer:get", *arguments)
        assert (run.status, message in run.out + run.err) == (status, True)


def test_the_test_upload_tells_each_step_and_leaves_no_file(site: Site, place: Place) -> None:
    site.settings(place.settings)
    steps = good(site.doit("nimbus:test-upload", "--json", **place.environment)).json["steps"]
    assert [step["name"] for step in steps][-1] == "remove the picture"
    assert "test:upload:latest" in site.store.values
    assert not records(site)
    run = site.doit(
        "nimbus:test-upload",
        **place.environment,
        NIMBUS_WORKER_URL="http://127.0.0.1:9",
        NIMBUS_TARGET="gateway",
        NIMBUS_API_KEY="nk_" + "0" * 40,
    )
    assert run.status == 1
    assert "❌ open the target: 127.0.0.1:9 does not answer" in run.said


def test_what_is_damaged_at_the_store_is_found_and_sent_again(site: Site) -> None:
    site.settings(f'{FOLDER}include = ["*.png"]\n')
    digests = [picture(site, f"{number}.png", PNG + bytes([number])) for number in range(3)]
    good(site.doit("assets"))
    (site / f".nimbus/blobs/{digests[0][:2]}/{digests[0]}").write_bytes(b"other")
    (site / f".nimbus/blobs/{digests[1][:2]}/{digests[1]}").unlink()
    run = site.doit("nimbus:assets:verify", "--json")
    assert run.status == 1
    assert sorted(each["result"] for each in run.json["files"]) == ["damaged", "missing", "verified"]
    assert good(site.doit("assets", "--json")).json["uploaded"] == 2
    good(site.doit("nimbus:assets:verify"))


def test_what_the_store_lost_is_wrong_until_it_is_sent_again_or_pruned(site: Site) -> None:
    """Each line names the file and the next step; the next run does not call it right."""
    site.settings(FOLDER)
    digests = [picture(site, "w.jpg"), *(picture(site, f"{name}.png", PNG + name.encode()) for name in ("map", "old"))]
    good(site.doit("assets"))
    good(site.doit("nimbus:assets:upload", "--files=dist/map.png,dist/old.png"))
    (site / "dist/old.png").unlink()
    for digest in digests:
        (site / f".nimbus/blobs/{digest[:2]}/{digest}").unlink()
    for _ in range(2):
        run = site.doit("nimbus:assets:verify")
        assert (run.status, "Verified 3 files in .nimbus/blobs: 3 wrong" in run.out) == (1, True)
        assert f"dist/w.jpg: .nimbus/blobs/{digests[0][:2]}/{digests[0]} is not there.\n" in run.said
        assert "is not there. Send it again: doit nimbus:assets:upload --files=dist/map.png\n" in run.said
        assert "The next doit assets sends 1 of them again." in run.out
        assert "No file here has the bytes of 1 of them: doit nimbus:assets:prune removes old records." in run.out
    good(site.doit("assets"))
    good(site.doit("nimbus:assets:upload", "--files=dist/map.png"))
    assert site.doit("nimbus:assets:verify", "--json").json["wrong"] == 1
    assert not good(site.doit("nimbus:assets:prune", "--json")).json["files"]
    with contextlib.closing(sqlite3.connect(site / ".nimbus/kv.db", isolation_level=None)) as store:
        older = """UPDATE kv SET value = replace(CAST(value AS TEXT), '"uploaded":"2', '"uploaded":"1')"""
        store.execute(f"{older} WHERE key LIKE 'asset:%'")
    assert list(good(site.doit("nimbus:assets:prune", "--json")).json["files"]) == [digests[2]]
    assert good(site.doit("nimbus:assets:verify", "--json")).json["verified"] == 2


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "--files is missing"),
        (("--files=dist", "--group=a"), "A pointer has a group and a variant"),
        (("--files=dist", "--group=a", "--variant=b"), "A pointer names one file"),
        (("--files=dist/a.html", "--group=page", "--variant=b"), "The group `page` is a kind of record"),
        (("--files=dist/empty.png", "--group=a", "--variant=b"), "dist/empty.png is empty: no pointer names it"),
        (("--files=dist", "--metadata=a"), "`a` has no value"),
        (("--files=dist", "--metadata=a=1"), "--metadata is kept with a pointer"),
        (("--files=dist", "--store=ftp"), "--store=ftp is no blob store"),
    ],
)
def test_what_cannot_be_meant_is_said(site: Site, options: tuple[str, ...], why: str) -> None:
    site.settings(FOLDER)
    picture(site, "empty.png", b"")
    run = site.doit("nimbus:assets:upload", *options)
    assert (run.status, why in run.said) == (2, True), run.said


def test_a_list_of_what_is_in_no_store_is_said(site: Site) -> None:
    said = good(site.doit("nimbus:assets:list", "--store=pinata")).out
    assert "No file is stored in pinata yet: doit nimbus:assets:upload --files=... --store=pinata" in said
    site.settings(FOLDER)
    assert "No file is stored yet: doit assets" in good(site.doit("nimbus:assets:list")).out
    run = site.doit("nimbus:assets:list", "--store=ftp")
    assert (run.status, "--store=ftp is no blob store" in run.said) == (2, True), run.said


@pytest.mark.parametrize("files", ["nothing.png", "../outside.png", "/etc/passwd", ".nimbus/project.toml"])
def test_a_name_that_is_no_file_to_publish_is_told_in_one_line(site: Site, files: str) -> None:
    site.settings(FOLDER)
    run = site.doit("nimbus:assets:upload", f"--files={files}")
    assert (run.status, run.said.count("\n")) == (2, 1)
    assert run.said.startswith(f"❌ --files: {files} ")
    assert not records(site)
    picture(site, "w.jpg")
    run = site.doit("nimbus:assets:upload", f"--files=dist/w.jpg,{files}")
    assert (run.status, f"❌ {files} " in run.said, len(records(site))) == (1, True, 1)


def test_what_nothing_uses_is_removed_after_a_while(site: Site, place: Place) -> None:
    site.settings(f'{place.settings}include = ["*.png"]\n')
    picture(site, "w.jpg")
    old, named = (picture(site, f"{number}.png", PNG + bytes([number])) for number in range(2))
    good(site.doit("upload", **place.environment))
    pointer = ("--files=dist/1.png", "--group=a", "--variant=b")
    good(site.doit("nimbus:assets:upload", *pointer, **place.environment))
    site.remove("dist/0.png", "dist/1.png", "dist/w.jpg")
    prune = ("nimbus:assets:prune", "--days=1", "--json")
    assert good(site.doit(*prune, **place.environment)).json["files"] == {}
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db", isolation_level=None)) as connection:
        connection.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")
    for option in ("--dry-run", "--verbose"):
        done = good(site.doit(*prune, option, **place.environment)).json
        assert (list(done["files"]), done["kept"]) == ([old], 1)
    assert records(site)[old]["locations"] == {}
    assert records(site)[named]["locations"]
    assert good(site.doit(*prune, **place.environment)).json["files"] == {}
    assert good(site.doit("nimbus:assets:verify", "--json", **place.environment)).json["verified"] == 2
    assert site.doit("nimbus:assets:prune", "--days=0", **place.environment).status == 2


def test_what_a_page_names_by_its_public_address_is_used(site: Site, place: Place) -> None:
    """As where the page was written so, or `apply --assets` was run by another machine."""
    site.settings(f'{place.settings}public_url = "https://img.example"\ninclude = ["*.png"]\n')
    picture(site, "w.jpg")
    digest = picture(site, "named.png", PNG + b"named")
    good(site.doit("upload", **place.environment))
    (location,) = records(site)[digest]["locations"].values()
    site.page("a", f'<img alt="A picture" src="{location["url"]}">')
    site.remove("dist/named.png")
    good(site.doit("upload", **place.environment))
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db", isolation_level=None)) as connection:
        connection.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")
    assert good(site.doit("nimbus:assets:prune", "--days=1", "--json", **place.environment)).json["files"] == {}


# --- in the built HTML ----------------------------------------------------------------------------------------


def test_public_addresses_go_into_the_html(site: Site, place: Place) -> None:
    site.settings(f'{place.settings}public_url = "https://img.example"\n')
    picture(site, "w.jpg")
    before = (site / "dist/a.html").read_bytes()
    run = good(site.doit("nimbus:apply", "--assets", **place.environment))
    assert "0 files of the site are uploaded" in run.said
    good(site.doit("upload", **place.environment))
    shown = good(site.doit("nimbus:apply", "--assets", "--dry-run", **place.environment)).said
    assert "📊 Would change 3 pages; 1 file of the site is uploaded" in shown
    good(site.doit("nimbus:apply", "--assets", "--output=deploy", **place.environment))
    assert (site / "dist/a.html").read_bytes() == before
    after = (site / "deploy/a.html").read_bytes()
    start, end = before.split(b'src="w.jpg"')
    assert after.startswith(start + b'src="http')
    assert after.endswith(b'" width="3" height="2"' + end)
    good(site.doit("nimbus:apply", "--assets", **place.environment))
    assert (site / "dist/a.html").read_bytes() == after
    (backup,) = (site / ".nimbus/backup").glob("*/dist/a.html")
    assert backup.read_bytes() == before


def test_pages_with_public_addresses_are_the_same_pages(site: Site, place: Place) -> None:
    """After `apply --assets` in place their maps, files and records stay, and the next run knows what it has done."""
    site.settings(f'{place.settings}public_url = "https://img.example"\n')
    picture(site, "w.jpg")
    built = (site / "dist/a.html").read_bytes()
    good(site.doit("upload", **place.environment))
    apply, known = ("nimbus:apply", "--assets"), (site.maps(), site.store)
    good(site.doit(*apply, **place.environment))
    with contextlib.closing(sqlite3.connect(site / ".nimbus/assets.db", isolation_level=None)) as connection:
        connection.execute("UPDATE stored SET at = '2020-01-01', used = '2020-01-01'")

    # Also where all pages are read anew, as after an upgrade or with other settings.
    for selectors in ("[]", '[".none"]'):
        site.settings(ignore=selectors)
        good(site.doit(**place.environment))
        assert (site.maps(), site.store) == known
        again = good(site.doit(*apply, "--json", **place.environment)).json
        assert [(page["applied"], page["already"]) for page in again["pages"]] == [([], ["dist/w.jpg"])] * 3
        said = good(site.doit(*apply, **place.environment)).said
        assert "📊 Changed 0 pages, already there: 3; 1 file of the site is uploaded" in said
        prune = good(site.doit("nimbus:assets:prune", "--days=1", "--dry-run", "--json", **place.environment))
        assert prune.json["files"] == {}

    # A picture that changed gets another address, with and without a new build.
    for content in (PNG + b"one", PNG + b"two"):
        applied = (site / "dist/a.html").read_bytes()
        picture(site, "w.jpg", content)
        good(site.doit("assets", **place.environment))
        good(site.doit(*apply, **place.environment))
        assert (site / "dist/a.html").read_bytes() not in (applied, built)
        (site / "dist/a.html").write_bytes(built)


@pytest.mark.parametrize("place", [folder, pytest.param(s3, marks=needs_seaweed)], indirect=True)
def test_records_and_pointers_say_where_readers_get_the_files(site: Site, place: Place) -> None:
    """Also those of before, once the address is set or another one."""
    site.settings(place.settings)
    digest = picture(site, "w.jpg")
    good(site.doit("upload", **place.environment))
    (location,) = records(site)[digest]["locations"].values()
    begin, *end = location["url"].rsplit("/", 2)
    for number, line in enumerate(("", "https://a.example/i/", "https://b")):
        if line:
            begin = line.rstrip("/")
            text = (site / ".nimbus/project.toml").read_text().split("public_url")[0]
            (site / ".nimbus/project.toml").write_text(f'{text}public_url = "{line}"\n')
            good(site.doit("assets", **place.environment))
        url = "/".join((begin, *end))
        (location,) = records(site)[digest]["locations"].values()
        assert location["url"] == url
        pointer = ("--files=dist/w.jpg", "--group=a", f"--variant=v{number}")
        good(site.doit("nimbus:assets:upload", *pointer, **place.environment))
        assert site.store.values[f"a:v{number}:latest"]["url"] == url
        assert good(site.doit("nimbus:assets:verify", "--json", **place.environment)).json["verified"] == 1


def test_a_folder_without_a_public_address_is_said(site: Site) -> None:
    site.settings(FOLDER)
    picture(site, "w.jpg")
    good(site.doit("assets"))
    run = site.doit("nimbus:apply", "--assets")
    assert (run.status, "[assets] public_url is not set" in run.said) == (2, True)
