"""The store of the compose file, started by its commands without Docker: a browser uploads to it and reads from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml
from deadlines import SECONDS
from edge.seaweed import free_ports, needs_seaweed
from service_process import ServiceProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
KEYS = {"AWS_ACCESS_KEY_ID": "an-access-key", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """The address of the store, with its bucket."""
    master, volume, filer, s3 = free_ports(4)
    replaced = {"-ip=s3": "-ip=127.0.0.1", "-dir=/data": f"-dir={tmp_path}", "-s3.port=8333": f"-s3.port={s3}"}
    own = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", "-ip.bind=127.0.0.1"]
    own += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    command = ["weed", *(replaced.get(each, each) for each in SERVICES["s3"]["command"]), *own]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | KEYS, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{s3}"
        (probe,) = re.findall(r"127\.0\.0\.1:8333(\S+)", " ".join(SERVICES["s3"]["healthcheck"]["test"]))
        _wait_until_it_answers(url + probe, process)
        script = SERVICES["bucket"]["command"][0].replace("$$", "$")
        script = script.replace("-master=s3:9333", f"-master=127.0.0.1:{master} -filer=127.0.0.1:{filer}")
        subprocess.run(["/bin/sh", "-c", script], check=True, capture_output=True, timeout=SECONDS)
        yield url
    finally:
        process.kill()
        process.wait(SECONDS)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, "SeaweedFS ended"
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("SeaweedFS does not answer")


@needs_seaweed
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not here: apt-get install chromium")
def test_the_page_uploads_to_the_store_of_the_compose_file(store: str, tmp_path: Path) -> None:
    settings = (DEPLOY / "compose/project.toml").read_text().partition("[assets]")
    variables = {**KEYS, "NIMBUS_SERVER_STORAGE": "s3", "AWS_ENDPOINT_URL_S3": store, "AWS_REGION": "us-east-1"}
    with ServiceProcess(tmp_path / "service", settings="".join(settings[1:]), **variables) as service:
        told = {"SERVICE_URL": service.url, "SERVICE_KEY": service.new_key(), "STORE_URL": store}
        command = ["node", "--test", "--test-reporter=spec", Path(__file__).with_name("store.test.mjs")]
        environment = os.environ | told | {"CHROMIUM": str(CHROMIUM)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=540, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
