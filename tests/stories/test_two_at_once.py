"""Two commands in one project at one time: one waits, and nothing is sent twice."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
from kit import SECONDS

from nimbus_tasks.model.errors import StateError
from nimbus_tasks.project.lock import LOCK_FILE, Holder, hold, last_held

if TYPE_CHECKING:
    from pathlib import Path

    from kit import Running, Site

A, B, C = (f"dist/{name}.html" for name in "abc")


def nobody(_: object) -> None:
    raise AssertionError("the lock is free")


def together(site: Site, *commands: str) -> list[Running]:
    """Let several commands wait for the lock, set them free at one moment, and return how they ended."""
    with contextlib.ExitStack() as stack:
        with hold(site.folder, "doit upload", nobody):
            runs = [stack.enter_context(site.start_fork(*command.split())) for command in commands]
            for run in runs:
                run.until(f"Waiting for doit upload (process {os.getpid()}, since ")
            assert site.store.values == {}
        assert [run.end() for run in runs] == [0] * len(runs)
    return runs


def test_a_second_command_waits_and_says_for_whom(site: Site) -> None:
    together(site, "upload")
    assert site.store.active == {A, B, C}


@pytest.mark.parametrize("second", ["upload", "summarize", "nimbus:upload", "upload --json"])
def test_two_uploads_at_once_send_nothing_twice(site: Site, second: str) -> None:
    # Whichever runs first: nimbus:upload sends the maps that are there.
    assert site.doit("validate").status == 0
    together(site, "upload", second)
    store = site.store
    assert [store.uploads(path) for path in (A, B, C)] == [1, 1, 1]
    assert sorted(store.queue) == [A, B, C]
    assert len(store.batches) == 1


def test_a_file_is_sent_once_by_uploads_at_once(site: Site) -> None:
    site.settings('[assets]\nstore = "folder"\ninclude = ["*.bin"]\n')
    for number in range(5):
        (site / f"dist/{number}.bin").write_bytes(bytes([number]))
    runs = together(site, "assets", "nimbus:assets:upload --files=dist/*.bin", "upload")
    sent = [line for run in runs for line in run.lines if "Found" in line and "to upload to .nimbus/blobs" in line]
    assert len(sent) == 1, sent
    assert "Found 5 files to upload" in sent[0]


def test_what_doit_remembers_survives_two_at_once(site: Site) -> None:
    together(site, "upload", "upload", "upload")
    assert site.publish().out.endswith("-- upload\n")


def test_a_forced_upload_beside_another_ends_well_too(site: Site) -> None:
    together(site, "upload", "upload --force")
    assert sorted(site.store.queue) == [A, B, C]
    assert site.publish().out.endswith("-- upload\n")


def test_an_edit_while_a_command_waits_is_seen(site: Site) -> None:
    with contextlib.ExitStack() as stack:
        with hold(site.folder, "doit upload", nobody):
            run = stack.enter_context(site.start_fork("upload"))
            run.until("Waiting for")
            site.page("a", "Edited meanwhile.")
        assert run.end() == 0
    assert "Edited meanwhile." in site.store.text(A)


def test_the_lock_of_a_killed_command_is_free(site: Site) -> None:
    with hold(site.folder, "doit upload", nobody), site.start("upload") as run:
        run.until("Waiting for")
        run.process.kill()
    assert "Waiting" not in site.publish().out


# --- the lock itself ----------------------------------------------------------------------------------


def test_whoever_waits_is_told_who_holds_the_lock_and_gets_it_afterwards(tmp_path: Path) -> None:
    told: list[Holder] = []
    waiting, entered = threading.Event(), threading.Event()

    def wait() -> None:
        with hold(tmp_path, "doit watch", lambda holder: (told.append(holder), waiting.set())):  # type: ignore[func-returns-value]
            entered.set()

    second = threading.Thread(target=wait)
    with hold(tmp_path, "doit upload", nobody):
        second.start()
        assert waiting.wait(SECONDS)
        assert not entered.is_set()
    assert entered.wait(SECONDS)
    second.join(SECONDS)
    assert [(holder.pid, holder.does) for holder in told] == [(os.getpid(), "doit upload")]


def test_a_holder_that_has_not_signed_yet_is_another_run(tmp_path: Path) -> None:
    told: list[str] = []
    with hold(tmp_path, "doit upload", nobody):
        (tmp_path / LOCK_FILE).write_text("")

        def give_up(holder: Holder) -> None:
            told.append(holder.does)
            raise InterruptedError

        with pytest.raises(InterruptedError), hold(tmp_path, "doit watch", give_up):
            pass
    assert told == ["another run"]


def test_a_holder_can_tell_whether_others_held_it_since_it_looked(tmp_path: Path) -> None:
    assert last_held(tmp_path) == 0
    with hold(tmp_path, "doit upload", nobody):
        pass
    seen = last_held(tmp_path)
    with hold(tmp_path, "doit upload", nobody) as before:
        assert before == seen
    assert last_held(tmp_path) > seen


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), hold(tmp_path, "doit upload", nobody):
        raise RuntimeError
    with hold(tmp_path, "doit upload", nobody):
        pass


def test_a_lock_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).mkdir(parents=True)
    with pytest.raises(StateError, match="lock cannot be opened: is a directory"), hold(tmp_path, "x", nobody):
        pass
