"""Sensor plots go to IPFS, and the pointer to the latest is read back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deadlines import SECONDS
from edge.fake import Fake
from edge.pinata import Pinata

if TYPE_CHECKING:
    from subprocess import CompletedProcess

FOLDER = Path(__file__).parents[2] / "examples/sensor"


def test_a_plot_is_published_and_its_pointer_read_back(tmp_path: Path) -> None:
    with Pinata(requests=100_000) as pinata, Fake() as kv:
        environment = {
            **os.environ,
            **dict.fromkeys(("PINATA_UPLOAD_URL", "PINATA_API_URL", "PINATA_GATEWAY_URL"), pinata.url),
            "PINATA_JWT": pinata.token,
            "CLOUDFLARE_API_TOKEN": kv.token,
            "CLOUDFLARE_ACCOUNT_ID": kv.account,
            "KV_NAMESPACE_ID": kv.namespace,
            "CLOUDFLARE_API_BASE_URL": kv.url,
            "MPLCONFIGDIR": str(tmp_path),
        }

        def run(program: str, *arguments: str) -> CompletedProcess[str]:
            command = [sys.executable, str(FOLDER / program), *arguments]
            return subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
            )

        token = environment.pop("CLOUDFLARE_API_TOKEN")
        for program in ("latest.py", "publish.py"):
            refused = run(program)
            assert (refused.returncode, refused.stdout) == (1, "")
            (line,) = refused.stderr.splitlines()
            assert "CLOUDFLARE_API_TOKEN is not set" in line
        environment["CLOUDFLARE_API_TOKEN"] = token
        none = run("latest.py")
        assert (none.returncode, none.stdout) == (1, "No plot yet: python publish.py --once\n")
        published = run("publish.py", "--once")
        assert published.returncode == 0, published.stdout + published.stderr
        url = published.stdout.strip().splitlines()[-1].removeprefix("temperature:daily:latest -> ")
        latest = run("latest.py")
        assert latest.stdout.splitlines()[0] == url
        assert "  data_points: 145\n" in latest.stdout
        assert "  content_type: image/png\n" in latest.stdout
