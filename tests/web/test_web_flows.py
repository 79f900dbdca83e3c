"""The pages in a real browser, against a real service: what is done there is in `*.test.mjs`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from service_process import DOIT, ServiceProcess

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
#: The rate limit has tests of its own. Jobs of a service that was killed are soon taken up by the next one.
SETTINGS = '[server]\nrate_tokens = 10000\nlease = 10\ntrusted_proxies = ["127.0.0.1"]\n'
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here: apt-get install chromium")


def _users(service: ServiceProcess) -> dict[str, str]:
    return {"SERVICE_KEY": service.new_key(), "OTHER_KEY": service.new_key("user_other")}


def _run(tests: str, **told: str) -> None:
    command = ["node", "--test", "--test-reporter=spec", HERE / tests]
    environment = os.environ | told | {"CHROMIUM": str(CHROMIUM)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pages_in_a_browser(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, settings=SETTINGS) as service:
        _run("flows.test.mjs", SERVICE_URL=service.url, **_users(service))


def test_the_upload_page_while_service_store_or_network_are_away(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, settings=SETTINGS) as service:
        users = _users(service)
    command = json.dumps([DOIT, "nimbus:serve", "--json"])
    _run("outages.test.mjs", SERVICE_COMMAND=command, SERVICE_FOLDER=str(tmp_path), **users)
