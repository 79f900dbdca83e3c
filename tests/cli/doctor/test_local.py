"""What is kept under `.nimbus/`, looked at and left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nimbus_tasks.cli.doctor import local
from nimbus_tasks.cli.doctor.target import check_queue, queue_keys
from nimbus_tasks.model.records import QueueEntry
from nimbus_tasks.processing.leases import CLAIMS_FILE, Leases
from nimbus_tasks.project.lock import hold, seen_holder
from nimbus_tasks.project.settings import parse
from nimbus_tasks.publishing.ledger import LEDGER_FILE, Ledger

PROJECT = "proj_0123456789ab"
SETTINGS = parse(f'[project]\nid = "{PROJECT}"\n', {})
ENTRY = QueueEntry("page_1", "batch_20260101_000000", 5, "2026-01-01T00:00:00.000Z", 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / ".nimbus").mkdir()
    return tmp_path


def test_who_holds_the_lock_is_named_only_while_it_is_held(root: Path) -> None:
    assert seen_holder(root) is None
    with hold(root, "upload", lambda _: None):
        (found,) = local.check_lock(root)
        assert found.level == "ok"
        assert "doit upload is running (process " in found.message
    assert list(local.check_lock(root)) == []


def test_looking_does_not_take_the_lock(root: Path) -> None:
    with hold(root, "upload", lambda _: None):
        pass
    waited: list[object] = []
    local.check_lock(root)
    with hold(root, "upload", waited.append):
        assert waited == []


def test_leases_are_read_without_a_claim_of_ones_own(root: Path) -> None:
    assert list(local.check_leases(root)) == []
    claims = Leases(root / CLAIMS_FILE, "here", 60.0)
    claims.take([ENTRY], 1)
    claims.close()
    (found,) = local.check_leases(root)
    assert "1 page held by workers here" in found.message


def test_a_batch_of_the_future_means_that_the_clock_is_wrong(root: Path) -> None:
    assert list(local.check_clock(root)) == []
    ledger = Ledger(root / LEDGER_FILE, "sqlite")
    ledger.begin("sqlite:1")
    ledger.open_batch("batch_20260101_000000", "2026-01-01T00:00:00.000Z")
    assert list(local.check_clock(root)) == []
    ledger.open_batch("batch_29990101_000000", "2999-01-01T00:00:00.000Z")
    ledger.close()
    (found,) = local.check_clock(root)
    assert (found.level, "in the future" in found.message) == ("warning", True)


def test_a_queue_whose_times_cannot_be_read_is_counted_all_the_same(root: Path) -> None:
    (key,) = queue_keys(root, SETTINGS)
    items = '{"page_id":"p","batch_id":"b","priority":5,"queued_at":"yesterday","attempts":0}'
    (found,) = check_queue(root, SETTINGS, {key: f'{{"items":[{items}]}}'.encode()})
    assert found.message == "1 page in the queue"


def test_a_file_that_goes_while_it_is_looked_at_is_no_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wal = root / ".nimbus/kv.db-wal"
    wal.write_text("")
    access = os.access

    def access_of_what_has_gone(path: Path, mode: int) -> bool:
        if path == wal:
            wal.unlink()
        return access(path, mode)

    monkeypatch.setattr(os, "access", access_of_what_has_gone)
    (found,) = local.check_permissions(root)
    assert (found.level, wal.exists()) == ("ok", False)


def test_a_folder_of_another_user_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".nimbus/maps").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "maps")
    (found,) = local.check_permissions(root)
    assert (found.level, "maps" in found.message) == ("problem", True)


@pytest.mark.parametrize(("lines", "told"), [("*\n!project.toml\n", 0), ("credentials.toml\n", 0), ("", 1)])
def test_secrets_that_git_may_see_are_a_warning(root: Path, lines: str, told: int) -> None:
    secrets = root / ".nimbus/credentials.toml"
    secrets.write_text("")
    secrets.chmod(0o600)
    (root / ".nimbus/.gitignore").write_text(lines)
    found = [each for each in local.check_permissions(root) if each.level == "warning"]
    assert len(found) == told
