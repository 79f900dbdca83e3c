"""`python -m nimbus_tasks ARGS`: what `doit ARGS` does with our tasks, with or without a dodo.py.

For programs that start us, such as the Gulp plugin, and for a subfolder of a project. A dodo.py is not read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import nimbus_tasks

#: In the environment: a file descriptor that reaches its end when the program that started us ends or wants us to stop.
LIFELINE = "NIMBUS_LIFELINE"

INTERRUPTED = 130


def main() -> int:
    """Run doit over our tasks with this process's arguments, and return the exit status."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"nimbus-tasks {nimbus_tasks.__version__}\n")  # doit would write its own
        return 0
    try:
        # SIGTERM ends a run as cleanly as Ctrl-C, but not in the processes that we fork.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))
        if lifeline := os.environ.pop(LIFELINE, ""):
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
                # A shell's background job ignores SIGINT, and would ignore the end of the lifeline.
                signal.signal(signal.SIGINT, signal.default_int_handler)
            threading.Thread(target=_interrupt_at_end, args=(int(lifeline),), daemon=True).start()
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED  # before any task began: there is nothing to report


def _run(arguments: list[str]) -> int:
    from configparser import Error as ConfigError

    from doit.doit_cmd import DoitMain

    from nimbus_tasks.cli.console import exit_with
    from nimbus_tasks.cli.doit.loader import NimbusLoader, enter_project
    from nimbus_tasks.model.errors import SettingsError

    enter_project()
    try:
        program = DoitMain(NimbusLoader())
    except (ConfigError, OSError, ValueError) as error:
        # doit reads its configuration before it loads a task.
        name = "doit.cfg" if isinstance(error, ConfigError) else "pyproject.toml"
        exit_with(SettingsError(f"{name} cannot be read: {error}.", "Correct it, or restore it from version control."))
    program.BIN_NAME = "python -m nimbus_tasks"
    status: int = program.run(arguments)
    return status


def _interrupt_at_end(lifeline: int) -> None:
    """Press Ctrl-C once the program that started us is gone: some commands would run on until then."""
    with contextlib.suppress(OSError):
        while os.read(lifeline, 64):
            pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
