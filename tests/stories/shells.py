"""Real shells at a terminal: what becomes of a line when Tab is pressed.

bash is everywhere; zsh and fish come from the system or, unpacked by `make shells`, from `.cache/shells`.
"""

from __future__ import annotations

import select
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import ptyprocess
import pytest
from deadlines import SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kit import Site

UNPACKED = Path(__file__).parents[2] / ".cache/shells"
_READY = "READY>"


def find(shell: str) -> str:
    """Return a shell's path, empty where there is none."""
    places = [UNPACKED / "bin" / shell, UNPACKED / "usr/bin" / shell]
    return shutil.which(shell) or next((str(place) for place in places if place.exists()), "")


def libraries() -> dict[str, str]:
    """Return what an unpacked fish must be told to find its library."""
    found = next(UNPACKED.glob("usr/lib/*/libpcre2-32.so.0"), None)
    return {} if found is None else {"LD_LIBRARY_PATH": str(found.parent)}


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find(shell), reason=f"{shell} is not here: `make shells` unpacks it (Debian)")


def bash(site: Site, script: Path, *lines: str, before: str = "") -> list[str]:
    """Return the lines as bash has them after Tab; `before` is run before the script is sourced."""
    rc = site / "bashrc"
    quiet = "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'"
    rc.write_text(f"PS1='{_READY}'\n{quiet}\n{before}\nsource {script}\n")
    command = [find("bash"), "--noprofile", "--rcfile", str(rc), "-i"]
    return _after_tab(site, command, {}, lines)


def zsh(site: Site, script: Path, *lines: str, sourced: bool = False) -> list[str]:
    """Return the lines as zsh has them after Tab. The script is found in a folder of `fpath`, or sourced."""
    folder = site / "zsh"
    folder.mkdir(exist_ok=True)
    (folder / ".zshenv").write_text(_unpacked_zsh() if find("zsh").startswith(str(UNPACKED)) else "")
    shutil.copy(script, folder / "_doit")
    finds, sources = ("", f"source {script}\n") if sourced else (f"fpath+=({folder})\n", "")
    (folder / ".zshrc").write_text(
        f"bindkey -e\n{finds}autoload -Uz compinit && compinit -u -D\n{sources}PS1='{_READY}'\n"
    )
    return _after_tab(site, [find("zsh"), "-i"], {"ZDOTDIR": str(folder)}, lines)


def fish(site: Site, script: Path, line: str) -> list[str]:
    """Return what fish offers for a line."""
    functions = f"set -gx fish_function_path {UNPACKED}/usr/share/fish/functions; "
    own = functions if find("fish").startswith(str(UNPACKED)) else ""
    done = subprocess.run(
        [find("fish"), "--no-config", "-c", f"{own}source {script}; complete -C '{line}'"],
        cwd=site.folder,
        env=_environment(site) | libraries(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    assert not done.stderr
    return [offered.split("\t")[0] for offered in done.stdout.splitlines()]


def _after_tab(site: Site, command: list[str], environment: dict[str, str], lines: Sequence[str]) -> list[str]:
    process = ptyprocess.PtyProcess.spawn(
        command, cwd=str(site.folder), env=_environment(site) | environment, dimensions=(40, 200)
    )
    try:
        completed = []
        _until(process, _READY)
        for line in lines:
            # Tab; then the line is made the argument of an echo, which shows what has become of it.
            process.write(f"{line}\t\x01echo '<<<\x05>>>'\r".encode())
            said = _until(process, "\n<<<", ">>>", _READY)
            completed.append(said.rpartition("\n<<<")[2].partition(">>>")[0].rstrip(" ="))
        return completed
    finally:
        process.close(force=True)


def _until(process: ptyprocess.PtyProcess, *words: str) -> str:
    """Read until each of the words was said, one behind the other."""
    said, seen = "", 0
    for word in words:
        while word not in said[seen:]:
            readable, _, _ = select.select([process.fd], [], [], SECONDS)
            assert readable, f"The shell said nothing more:\n{said}"
            said += process.read(4096).decode(errors="replace")
        seen = said.index(word, seen) + len(word)
    return said


def _environment(site: Site) -> dict[str, str]:
    return site.environment({"TERM": "xterm", "HOME": str(site.folder)})


def _unpacked_zsh() -> str:
    functions = f"{UNPACKED}/usr/share/zsh/functions"
    modules = next((UNPACKED / "usr/lib").glob("*/zsh/*"))
    return f"module_path=({modules})\nfpath=({functions}/**/*(/N) {functions}/Completion/**/*(/N))\n"
