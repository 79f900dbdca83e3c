"""What each command does: calls the pipeline, prints messages, returns the exit status.

A command's task, function and messages have the same module name in `tasks`, `commands` and `messages`.
"""

#: Exit statuses. OK: all went well, or there was nothing to do. SOME_FAILED: some pages were invalid or failed, the
#: others are safe. NOTHING_DONE: nothing could be done (mostly raised as `NimbusError`).
OK, SOME_FAILED, NOTHING_DONE = 0, 1, 2


class EndedBySignal(KeyboardInterrupt):
    """A command that runs until Ctrl-C was asked to end, and has said how it ended. args: the signal."""
