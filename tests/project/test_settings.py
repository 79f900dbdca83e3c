"""What `.nimbus/project.toml` may say, and how a mistake in it is told."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.model.errors import NoProjectError, SettingsError
from nimbus_tasks.project import init as project
from nimbus_tasks.project.settings import (
    ENVIRONMENT,
    PROJECT_FILE,
    OpenAISettings,
    Settings,
    load,
    parse,
)

if TYPE_CHECKING:
    from pathlib import Path

DOMAINS = ("", "example.com", "https://example.com/", "//größe.example", "localhost:8000", "HTTP://a.b/docs/")
MINIMAL = '[project]\nid = "proj_0123456789ab"\n'


def parsed(more: str = "", **environment: str) -> Settings:
    return parse(f"{MINIMAL}\n{more}", environment)


def mistake(text: str, **environment: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(text, environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what may be said ---------------------------------------------------------------------------------


def test_an_id_is_enough() -> None:
    chosen = parsed()
    assert chosen.source.include == ("**/*.html", "**/*.htm")
    assert (chosen.upload.concurrency, chosen.upload.delay) == (5, 0)
    assert (chosen.upload.max_removals, chosen.upload.max_pages_per_batch) == (256, 1000)
    assert (chosen.upload.tries, chosen.upload.retry_wait, chosen.upload.give_up_after) == (3, 500, 10)
    assert (chosen.target.store, chosen.log.level) == ("sqlite", "info")
    assert (chosen.target.connect_timeout, chosen.target.read_timeout) == (10.0, 100.0)
    assert chosen.target.namespaces == {}
    assert (chosen.process.optimiser, chosen.openai.model, chosen.openai.spend_cap) == ("rules", "", 0)
    assert not chosen.messages


def test_every_setting_can_be_set() -> None:
    chosen = parsed("""
        [source]
        folder = "dist"
        include = ["**/*.xhtml"]
        exclude = ["drafts/"]
        main = "#main"
        ignore = [".ad"]
        fold = 0
        noindex = "keep"
        [dimensions]
        patterns = ["dist/{brand}.html"]
        [dimensions.selectors]
        city = ".city"
        [dimensions.constants]
        language = "en"
        [upload]
        concurrency = 1
        delay = 10
        max_removals = 0
        max_pages_per_batch = 7
        audit_log = false
        tries = 1
        retry_wait = 20
        give_up_after = 4
        [target]
        store = "cloudflare"
        worker_url = "https://example.com"
        account_id = "a"
        namespace_id = "n"
        connect_timeout = 2
        read_timeout = 0.5
        [target.namespaces]
        NIMBUS_PAGES = "p"
        [process]
        optimiser = "openai"
        queue = "cloudflare-queues"
        queue_id = "q"
        [openai]
        base_url = "http://127.0.0.1:1234/v1"
        model = "m-1"
        tone = "friendly"
        input_price = 2
        output_price = 0.5
        spend_cap = 1.5
        max_prompt_tokens = 3000
        max_tokens = 600
        timeout = 5
        tries = 1
        retry_wait = 0.1
        slots = 2
        delay = 0.5
        keep_days = 7
        [log]
        level = "debug"
    """)
    assert (chosen.process.optimiser, chosen.messages) == ("openai", True)
    assert chosen.openai == OpenAISettings(
        "http://127.0.0.1:1234/v1", "m-1", "friendly", 2.0, 0.5, 1.5, 3000, 600, 5.0, 1, 0.1, 2, 0.5, 7
    )
    rules = chosen.rules
    assert (rules.main, rules.ignore, rules.fold, rules.noindex) == ("#main", (".ad",), 0, True)
    assert (rules.patterns, rules.selectors) == (("dist/{brand}.html",), {"city": ".city"})
    assert rules.constants == {"language": "en"}
    assert chosen.upload.max_removals == 0
    assert chosen.target.namespaces == {"NIMBUS_PAGES": "p"}
    assert (chosen.target.connect_timeout, chosen.target.read_timeout) == (2.0, 0.5)
    assert (chosen.upload.tries, chosen.upload.retry_wait, chosen.upload.give_up_after) == (1, 20, 4)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("", True),
        ('[target]\nstore = "cloudflare"', False),
        ('[target]\nstore = "gateway"\n[upload]\naudit_log = true', True),
        ("[upload]\naudit_log = false", False),
        ('[process]\nqueue = "none"', False),
        ('[process]\nqueue = "none"\n[upload]\naudit_log = true', True),
    ],
)
def test_the_audit_log_is_on_where_it_is_free_unless_set(said: str, written: bool) -> None:
    assert parsed(said).audit_log is written


def test_the_environment_wins() -> None:
    said = '[target]\nstore = "sqlite"\nworker_url = "https://file"\naccount_id = "file"\nnamespace_id = "file"'
    chosen = parsed(
        said,
        NIMBUS_TARGET="gateway",
        NIMBUS_WORKER_URL="https://environment",
        CLOUDFLARE_ACCOUNT_ID="environment",
        KV_NAMESPACE_ID="environment",
    )
    assert (chosen.target.store, chosen.target.worker_url) == ("gateway", "https://environment")
    assert (chosen.target.account_id, chosen.target.namespace_id) == ("environment", "environment")


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_an_empty_variable_changes_no_setting(variable: str) -> None:
    assert parsed(**{variable: ""}) == parsed()


def test_no_setting_holds_a_secret() -> None:
    secrets = {"NIMBUS_API_KEY": "sk_live_s3cret", "CLOUDFLARE_API_TOKEN": "s3cret", "PINATA_JWT": "s3cret"}
    assert "s3cret" not in repr(parsed(**secrets))


# --- mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("[uplaod]", "unknown table: `uplaod`. Did you mean `upload`?"),
        ("[upload]\nconcurency = 1", "unknown key in [upload]: `concurency`. Did you mean `concurrency`?"),
        ("[log]\nxyz = 1", "unknown key in [log]: `xyz`. Known: level."),
        ("[upload]\nconcurrency = 0", "[upload] concurrency must be a whole number from 1 to 100."),
        ('[upload]\ndelay = "fast"', "[upload] delay must be a whole number from 0 on."),
        ("[upload]\nmax_removals = -1", "[upload] max_removals must be a whole number from 0 on."),
        ('[target]\nstore = "floppy"', "[target] store must be one of cloudflare, gateway, sqlite."),
        ("[dimensions]\nconstants = 3", '[dimensions] constants must be a table of texts: name = "..."'),
        ('[source]\nfolder = "../elsewhere"', "[source] folder `../elsewhere` must be a folder inside the project"),
        ('domain = "a b"', "[project] domain `a b` is not a domain. Write the host, such as example.com."),
        ('[source]\nfolder = "/etc"', "must be a folder inside the project"),
        ('[source]\nfolder = "a\\\\b"', "must be a folder inside the project"),
        (
            '[assets]\npublic_url = "img.example.com"',
            "[assets] public_url `img.example.com` is not an address. Write all of it: https://img.example.com",
        ),
        ('[assets]\ncompress = "jpg"', "[assets] compress must be one of avif, lossless, webp."),
        ("[assets]\nwidths = [0]", "[assets] widths must be a list of whole numbers from 1 to 16383."),
        ('[source]\nnoindex = "maybe"', "[source] noindex must be one of keep, skip."),
        ("[source]\nfold = -1", "[source] fold must be one of desktop, flow, phone or a whole number from 0 on."),
        ('[source]\nfold = "fone"', "a whole number from 0 on. Did you mean `phone`?"),
        ("[upload]\ntries = 0", "[upload] tries must be a whole number from 1 on."),
        ("[upload]\nretry_wait = 0", "[upload] retry_wait must be a whole number from 1 on."),
        ("[upload]\nretry_wait = 0.5", "[upload] retry_wait must be a whole number from 1 on."),
        ("[upload]\ngive_up_after = -1", "[upload] give_up_after must be a whole number from 1 on."),
        ("[target]\nconnect_timeout = 0", "[target] connect_timeout must be a number above 0, at most 3600."),
        ("[target]\nread_timeout = -1.5", "[target] read_timeout must be a number above 0, at most 3600."),
        ("[target]\nread_timeout = nan", "[target] read_timeout must be a number above 0, at most 3600."),
        ('[target]\nread_timeout = "1s"', "[target] read_timeout must be a number above 0, at most 3600."),
        ('[target]\naccount = "a"', "unknown key in [target]: `account`. Did you mean `account_id`?"),
        (
            '[target.namespaces]\nNIMBUS_PAGE = "p"',
            "unknown name in [target.namespaces]: `NIMBUS_PAGE`. Did you mean `NIMBUS_PAGES`?",
        ),
        ("[target.namespaces]\nNIMBUS_PAGES = 3", '[target] namespaces must be a table of texts: name = "..."'),
        ('[process]\noptimiser = "gpt"', "[process] optimiser must be one of openai, rules"),
        ('[process]\noptimizer = "openai"', "unknown key in [process]: `optimizer`. Did you mean `optimiser`?"),
        ('[openai]\nmodell = "m"', "unknown key in [openai]: `modell`. Did you mean `model`?"),
        ('[openia]\nmodel = "m"', "unknown table: `openia`. Did you mean `openai`?"),
        ("[openai]\nspend_cap = -1", "[openai] spend_cap must be a number from 0 to 100000"),
        ("x = " + "[" * 100_000, "its arrays or tables are nested too deep"),
        ("a." * 40_000 + "a = 1", "a key has more than 100 parts"),
        ("x = {" + '"a" . ' * 40_000 + "a = 1}", "a key has more than 100 parts"),
        ("[openai]\nspend_cap = nan", "[openai] spend_cap must be a number from 0 to 100000"),
        ("[openai]\nmax_tokens = 100", "[openai] max_tokens must be a whole number from 500 on"),
        ("[openai]\nkeep_days = 100000", "[openai] keep_days must be a whole number from 1 to 36500"),
        ('[openai]\napi_key = "k"', "unknown key in [openai]: `api_key`"),
        ('[source]\ninclude = "x"', '[source] include must be a list of texts: ["..."]'),
        ("[process]\nretry_delays = [1, 0]", "[process] retry_delays must be a list of numbers above 0."),
        ("[upload]\naudit_log = 1", "[upload] audit_log must be true or false."),
        ("[source]\nfolder = 1", '[source] folder must be a text: "..."'),
        ("[target]\nnamespaces = 3", '[target] namespaces must be a table of texts: name = "..."'),
    ],
)
def test_an_error_names_the_file_the_key_and_the_allowed_values(said: str, words: str) -> None:
    told = mistake(f"{MINIMAL}{said}\n")
    assert told.startswith(f"{PROJECT_FILE}: ")
    assert words in told


@pytest.mark.parametrize("key", ["verify", "verify_tls", "insecure", "ssl_verify", "tls_verify", "check_certificate"])
def test_no_setting_switches_the_check_of_certificates_off(key: str) -> None:
    assert f"unknown key in [target]: `{key}`" in mistake(f"{MINIMAL}[target]\n{key} = false\n")


@pytest.mark.parametrize("key", ["api_key", "api_token", "token", "admin_secret"])
def test_no_setting_takes_a_secret(key: str) -> None:
    told = mistake(f'{MINIMAL}[target]\n{key} = "s3cret"\n')
    assert f"unknown key in [target]: `{key}`" in told
    assert "s3cret" not in told


def test_a_key_outside_of_any_table_is_named() -> None:
    assert "`upload` must be a table: [upload]" in mistake(f"upload = 3\n{MINIMAL}")


def test_invalid_toml_is_reported_with_its_line() -> None:
    assert "line 2" in mistake("[project]\nid = \n")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("[assets]\n# A comment\n[log]\n[ assets ]\n", "line 6: [assets] is in line 3 already. Put its keys there."),
        ("[source]\nmain = 'a'\n[log]\n[source]\n", "line 6: [source] is in line 3 already. Put its keys there."),
        ("[log]\nlevel = 'info'\nlevel = 'debug'\n", "line 5: [log] level is in line 4 already. Keep one of them."),
        ("[assets.a]\n[[assets]]\n", " is not valid TOML: Cannot overwrite a value (at line 4, column 9)."),
    ],
)
def test_what_is_declared_twice_is_named_with_its_first_line(more: str, told: str) -> None:
    said = mistake(f"{MINIMAL}{more}")
    assert said in (f"{PROJECT_FILE}, {told}", f"{PROJECT_FILE}{told}")


@pytest.mark.parametrize("text", ["", "[project]\n", '[project]\nid = "proj_x"\n', "[project]\nid = 3\n"])
def test_without_an_id_the_way_out_is_named(text: str) -> None:
    assert "[project] needs an id of the form proj_ + 12 hex digits" in mistake(text)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NIMBUS_TARGET", "floppy", "NIMBUS_TARGET: "),
        ("NIMBUS_SERVER_PORT", "abc", "NIMBUS_SERVER_PORT must be a whole number"),
        ("NIMBUS_SERVER_STORAGE", "s4", "NIMBUS_SERVER_STORAGE must be one of folder, s3."),
        ("NIMBUS_SERVER_RETRY_DELAYS", "1,x", "NIMBUS_SERVER_RETRY_DELAYS must be "),
        ("NIMBUS_SERVER_PROT", "1", "The variable NIMBUS_SERVER_PROT is unknown. Did you mean NIMBUS_SERVER_PORT?"),
        (
            "NIMBUS_SERVER_PUBLIC_URL",
            "photos.example.com",
            "[server] public_url `photos.example.com` is not an address.",
        ),
        ("NIMBUS_SERVER_PUBLIC_URL", "https://a.example/?x", "[server] public_url `https://a.example/?x` is not"),
        ("NIMBUS_SERVER_TRUSTED_PROXIES", "10.0.0.1,foo", "[server] trusted_proxies: `foo` is not an address."),
    ],
)
def test_a_wrong_variable_is_named_and_not_the_file(variable: str, value: str, told: str) -> None:
    assert mistake(MINIMAL, **{variable: value}).startswith(told)


@pytest.mark.parametrize("proxies", ["127.0.0.1", "10.0.0.0/8,::1", "172.30.0.2/16", "*"])
def test_proxies_are_addresses_or_networks(proxies: str) -> None:
    settings = parse(MINIMAL, {"NIMBUS_SERVER_TRUSTED_PROXIES": proxies, "NIMBUS_SERVER_PUBLIC_URL": "https://a.b/c/"})
    assert settings.server.trusted_proxies == tuple(proxies.split(","))


# --- the file -----------------------------------------------------------------------------------------


def test_without_a_file_there_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(NoProjectError, match=r"^No project here\. Run: doit nimbus:project:init$"):
        load(tmp_path)


def test_a_file_is_read_with_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / PROJECT_FILE
    file.parent.mkdir()
    file.write_text(MINIMAL, encoding="utf-8-sig", newline="\r\n")  # as editors on Windows write it
    monkeypatch.setenv("NIMBUS_TARGET", "gateway")
    assert load(tmp_path).target.store == "gateway"
    assert load(tmp_path, {}).target.store == "sqlite"


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["not UTF-8", "a folder"])
def test_an_unreadable_file_is_reported(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / PROJECT_FILE
    file.parent.mkdir()
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be read: "):
        load(tmp_path, {})


@given(st.text(), st.sampled_from(DOMAINS), st.sampled_from(["", "dist", "a b", "größe", 'quo"te', "{brace}"]))
def test_what_init_writes_is_what_is_read(name: str, domain: str, source: str) -> None:
    text = project.settings_text("proj_0123456789ab", name, domain, source, "2026-01-01T00:00:00.000Z")
    chosen = parse(text, {})
    assert (chosen.project.name, chosen.project.domain, chosen.source.folder) == (name, domain, source)
    assert chosen == parse(text.replace("\n# ", "\n## "), {})


def test_init_suggests_every_setting_of_a_site_and_each_is_right_once_it_is_uncommented() -> None:
    text = project.settings_text("proj_0123456789ab", "n", "d", "dist", "")
    tables = text.partition("[source]")[2]
    uncommented = "[source]" + "\n".join(line.removeprefix("# ") for line in tables.splitlines())
    parse(MINIMAL + uncommented, {})
    tables = tomllib.loads(uncommented)
    for table in msgspec.structs.fields(Settings):
        if table.name not in ("project", "images", "embeddings", "server"):  # [images] and below are the service's
            assert [key.name for key in msgspec.structs.fields(table.type) if key.name not in tables[table.name]] == []
    assert set(tomllib.loads(MINIMAL + uncommented)) == {field.name for field in msgspec.structs.fields(Settings)}


def test_a_new_project_has_an_id_of_its_own() -> None:
    one, other = project.new_project_id(), project.new_project_id()
    assert one != other
    assert parse(f'[project]\nid = "{one}"', {}).project.id == one
