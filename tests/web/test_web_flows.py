"""The pages in a real browser, against a real service: the flows themselves are in `flows.test.mjs`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from service_process import ServiceProcess

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
#: The rate limit has tests of its own.
SETTINGS = "[server]\nrate_tokens = 10000\n"


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here: apt-get install chromium")
def test_the_pages_in_a_browser(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, settings=SETTINGS) as service:
        told = {"SERVICE_URL": service.url, "SERVICE_KEY": service.new_key(), "CHROMIUM": str(CHROMIUM)}
        command = ["node", "--test", "--test-reporter=spec", HERE / "flows.test.mjs"]
        done = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, timeout=540, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
