"""Where secrets come from, and that they go nowhere."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_forms import ODD_FORMS

from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.project.secrets import (
    CREDENTIALS_FILE,
    MOST_CHARACTERS,
    Secret,
    find_secret,
    hide,
    hide_json,
    read_secret,
)

NAME = "NIMBUS_API_KEY"
TEXT = "sk_live_5ecre7"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / CREDENTIALS_FILE).parent.mkdir()
    return tmp_path


def write(root: Path, content: str | bytes, mode: int = 0o600) -> None:
    file = root / CREDENTIALS_FILE
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)


def found(root: Path, **environment: str) -> str:
    return read_secret(NAME, root, environment).reveal()


def mistake(root: Path, **environment: str) -> str:
    """Return the one line that is told, and look that no secret is in it or in a traceback."""
    with pytest.raises(SettingsError) as caught:
        read_secret(NAME, root, environment)
    told = str(caught.value)
    assert "\n" not in told
    assert "5ecre7" not in "".join(traceback.format_exception(caught.value))
    return told


# --- where it is found --------------------------------------------------------------------------------


def test_it_comes_from_the_environment(root: Path) -> None:
    assert found(root, NIMBUS_API_KEY=TEXT) == TEXT


def test_it_comes_from_the_environment_of_the_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, TEXT)
    assert read_secret(NAME, root).reveal() == TEXT
    monkeypatch.delenv(NAME)
    assert find_secret(NAME, root) is None


def test_it_comes_from_the_file(root: Path) -> None:
    write(root, f'OTHER = "x"\n{NAME} = "{TEXT}"\n')
    assert found(root) == TEXT


def test_the_environment_wins_and_then_the_file_is_not_even_read(root: Path) -> None:
    write(root, f'{NAME} = "of the file"', mode=0o666)
    assert found(root, NIMBUS_API_KEY=TEXT) == TEXT


@pytest.mark.parametrize("empty", ["", " ", "\n", " \t\r\n"])
def test_an_empty_variable_holds_no_secret(root: Path, empty: str) -> None:
    write(root, f'{NAME} = "{TEXT}"')
    assert found(root, NIMBUS_API_KEY=empty) == TEXT


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}", "\n{} \n"])
def test_a_line_break_that_was_copied_with_it_is_left_out(root: Path, around: str) -> None:
    assert found(root, NIMBUS_API_KEY=around.format(TEXT)) == TEXT
    write(root, f"{NAME} = {json.dumps(around.format(TEXT))}")
    assert found(root) == TEXT


def test_where_there_is_none_both_places_are_named(root: Path) -> None:
    assert find_secret(NAME, root, {}) is None
    told = mistake(root)
    assert told.startswith(f"{NAME} is not set. Set it in the environment, or as {NAME} =")
    assert CREDENTIALS_FILE in told


def test_without_a_project_there_is_none_either(tmp_path: Path) -> None:
    assert find_secret(NAME, tmp_path, {}) is None


@pytest.mark.parametrize(
    "content", ["", f'{NAME} = ""', f'{NAME} = "\\n"', f'OTHER = "{TEXT}"', f'[t]\n{NAME} = "{TEXT}"']
)
def test_a_file_that_does_not_say_it_says_nothing(root: Path, content: str) -> None:
    write(root, content)
    assert find_secret(NAME, root, {}) is None
    assert f"{NAME} is not set" in mistake(root)


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(root: Path, mode: int) -> None:
    write(root, f'{NAME} = "{TEXT}"', mode)
    assert found(root) == TEXT


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o620, 0o602, 0o610, 0o601, 0o777])
def test_a_file_that_others_can_use_is_refused(root: Path, mode: int) -> None:
    write(root, f'{NAME} = "{TEXT}"', mode)
    told = mistake(root)
    assert f"can be read by others (mode {mode:04o})" in told
    assert told.endswith(f"Run: chmod 600 {CREDENTIALS_FILE}")


def test_the_mode_is_that_of_the_file_behind_a_link(root: Path) -> None:
    write(root, f'{NAME} = "{TEXT}"', 0o644)
    real = (root / CREDENTIALS_FILE).rename(root / "elsewhere.toml")
    (root / CREDENTIALS_FILE).symlink_to(real)
    assert "mode 0644" in mistake(root)


@pytest.mark.parametrize(
    "text", [f"{TEXT} x", f"{TEXT}\nx", f"{TEXT}\0", f"{TEXT}\u00a0x", f"{TEXT}ü", f"{TEXT}\udcff"]
)
def test_what_no_header_can_carry_is_refused(root: Path, text: str) -> None:
    told = mistake(root, NIMBUS_API_KEY=text)
    assert told.startswith(f"{NAME} in the environment has invalid characters.")


def test_the_file_is_named_where_it_is_to_blame(root: Path) -> None:
    write(root, f'{NAME} = "{TEXT} x"')
    assert mistake(root).startswith(f"{NAME} in {CREDENTIALS_FILE} has invalid characters.")


def test_what_is_far_too_long_is_refused(root: Path) -> None:
    longest = TEXT.ljust(MOST_CHARACTERS, "x")
    assert found(root, NIMBUS_API_KEY=longest) == longest
    assert "has invalid characters" in mistake(root, NIMBUS_API_KEY=longest + "x")


@pytest.mark.parametrize(
    "line",
    [
        f"{NAME} = {TEXT}",
        f'{NAME} = "{TEXT}',
        f'{NAME} "{TEXT}"',
        f"{TEXT}",
        f'{NAME} = "{TEXT}"\n{NAME} = "{TEXT}"',
        f'{NAME} = "\\{TEXT}"',
    ],
)
def test_a_broken_line_is_reported_but_not_quoted(root: Path, line: str) -> None:
    write(root, f'OTHER = "x"\n{line}\n')
    assert mistake(root).startswith(f"{CREDENTIALS_FILE} is not valid TOML: each line must be NAME")


@pytest.mark.parametrize("content", [f'{NAME} = "{TEXT}\xff"'.encode("latin-1"), b"a = " + b"[" * 9999])
def test_invalid_utf8_and_deep_nesting_are_reported_too(root: Path, content: bytes) -> None:
    write(root, content)
    assert f"{CREDENTIALS_FILE} is not valid TOML" in mistake(root)


@pytest.mark.parametrize("value", ["5", f'["{TEXT}"]', f'{{ a = "{TEXT}" }}', "true"])
def test_a_secret_that_is_not_a_text_is_reported(root: Path, value: str) -> None:
    write(root, f"{NAME} = {value}")
    assert f"{CREDENTIALS_FILE}: {NAME} must be a text" in mistake(root)


def test_a_folder_in_place_of_the_file_is_reported(root: Path) -> None:
    (root / CREDENTIALS_FILE).mkdir()
    assert mistake(root) == f"{CREDENTIALS_FILE} cannot be read: is a directory."


# --- where it goes ------------------------------------------------------------------------------------


def test_no_way_to_show_it_shows_it() -> None:
    secret = Secret(TEXT)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{secret!s}", f"{[secret]}", f"{ {1: secret} }"]
    shown += ["%s %r" % (secret, secret), "{} {!r}".format(secret, secret), ascii(secret)]  # noqa: UP031, UP032
    shown += [json.dumps(secret, default=str), repr(KeyError(secret)), str(ValueError(secret))]
    assert not [each for each in shown if "5ecre7" in each]
    assert repr(secret) == "Secret(***)"


def test_it_is_not_copied_out_of_its_process() -> None:
    secret = Secret(TEXT)
    for write_out in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match=r"^A secret stays in its process\.$"):
            write_out(secret)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match=r"^A secret stays in its process\.$"):
            pickle.dumps([secret], protocol)
    with pytest.raises(TypeError) as caught:
        msgspec.json.encode({"secret": secret})
    assert "5ecre7" not in str(caught.value)
    with pytest.raises(TypeError):
        vars(secret)


KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@given(KEYS)
def test_any_key_comes_through_as_it_is(key: str) -> None:
    assert found(Path("no project here"), NIMBUS_API_KEY=key) == key


@given(KEYS.filter(lambda key: not set(key) <= set("*")), st.text(), st.text())
def test_whatever_is_scrubbed_is_without_it(key: str, before: str, after: str) -> None:
    scrubbed = Secret(key).scrub(f"{before} {key} {key} {after}")
    assert key not in scrubbed.replace("***", " ")


LONG = "sk_live_0123456789abcdef/+=~\"\\'&%<x>"


@pytest.mark.parametrize("form", ODD_FORMS)
@pytest.mark.parametrize("key", [LONG, "sk_live_" + "0a1b2c3d" * 4, "v1.0-5ecre7~" * 8])
def test_a_secret_is_scrubbed_in_whatever_form_it_is_written(key: str, form: str) -> None:
    written = ODD_FORMS[form](key)
    scrubbed = Secret(key).scrub(f"Before: {written}, after.")
    assert scrubbed.startswith("Before: ")
    assert scrubbed.endswith(", after.")
    left = scrubbed.removeprefix("Before: ").removesuffix(", after.")
    assert "***" in left
    assert len(left) < max(20, len(written) / 2), "at most some characters at the edges"
    assert not any(written[at : at + 12] in left for at in range(max(1, len(written) - 11)))


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=24, max_size=80),
    st.sampled_from(sorted(ODD_FORMS)),
    st.text(max_size=50),
    st.text(max_size=50),
)
def test_no_form_of_any_secret_is_left(key: str, form: str, before: str, after: str) -> None:
    written = ODD_FORMS[form](key)
    scrubbed = Secret(key).scrub(before + written + after)
    assert written not in scrubbed.replace("***", " ")


def test_what_leaves_the_process_is_without_its_credentials(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.project.secrets._read", {})  # what other tests have read is hidden, too
    key, other = "sk_live_" + "5ecre7aa" * 4, 'an"other\\-5ecre7-secret'
    monkeypatch.setenv("NIMBUS_AI_KEY", key)
    write(root, f"{NAME} = {json.dumps(other)}")
    monkeypatch.delenv(NAME, raising=False)
    assert read_secret(NAME, root).reveal() == other
    document = {"a": [f"Bearer {key}", 1, None], key[:20]: {"b": other, "c": "plain"}}
    encoded = msgspec.json.encode(document)
    assert json.loads(hide_json(encoded)) == {"a": ["Bearer ***", 1, None], "***": {"b": "***", "c": "plain"}}
    assert hide_json(b'{"a":1}') == b'{"a":1}'
    assert hide(f"{key} {other}!") == "*** ***!"
    monkeypatch.setenv("NIMBUS_AI_KEY", "short")
    assert hide("in short") == "in short"


def test_only_the_secret_is_scrubbed() -> None:
    assert Secret(TEXT).scrub(f"no {TEXT}!{TEXT} here") == "no ***!*** here"
    assert Secret(TEXT).scrub("nothing here") == "nothing here"
