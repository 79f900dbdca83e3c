"""Two commands in one project at one time: one waits, and nothing is sent twice."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from nimbus_tasks.lock import hold

if TYPE_CHECKING:
    from kit import Running, Site

A, B, C = (f"dist/{name}.html" for name in "abc")


def nobody(_: object) -> None:
    raise AssertionError("the lock is free")


def together(site: Site, *commands: str) -> list[Running]:
    """Let several commands wait for the lock, set them free at one moment, and return how they ended."""
    with contextlib.ExitStack() as stack:
        with hold(site.folder, "doit upload", nobody):
            runs = [stack.enter_context(site.start(*command.split())) for command in commands]
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
    together(site, "upload", second)
    store = site.store
    assert [store.uploads(path) for path in (A, B, C)] == [1, 1, 1]
    assert sorted(store.queue) == [A, B, C]
    assert len(store.batches) == 1


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
            run = stack.enter_context(site.start("upload"))
            run.until("Waiting for")
            site.page("a", "Edited meanwhile.")
        assert run.end() == 0
    assert "Edited meanwhile." in site.store.text(A)


def test_the_lock_of_a_killed_command_is_free(site: Site) -> None:
    with hold(site.folder, "doit upload", nobody), site.start("upload") as run:
        run.until("Waiting for")
        run.process.kill()
    assert "Waiting" not in site.publish().out
