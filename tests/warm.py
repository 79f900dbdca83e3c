"""`python -m doit` in a fork of a process that has imported everything: a run takes 0.1 s of processor time, not 0.6.

    python warm.py SOCKET PATH      serves runs until the socket closes (a file descriptor), and those who call at PATH

The fork has its own working directory, environment and open files, and imports the project's dodo.py and our tasks
itself; shells and Gulp get such forks from `programs()`. `NIMBUS_TESTS_COLD=1` (in `make soak`) starts a new
interpreter for each run, as a shell does.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from deadlines import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What an interpreter reads only as it starts.
AT_START = ("PYTHON", "LC_", "LANG", "LD_")
USUAL = {"PYTHONIOENCODING": "utf-8"}
#: These read the project's settings as they are imported, or belong to other programs.
NOT_PRELOADED = (
    "nimbus_tasks.tasks",
    "nimbus_tasks.cli.tasks",
    "nimbus_tasks.backends.kv.fake.__main__",
    "nimbus_tasks.backends.blobs.fake_pinata.__main__",
    "nimbus_tasks.server",
    "nimbus_tasks.media",
    "nimbus_tasks.__main__",
)

#: What a run imports late.
LATE = ("doit.doit_cmd", "structlog", "httpcore", "h11", "certifi", "anyio._backends._asyncio", "edge.faults.proxy")


# --- in the test ----------------------------------------------------------------------------------------


def run_doit(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run `doit` to its end."""
    return run_python(["-m", "doit", *arguments], folder, environment)


def run_python(
    program: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float = SECONDS
) -> subprocess.CompletedProcess[bytes]:
    """Run `python PROGRAM` to its end: `-m MODULE`, or a file that imports what tests may import; and arguments."""
    unusual = [name for name in environment if name.startswith(AT_START) and environment[name] != _at_start(name)]
    if unusual or os.environ.get("NIMBUS_TESTS_COLD"):
        path = {} if program[0] == "-m" else {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        return subprocess.run(
            [sys.executable, *program],
            cwd=folder,
            env={**environment, **path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _run_warm([program, str(folder), dict(environment), [1, 2]], out, err, seconds)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(program), status, out.read(), err.read())


def programs() -> Path:
    """Return a folder with `doit`, for shells."""
    if os.environ.get("NIMBUS_TESTS_COLD"):
        return Path(sys.executable).parent
    _server()
    return _folder()


def warm_python() -> Path:
    """Return a Python for `-m MODULE` and `-c CODE`."""
    return Path(sys.executable) if os.environ.get("NIMBUS_TESTS_COLD") else programs() / "warm-python"


@functools.cache
def _folder() -> Path:
    """Return the folder of the server's socket and of the programs that call there."""
    made = tempfile.TemporaryDirectory(prefix="warm-")
    atexit.register(made.cleanup)
    folder = Path(made.name)
    for name, words in (("doit", "-m doit"), ("warm-python", "")):
        client = f"exec {sys.executable} -IS {Path(__file__).with_name('warm_client.py')} {folder / 'socket'} {words}"
        (folder / name).write_text(f'#!/bin/sh\n{client} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def _at_start(name: str) -> str | None:
    return USUAL.get(name, os.environ.get(name))


def _run_warm(request: list[object], out: BinaryIO, err: BinaryIO, seconds: float) -> int:
    heard, told = os.pipe()
    with open(heard) as answer:
        try:
            socket.send_fds(_server(), [json.dumps(request).encode()], [out.fileno(), err.fileno(), told])
        finally:
            os.close(told)
        child = int(answer.readline())
        if not select.select([answer], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
            raise subprocess.TimeoutExpired(str(request[0]), seconds)
        return int(answer.readline())


@functools.cache
def _server() -> socket.socket:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        server = subprocess.Popen(
            [sys.executable, __file__, str(its.fileno()), str(_folder() / "socket")],
            stdin=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
            env=os.environ | USUAL | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
        )
    assert server.stdout
    with server.stdout:
        server.stdout.readline()  # it listens

    def end() -> None:
        ours.close()
        server.wait(SECONDS)

    atexit.register(end)
    return ours


# --- in the server --------------------------------------------------------------------------------------


def main() -> None:
    requests = socket.socket(fileno=int(sys.argv[1]))
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no keeper is waited for
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as callers:
        callers.bind(sys.argv[2])
        callers.listen()
        sys.stdout.write("listens\n")
        sys.stdout.flush()
        while True:
            if callers in select.select([requests, callers], [], [])[0]:
                connection, _ = callers.accept()
                message, received, _, _ = socket.recv_fds(connection, 1 << 20, 20)
                received.append(connection.detach())
            else:
                message, received, _, _ = socket.recv_fds(requests, 1 << 20, 3)
                if not message:
                    return
            if message and not os.fork():
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                requests.close()
                callers.close()
                _keep(*json.loads(message), received)
            for each in received:
                os.close(each)


def preload() -> None:
    """Import all that a run may need: a fork finds it there."""
    from doit import plugin

    import nimbus_tasks

    # doit asks up to four times a run, and each time a file of every installed package is read.
    plugin.entry_points = functools.cache(plugin.entry_points)
    for category in ("COMMAND", "LOADER", "BACKEND", "REPORTER"):
        plugin.entry_points(group=f"doit.{category}")
    inspect.getsource(preload)  # doit asks for the line of each task: compiles what reads Python
    root = Path(nimbus_tasks.__file__).parents[1]
    ours = (".".join(file.relative_to(root).with_suffix("").parts) for file in root.glob("nimbus_tasks/**/*.py"))
    for name in (*LATE, *(module.removesuffix(".__init__") for module in ours)):
        if not name.startswith(NOT_PRELOADED):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _keep(
    program: list[str], folder: str, environment: dict[str, str], numbers: list[int], received: list[int]
) -> NoReturn:
    """Start the run with these files as those numbers, and tell its process id and its exit status.

    It is killed where nobody waits for it any more.
    """
    *files, told = received
    child = os.fork()
    if child:
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more
            os.write(told, f"{child}\n".encode())
        events = select.poll()
        events.register(told, 0)  # that the other end is closed is always told
        events.register(os.pidfd_open(child), select.POLLIN)
        if told in dict(events.poll()):
            os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(BrokenPipeError):
            os.write(told, f"{status}\n".encode())
        os._exit(0)
    os.close(told)
    above = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 100) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(above, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    how, *sys.argv[1:] = program
    try:
        if how == "-m":
            sys.path[0] = folder
            runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
        elif how == "-c":
            sys.path[0] = ""
            exec(compile(sys.argv.pop(1), "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv[0] = how
            sys.path[0] = str(Path(how).parent)
            runpy.run_path(how, run_name="__main__")
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise
        _end(end.code or 0)
    _end(0)


def _end(status: int) -> NoReturn:
    """End as an interpreter does, but for taking all modules to pieces: that would copy the memory of the fork."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for each in gc.get_objects():
        if isinstance(each, sqlite3.Connection):
            with contextlib.suppress(sqlite3.Error):
                each.close()  # takes the files beside the database away
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        sys.exit(status)
    os._exit(status)


if __name__ == "__main__":
    main()
