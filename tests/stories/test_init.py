"""From a folder to a project."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from deadlines import SECONDS
from kit import PROJECT, Site, Store, Terminal, ended, html

NO_PROJECT = "No project here. Run: doit nimbus:project:init"


@pytest.mark.parametrize(
    "command",
    ["", "extract", "validate", "upload", "summarize", "watch", "nimbus:upload", "upload --json", "upload --dry-run"],
)
def test_without_a_project_every_command_says_how_to_make_one(empty: Site, command: str) -> None:
    run = empty.doit(*command.split())
    assert run.status == 2
    lines = [line.removeprefix("❌ ") for line in run.said.splitlines()]
    assert NO_PROJECT in lines
    assert len(lines) == 1
    assert not (empty / ".nimbus").exists()


@pytest.mark.parametrize("folder", ["dist", "build", "_site", "public", "out", "site"])
def test_init_finds_the_folder_that_the_site_generator_wrote(empty: Site, folder: str) -> None:
    empty.write(f"{folder}/index.html", html())
    run = empty.doit("nimbus:project:init")
    assert run.status == 0
    assert f"Source: {folder}" in run.out
    assert empty.doit("upload").status == 0
    assert empty.store.pages == {f"{folder}/index.html"}


def test_init_twice_changes_nothing_and_says_so(empty: Site) -> None:
    assert empty.doit("nimbus:project:init", "--name=One", "--domain=example.com").status == 0
    made = (empty / ".nimbus/project.toml").read_bytes()
    again = empty.doit("nimbus:project:init", "--name=One")
    assert again.status == 0
    assert "is already here: nothing changed" in again.out
    assert (empty / ".nimbus/project.toml").read_bytes() == made


@pytest.mark.parametrize("option", ["--name=Two", "--domain=example.org", "--source=html"])
def test_init_refuses_what_an_existing_project_would_ignore(empty: Site, option: str) -> None:
    assert empty.doit("nimbus:project:init", "--name=One").status == 0
    made = (empty / ".nimbus/project.toml").read_bytes()
    run = empty.doit("nimbus:project:init", option)
    assert run.status == 2
    assert f"{option} changes nothing. Change [" in run.said
    assert (empty / ".nimbus/project.toml").read_bytes() == made


@pytest.mark.parametrize("program", ["doit", "nimbus_tasks"])
def test_an_empty_name_is_the_folders(empty: Site, program: str) -> None:
    arguments = ["--name="] if program == "doit" else ["--name", ""]
    command = [sys.executable, "-m", program, "nimbus:project:init", *arguments]
    assert ended(command, empty.folder, empty.environment({})).status == 0
    assert tomllib.loads((empty / ".nimbus/project.toml").read_text())["project"]["name"] == empty.folder.name


def test_init_after_the_loss_of_project_toml_keeps_the_id_that_the_ledger_knows(site: Site) -> None:
    site.publish()
    site.remove(".nimbus/project.toml")
    run = site.doit("nimbus:project:init")
    assert f"Project {PROJECT}" in run.out
    assert "The id is the one that .nimbus/ledger.db knows" in run.out
    assert "Nothing to upload" in site.publish("--verbose").out


# --- projects above -----------------------------------------------------------------------------------


@pytest.fixture
def below(site: Site) -> Site:
    """A folder two levels below a project, with a dodo.py of its own."""
    (site / "src/pages").mkdir(parents=True)
    return Site.without_project(site / "src/pages")


def test_a_command_below_a_project_names_it_and_says_how_to_run_there(site: Site, below: Site) -> None:
    run = below.doit("upload")
    assert run.status == 2
    assert f"No project in this folder, but there is one in {site.folder}. Run: cd {site.folder}" in run.said


def test_init_below_a_project_makes_another_one_only_when_asked(site: Site, below: Site) -> None:
    run = below.doit("nimbus:project:init")
    assert run.status == 2
    assert f"There is a project in {site.folder} already." in run.said
    assert not (below / ".nimbus").exists()
    assert below.doit("nimbus:project:init", "--nested").status == 0
    assert (below / ".nimbus/project.toml").exists()


def test_the_program_and_the_loader_find_the_project_above(site: Site, below: Site) -> None:
    below.remove("dodo.py")
    command = [sys.executable, "-m", "nimbus_tasks", "upload", "--json"]
    run = ended(command, below.folder, below.environment({}))
    assert run.status == 0
    assert run.json["counts"]["stored"] == 3
    assert run.err.splitlines()[0] == f"📁 Project found in {site.folder}"
    below.write("pyproject.toml", '[tool.doit]\nloader = "nimbus"\n')
    assert "3 pages published" in below.doit("summarize").out
    assert not (below / ".nimbus").exists()


def test_init_writes_settings_that_explain_themselves_and_a_gitignore(empty: Site) -> None:
    empty.write("dist/index.html", html())
    empty.doit("nimbus:project:init", '--name=Watch "Repair" 修理', "--domain=example.com")
    text = (empty / ".nimbus/project.toml").read_text(encoding="utf-8")
    settings = tomllib.loads(text)
    assert settings["project"]["name"] == 'Watch "Repair" 修理'
    assert settings["source"] == {"folder": "dist"}
    for table in ("project", "source", "dimensions", "upload", "target", "log"):
        assert f"[{table}]" in text
    assert (empty / ".nimbus/.gitignore").read_text() == "*\n!project.toml\n!chrome.json\n!.gitignore\n"


def test_init_writes_what_editors_need_and_again_where_it_is_missing(empty: Site) -> None:
    empty.doit("nimbus:project:init")
    first_line = (empty / ".nimbus/project.toml").read_text().splitlines()[0]
    assert first_line == "#:schema ./project.schema.json"
    schema = empty / ".nimbus/project.schema.json"
    made = schema.read_bytes()
    assert json.loads(made)["$defs"]["Upload"]["properties"]["tries"]["description"]
    schema.unlink()
    again = empty.doit("nimbus:project:init")
    assert "nothing changed" in again.out
    assert schema.read_bytes() == made


TAPLO = Path(__file__).parents[1] / "node/node_modules/.bin/taplo"


@pytest.mark.skipif(not TAPLO.exists(), reason="Taplo is not here: run `npm install --prefix tests/node` (node 20)")
def test_an_editor_marks_what_we_would_refuse(empty: Site) -> None:
    """Taplo is what VS Code, Zed, Helix and others run for TOML."""
    empty.doit("nimbus:project:init")
    whole = (empty / ".nimbus/project.toml").read_text()
    changes = {
        "right": ("", ""),
        "value": ('store = "sqlite"', 'store = "sqlit"'),
        "setting": ('store = "sqlite"', "stor = 1"),
        "bound": ("[upload]", "[upload]\ntries = 0"),
        "table": ("[upload]", "[uplaod]"),
    }
    for name, (right, mistake) in changes.items():
        empty.write(f".nimbus/{name}.toml", whole.replace(right, mistake, 1))
    command = [shutil.which("node") or "node", TAPLO, "lint", ".nimbus/*.toml"]
    done = subprocess.run(command, cwd=empty.folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    marked = {name for name in changes if f"/{name}.toml:" in done.stderr}
    assert (done.returncode, marked) == (1, changes.keys() - {"right"}), done.stderr
    for name in marked:
        shutil.copy(empty / f".nimbus/{name}.toml", empty / ".nimbus/project.toml")
        assert empty.doit("summarize").status == 2


def test_init_stores_the_record_of_the_project(empty: Site) -> None:
    empty.doit("nimbus:project:init", "--name=One", "--domain=example.com")
    settings = tomllib.loads((empty / ".nimbus/project.toml").read_text())["project"]
    store = Store(empty / ".nimbus/kv.db")
    record = store.values[f"project:{settings['id']}"]
    assert record["name"] == "One"
    assert record["settings"]["domain"] == "example.com"
    assert record["created"] == settings["created"]
    assert record["usage"] == {"total_pages": 0, "total_batches": 0}


def test_without_a_terminal_init_asks_nothing(empty: Site) -> None:
    run = empty.doit("nimbus:project:init")
    assert run.status == 0
    assert "Source: none, there is no folder with built HTML yet" in run.out
    assert "Next: build the site, set [source] folder in .nimbus/project.toml, then doit\n" in run.out
    # Another tool's maps are there.
    (empty / ".nimbus/project.toml").unlink()
    (empty / ".nimbus/maps").mkdir()
    assert "none, maps come from another tool\n   Next: doit\n" in empty.doit("nimbus:project:init").out


def test_on_a_terminal_init_asks_for_what_it_cannot_know(empty: Site) -> None:
    empty.write("written/index.html", html())
    with Terminal(empty, "nimbus:project:init") as terminal:
        terminal.until("Folder with the built HTML")
        terminal.type("written\r")
        terminal.until("Domain of the site")
        terminal.type("example.com\r")
        assert terminal.end() == 0
    settings = tomllib.loads((empty / ".nimbus/project.toml").read_text())
    assert settings["source"]["folder"] == "written"
    assert settings["project"]["domain"] == "example.com"


def test_init_with_a_folder_that_does_not_exist_makes_nothing(empty: Site) -> None:
    run = empty.doit("nimbus:project:init", "--source=nowhere")
    assert run.status == 2
    assert "There is no folder `nowhere`." in run.said
    assert not (empty / ".nimbus/project.toml").exists()


def test_init_with_a_domain_that_is_none_makes_nothing(empty: Site) -> None:
    run = empty.doit("nimbus:project:init", "--domain=https://exa mple.com/x")
    assert run.status == 2
    assert "--domain `https://exa mple.com/x` is not a domain. Write the host, such as example.com." in run.said
    assert not (empty / ".nimbus/project.toml").exists()


@pytest.mark.parametrize("folder", ["..", "/tmp"])
def test_init_stays_inside_the_project(empty: Site, folder: str) -> None:
    run = empty.doit("nimbus:project:init", f"--source={folder}")
    assert run.status == 2
    assert "must be a folder inside the project" in run.said
    assert not (empty / ".nimbus/project.toml").exists()


def test_the_settings_hold_no_secret_of_the_environment(empty: Site) -> None:
    empty.write("dist/index.html", html())
    secrets = {"NIMBUS_API_KEY": "sk_live_" + "5ecre7" * 5 + "ab", "CLOUDFLARE_API_TOKEN": "t0psecret-token"}
    said = empty.doit("nimbus:project:init", **secrets).said + empty.doit("upload", **secrets).said
    written = b"".join(file.read_bytes() for file in (empty / ".nimbus").rglob("*") if file.is_file())
    for secret in secrets.values():
        assert secret not in said
        assert secret.encode() not in written


def test_a_store_that_there_is_not_is_named(site: Site) -> None:
    run = site.doit("upload", NIMBUS_TARGET="floppy")
    assert run.status == 2
    assert "NIMBUS_TARGET: [target] store must be one of cloudflare, gateway, sqlite." in run.said


def test_settings_that_are_no_toml_are_named(site: Site) -> None:
    site.write(".nimbus/project.toml", "[project\n")
    run = site.doit("upload")
    assert run.status == 2
    assert "project.toml is not valid TOML" in run.said
    assert json.dumps(run.said)
