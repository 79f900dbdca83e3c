"""Files are read whole, and each once."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from nimbus_tasks.assets.discovery import find_named

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MEBIBYTE = 1024 * 1024


def test_digests_of_files_of_any_size_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    contents = [os.urandom(size) for size in (0, 1, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1, 3 * MEBIBYTE)]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.bin").write_bytes(content)
    found = find_named(["*.bin", "0.bin"])
    assert not found.problems
    wanted = [(f"{number}.bin", hashlib.sha256(content).hexdigest()) for number, content in enumerate(contents)]
    assert [(file.path, file.sha256) for file in found.files] == wanted
    assert [file.size for file in found.files] == [len(content) for content in contents]
