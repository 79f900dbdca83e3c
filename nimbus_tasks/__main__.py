"""`python -m nimbus_tasks ARGS`: what `doit ARGS` does with our tasks, whether the project has a dodo.py or not.

For tools that start us, such as the Gulp plugin. A dodo.py that is there is not read: its own tasks stay its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

#: In the environment: a descriptor that ends when the program that started us does, however that ends, or sooner if it
#: wants us to stop.
LIFELINE = "NIMBUS_LIFELINE"

INTERRUPTED = 130


def main() -> int:
    """Run doit over our tasks with this process's arguments, and return the exit status."""
    try:
        # Who ends a tool ends what it started: with SIGTERM as cleanly as with Ctrl-C. Not so in processes of our own.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.register_at_fork(after_in_child=_die_of_sigterm)
        if lifeline := os.environ.pop(LIFELINE, ""):
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
                # As a shell's background job has it: the end of the lifeline would be ignored too.
                signal.signal(signal.SIGINT, signal.default_int_handler)
            threading.Thread(target=_end_with, args=(int(lifeline),), daemon=True).start()
        return _run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED  # before any task began: there is nothing to tell


def _run(arguments: list[str]) -> int:
    from doit.doit_cmd import DoitMain

    from nimbus_tasks.cli.doit.loader import NimbusLoader

    program = DoitMain(NimbusLoader())
    program.BIN_NAME = "python -m nimbus_tasks"
    status: int = program.run(arguments)
    return status


def _die_of_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_with(lifeline: int) -> None:
    """Press Ctrl-C once whoever started us is gone: nobody else would, and some commands go on until then."""
    with contextlib.suppress(OSError):
        while os.read(lifeline, 64):
            pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
