"""The secret of the gateway's admin, and the file that it is kept in."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest

from nimbus_tasks.gateway.admin_secret import ADMIN_SECRET, find_admin_secret, make_admin_secret
from nimbus_tasks.model.errors import NimbusError, SettingsError, StateError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(ADMIN_SECRET, raising=False)
    (tmp_path / ".nimbus").mkdir()
    return tmp_path / ".nimbus/credentials.toml"


def write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


def root(file: Path) -> Path:
    return file.parents[1]


def test_one_that_was_made_is_found_again(file: Path) -> None:
    assert find_admin_secret(root(file)) is None
    made = make_admin_secret(root(file))
    assert len(made.reveal()) == 64
    found = find_admin_secret(root(file))
    assert found is not None
    assert found.reveal() == made.reveal()
    assert made.reveal() not in repr(made)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o277])
def test_nobody_else_can_read_it_whatever_the_umask(file: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        make_admin_secret(root(file))
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.parametrize("there", ['A = "1"', '# mine\n\nA = "1"\n', '[table]\nNIMBUS_ADMIN_SECRET = "x"\n', ""])
def test_other_entries_stay(file: Path, there: str) -> None:
    write(file, there)
    made = make_admin_secret(root(file))
    assert file.read_text().endswith(there)
    assert tomllib.loads(file.read_text()) == {ADMIN_SECRET: made.reveal(), **tomllib.loads(there)}


def test_an_empty_entry_is_named_and_stays(file: Path) -> None:
    write(file, f'{ADMIN_SECRET} = ""\n')
    with pytest.raises(SettingsError, match=f"has an empty {ADMIN_SECRET}"):
        make_admin_secret(root(file))
    assert file.read_text() == f'{ADMIN_SECRET} = ""\n'


def test_a_link_to_a_file_elsewhere_stays_one(file: Path, tmp_path: Path) -> None:
    write(tmp_path / "vault.toml", 'A = "1"\n')
    file.symlink_to(tmp_path / "vault.toml")
    make_admin_secret(root(file))
    assert file.is_symlink()
    assert ADMIN_SECRET in (tmp_path / "vault.toml").read_text()


def test_a_file_that_cannot_be_written_is_told(file: Path) -> None:
    file.mkdir()
    with pytest.raises(StateError, match=r"credentials\.toml cannot be written: is a directory"):
        make_admin_secret(root(file))


@pytest.mark.parametrize("length", [15, 257])
def test_one_that_the_worker_would_not_take_is_refused_and_not_repeated(file: Path, length: int) -> None:
    write(file, f'{ADMIN_SECRET} = "{"q" * length}"\n')
    with pytest.raises(NimbusError) as caught:
        find_admin_secret(root(file))
    assert "qqqq" not in str(caught.value)


@pytest.mark.parametrize("length", [16, 256])
def test_one_that_the_worker_takes_is_taken(file: Path, length: int) -> None:
    write(file, f'{ADMIN_SECRET} = "{"q" * length}"\n')
    assert find_admin_secret(root(file)) is not None
