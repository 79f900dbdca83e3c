"""The lock of a project: held by the system, signed for people."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from nimbus_tasks.project import lock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_full_disk_leaves_the_lock_unsigned_and_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gave a traceback before anything was tried."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with lock.hold(tmp_path, "upload", lambda _: None):
        assert (tmp_path / lock.LOCK_FILE).exists()
