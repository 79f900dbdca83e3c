"""An HTTP proxy that does to requests what networks and servers do to them, by a script.

    cd tests; python -m edge.faults --upstream URL --journal FILE [--script JSON]

It listens on a free port of 127.0.0.1, prints `{"url": ...}` once it does, and passes requests to URL and answers back.
It ends when its standard input closes, or on SIGTERM; each line of standard input is a new script. A script is a
list of rules, and of those that want a request the first gets it:

    {"fault": NAME, "method": REGEX, "path": REGEX, "from": N, "count": N, "every": N, "share": P, "seed": N, ...}

`method` must match all of the method, `path` any part of the path and query. A rule numbers the requests that match it
from 1, those that an earlier rule gets too. Beginning with number `from` it wants each, or each `every`-th, or by the
`seed` a `share` of them, until it got `count`. All but `fault` may be left out. `script.KINDS` has the options of each.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path
from typing import Self

from warm import warm_python

from edge.faults.proxy import Request
from edge.faults.script import Rules, Script

__all__ = ["Faults", "Request", "Script"]

#: The proxy's command, and the folder that it is found from.
COMMAND = (sys.executable, "-m", "edge.faults")
FOLDER = Path(__file__).parents[2]
#: How long the process may take to start, to change its script, and to end.
PROCESS_SECONDS = 300


class Faults:
    """The proxy as a process, for as long as the context lasts."""

    def __init__(self, upstream_url: str, script: Rules = (), *, journal: Path) -> None:
        self.url = ""
        self.journal = journal
        self._upstream = upstream_url
        self._script = script

    def __enter__(self) -> Self:
        command = [
            str(warm_python()),
            *COMMAND[1:],
            "--upstream",
            self._upstream,
            "--journal",
            str(self.journal.resolve()),
        ]
        command += ["--script", json.dumps(list(self._script))]
        self.process = subprocess.Popen(command, bufsize=0, cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.url = self._heard()["url"]
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = self._end()
        if status and kind is None:
            raise RuntimeError(f"The proxy ended with status {status}.")

    def set(self, script: Rules) -> None:
        """Change the script. It holds for every request that is sent after this returns; all counts begin again.

        Raises:
            ValueError: it is no script; the old one goes on.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(list(script)).encode() + b"\n")
        if wrong := self._heard()["error"]:
            raise ValueError(wrong)

    def requests(self) -> list[Request]:
        """Return what the journal holds, in the order of the answers."""
        lines = self.journal.read_text("utf-8").splitlines() if self.journal.exists() else []
        return [Request(**json.loads(line)) for line in lines]

    def _heard(self) -> dict[str, str]:
        out = self.process.stdout
        assert out is not None
        line = out.readline() if select.select([out], [], [], PROCESS_SECONDS)[0] else b""
        if not line:
            raise RuntimeError("The proxy says nothing; its standard error may tell why.")
        heard: dict[str, str] = json.loads(line)
        return heard

    def _end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            return self.process.wait(PROCESS_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdout.close()
