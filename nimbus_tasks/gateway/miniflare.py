"""What runs the Worker on this machine: Node.js, and Cloudflare's runtime (workerd) through miniflare."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nimbus_tasks.model.errors import SettingsError, StateError
from nimbus_tasks.project.secrets import NAMES
from nimbus_tasks.project.settings import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

MINIFLARE = "4.20260426.0"
LEAST_NODE = 20
#: Where miniflare is installed if the project has none.
NODE_FOLDER = f"{STATE_FOLDER}/node"

ANSWER_SECONDS = 10
INSTALL_SECONDS = 600


def find_node() -> str:
    """Return node's path.

    Raises:
        SettingsError: there is none, or it is too old.
    """
    node = shutil.which("node")
    advice = f"Install Node.js {LEAST_NODE} or later (nodejs.org)."
    if node is None:
        raise SettingsError("The Worker runs on node, and there is no `node` here.", advice)
    try:
        output = subprocess.run(
            [node, "--version"], capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS, check=False
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        output = ""
    version = re.match(r"v(\d+)\.", output)
    if version is None or int(version[1]) < LEAST_NODE:
        raise SettingsError(f"{node} is {output[:40] or 'no node that answers'}: too old for the Worker.", advice)
    return node


def find_miniflare(*folders: Path) -> Path | None:
    """Return the first folder from which node finds a miniflare that can run our Worker, None if there is none."""
    return next((folder for folder in folders if _version_seen_from(folder.absolute()).startswith("4.")), None)


def _version_seen_from(folder: Path) -> str:
    """Return the version that node finds: in the first `node_modules` that has it, from the folder upwards."""
    for above in (folder, *folder.parents):
        try:
            package = json.loads((above / "node_modules/miniflare/package.json").read_bytes())
            return str(package["version"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError):
            return ""
    return ""


def install_miniflare(say: Callable[[str], None]) -> Path:
    """Install miniflare with npm, once for this project, and return its folder.

    Raises:
        SettingsError: there is no npm.
        StateError: npm cannot install it.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise SettingsError(
            "The Worker runs on miniflare, and there is no `npm` here to install it.",
            f"Install npm, or add miniflare@{MINIFLARE} to the project.",
        )
    folder = Path(NODE_FOLDER)
    say(f"Installing Cloudflare's local runtime (miniflare {MINIFLARE}, 165 MB) into {folder}, once")
    try:
        # Renamed only when complete, because a killed npm leaves half of it.
        with tempfile.TemporaryDirectory(prefix="node-", dir=STATE_FOLDER, ignore_cleanup_errors=True) as beside:
            _npm_install(npm, Path(beside, "new"))
            _move(Path(beside, "new"), folder)
    except OSError as error:
        raise StateError(f"{folder} cannot be written: {(error.strerror or str(error)).lower()}.") from None
    return folder


def _npm_install(npm: str, folder: Path) -> None:
    folder.mkdir()
    package = {"private": True, "dependencies": {"miniflare": MINIFLARE}}
    (folder / "package.json").write_text(json.dumps(package))
    # Its packages need no install scripts.
    command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=without_credentials(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StateError(f"npm did not install miniflare in {INSTALL_SECONDS // 60} minutes.", _NPM_ADVICE) from None
    if done.returncode:
        raise StateError(f"npm cannot install miniflare {MINIFLARE}: {_reason(done.stderr)}.", _NPM_ADVICE)
    if find_miniflare(folder) is None:
        raise StateError(f"npm says that it installed miniflare {MINIFLARE}, but it is not there.", _NPM_ADVICE)


_NPM_ADVICE = f"Check the network, or add miniflare@{MINIFLARE} to the project."


def _reason(stderr: str) -> str:
    """Return the sentence of npm's error, without the codes before it and the log file after it."""
    lines = [re.sub(r"^npm (error|ERR!) ?", "", line).strip() for line in stderr.splitlines()]
    sentences = [line for line in lines if line and not line.startswith(("code ", "errno ", "syscall "))]
    return (sentences or [line for line in lines if line] or ["it gives no reason"])[0][:200].rstrip(".")


def _move(new: Path, folder: Path) -> None:
    try:
        new.rename(folder)
    except OSError:
        if find_miniflare(folder) is not None:
            return  # another run was faster
        # The present one is too old, or incomplete.
        folder.rename(new.with_name("old"))
        new.rename(folder)


def without_credentials() -> dict[str, str]:
    """Return the environment for other programs, without our secrets."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE_") and name not in NAMES
    }
