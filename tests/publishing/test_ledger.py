"""What the ledger remembers, and when."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project.heal import StateWarning
from nimbus_tasks.publishing.ledger import Ledger
from nimbus_tasks.publishing.plan import Held

if TYPE_CHECKING:
    from collections.abc import Iterator


def row(name: str, step: str = "enqueued", batch: str = "b1", digest: str = "1") -> Held:
    return Held(f"page_{name}", f"dist/{name}.html", digest, batch, "2026-01-01T00:00:00.000Z", step)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".nimbus/ledger.db"


@pytest.fixture
def ledger(file: Path) -> Iterator[Ledger]:
    opened = Ledger(file, "sqlite")
    yield opened
    opened.close()


def test_a_new_ledger_knows_nothing(ledger: Ledger) -> None:
    assert (ledger.identity, ledger.published) == ("", "")
    assert (ledger.held(), ledger.batches(), ledger.count_active()) == ({}, {}, 0)


def test_what_was_confirmed_is_there_at_once_for_everybody(ledger: Ledger, file: Path) -> None:
    ledger.confirm([row("a"), row("b", "stored")])
    other = Ledger(file, "sqlite")
    assert other.held() == {"page_a": row("a"), "page_b": row("b", "stored")}
    other.close()


def test_a_page_has_one_row(ledger: Ledger) -> None:
    ledger.confirm([row("a", "stored")])
    ledger.confirm([row("a", "enqueued", "b2", "2")])
    assert ledger.held() == {"page_a": row("a", "enqueued", "b2", "2")}
    assert (ledger.in_batch("b1"), ledger.in_batch("b2")) == ([], [row("a", "enqueued", "b2", "2")])


def test_inactive_pages_are_known_but_not_counted(ledger: Ledger) -> None:
    ledger.confirm([row("a"), row("b", "retired")])
    assert len(ledger.held()) == 2
    assert ledger.count_active() == 1


def test_a_site_is_published_only_between_a_finish_and_the_next_beginning(ledger: Ledger) -> None:
    ledger.begin("store one")
    assert (ledger.identity, ledger.published) == ("store one", "")
    ledger.finish("site digest")
    assert ledger.published == "site digest"
    ledger.begin("store one")
    assert ledger.published == ""


def test_batches_are_open_until_they_are_closed_oldest_first(ledger: Ledger) -> None:
    ledger.open_batch("b2", "2026-01-02")
    ledger.open_batch("b1", "2026-01-01")
    ledger.close_batch("b1")
    assert list(ledger.batches().items()) == [("b1", ("2026-01-01", False)), ("b2", ("2026-01-02", True))]
    ledger.open_batch("b1", "2026-01-03")
    ledger.begin("store one", ["b1", "b3"], "2026-01-03")
    assert ledger.batches()["b1"] == ("2026-01-01", True)
    assert ledger.batches()["b3"] == ("2026-01-03", True)


def test_a_forgotten_batch_is_gone(ledger: Ledger) -> None:
    ledger.open_batch("b1", "2026-01-01")
    ledger.forget_batch("b1")
    assert ledger.batches() == {}


def test_replacing_the_rows_forgets_everything_else(ledger: Ledger) -> None:
    ledger.confirm([row("a"), row("b")])
    ledger.open_batch("b1", "2026-01-01")
    ledger.begin("store one")
    ledger.finish("site digest")
    ledger.replace("store two", [row("c")], [("b9", "2026-01-09", True)])
    assert ledger.held() == {"page_c": row("c")}
    assert ledger.batches() == {"b9": ("2026-01-09", True)}
    assert (ledger.identity, ledger.published) == ("store two", "")


def test_targets_do_not_know_each_other(ledger: Ledger, file: Path) -> None:
    other = Ledger(file, "cloudflare")
    ledger.confirm([row("a")])
    ledger.open_batch("b1", "2026-01-01")
    ledger.begin("one")
    other.replace("two", [row("b")], [])
    other.finish("site")
    assert (ledger.held(), other.held()) == ({"page_a": row("a")}, {"page_b": row("b")})
    assert (ledger.identity, other.identity) == ("one", "two")
    assert (ledger.published, other.published) == ("", "site")
    assert other.batches() == {}
    other.close()


def test_rows_that_fail_on_the_way_leave_all_as_it_was(ledger: Ledger) -> None:
    def rows() -> Iterator[Held]:
        yield row("b")
        raise RuntimeError("on the way")

    ledger.confirm([row("a")])
    with pytest.raises(RuntimeError):
        ledger.replace("other", rows(), [])
    assert ledger.held() == {"page_a": row("a")}


def test_a_rehearsal_changes_nothing_and_makes_no_file(ledger: Ledger, file: Path, tmp_path: Path) -> None:
    ledger.confirm([row("a")])
    rehearsal = Ledger(file, "sqlite", dry_run=True)
    assert rehearsal.held() == {"page_a": row("a")}
    rehearsal.replace("other", [row("b")], [])
    assert rehearsal.held() == {"page_b": row("b")}
    rehearsal.close()
    assert ledger.held() == {"page_a": row("a")}
    nowhere = Ledger(tmp_path / "nowhere/ledger.db", "sqlite", dry_run=True)
    nowhere.confirm([row("a")])
    nowhere.close()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_damaged_file_is_begun_anew_and_only_a_dry_run_leaves_it(file: Path, dry_run: bool) -> None:
    file.parent.mkdir()
    file.write_bytes(b"This is no database." * 1000)
    with pytest.warns(StateWarning, match=r"ledger\.db is damaged .* The target is asked what it holds") as warned:
        ledger = Ledger(file, "sqlite", dry_run=dry_run)
    assert len(warned) == 1
    assert (ledger.identity, ledger.held()) == ("", {})
    ledger.close()
    assert file.read_bytes().startswith(b"This is no database." if dry_run else b"SQLite format 3")
    assert file.with_name("ledger.db.damaged").exists() is not dry_run


def test_damage_in_the_middle_of_the_file_is_found_before_a_run(file: Path) -> None:
    ledger = Ledger(file, "sqlite")
    ledger.confirm(row(str(number)) for number in range(2000))
    ledger.close()
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(4096)
    file.write_bytes(content)
    with pytest.warns(StateWarning, match="is damaged"):
        Ledger(file, "sqlite", check=True).close()
    again = Ledger(file, "sqlite", check=True)
    assert again.held() == {}
    again.close()


def test_damage_that_only_reading_shows_is_an_error_once(file: Path) -> None:
    ledger = Ledger(file, "sqlite")
    ledger.confirm([row("a")])
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE page SET digest = CAST(x'ff' AS TEXT)")
    connection.close()
    with pytest.raises(StateError, match=r"Could not decode.* is now ledger\.db\.damaged\. Run the same command again"):
        ledger.held()
    ledger.close()
    assert Ledger(file, "sqlite").held() == {}


def test_a_file_that_another_process_holds_is_no_damage(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nimbus_tasks.project.sqlite.BUSY_SECONDS", 0.01)
    Ledger(file, "sqlite").close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match=r"ledger\.db is locked by another process\. Let it end"):
            Ledger(file, "sqlite")


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / ".nimbus").write_text("")
    with pytest.raises(StateError, match="cannot be used"):
        Ledger(tmp_path / ".nimbus/ledger.db", "sqlite")


# --- messages that are still to be sent ---------------------------------------------------------------


def test_a_page_needs_a_message_from_the_step_on_that_queued_it(ledger: Ledger) -> None:
    ledger.confirm([row("a", "marked")])
    assert ledger.messages() == []
    ledger.confirm([row("a"), row("b")], messages=True)
    assert ledger.messages() == [("page_a", "b1"), ("page_b", "b1")]
    ledger.strike_messages([("page_a", "b1")])
    assert ledger.messages() == [("page_b", "b1")]


def test_no_message_is_sent_of_a_batch_whose_upload_is_not_over(ledger: Ledger) -> None:
    ledger.open_batch("b1", "2026")
    ledger.confirm([row("a"), row("b", batch="b2")], messages=True)
    assert ledger.messages() == [("page_b", "b2")]
    ledger.close_batch("b1")
    assert ledger.messages() == [("page_a", "b1"), ("page_b", "b2")]


def test_a_page_that_is_queued_again_while_its_message_is_sent_needs_another_one(ledger: Ledger) -> None:
    ledger.note_messages([("page_a", "b1")])
    ledger.note_messages([("page_a", "b2")])
    ledger.strike_messages([("page_a", "b1")])
    assert ledger.messages() == [("page_a", "b2")]


def test_each_target_has_its_own_messages_and_keeps_them_when_its_rows_are_replaced(ledger: Ledger, file: Path) -> None:
    ledger.note_messages([("page_a", "b1")])
    ledger.replace("store", [row("b")], [])
    assert ledger.messages() == [("page_a", "b1")]
    other = Ledger(file, "gateway")
    assert other.messages() == []
    other.close()


def test_a_ledger_of_an_older_version_is_brought_up_to_date(file: Path) -> None:
    old = Ledger(file, "sqlite")
    old.confirm([row("a"), row("b", "marked"), row("c")])
    old.close()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TABLE message")
        connection.execute("PRAGMA user_version = 0")
        connection.execute("UPDATE page SET step = 'queued' WHERE page_id = 'page_a'")
        connection.execute("UPDATE page SET step = 'inactive' WHERE page_id = 'page_c'")
    new = Ledger(file, "sqlite")
    new.note_messages([("page_a", "b1")])
    assert new.messages() == [("page_a", "b1")]
    assert [held.step for held in new.held().values()] == ["enqueued", "marked", "retired"]
    new.close()


STEPS = st.sampled_from(["stored", "marked", "enqueued", "retired"])
ROWS = st.lists(st.builds(row, st.sampled_from("abcd"), STEPS, st.sampled_from(["b1", "b2"]), st.sampled_from("12")))


@given(st.lists(ROWS, max_size=5))
def test_a_ledger_is_a_dictionary_that_survives(confirmations: list[list[Held]]) -> None:
    model: dict[str, Held] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in confirmations:
            opened = Ledger(Path(folder, "ledger.db"), "sqlite")
            opened.confirm(rows)
            model |= {each.page_id: each for each in rows}
            opened.close()
        opened = Ledger(Path(folder, "ledger.db"), "sqlite")
        assert opened.held() == model
        assert opened.count_active() == sum(each.step != "retired" for each in model.values())
        opened.close()
