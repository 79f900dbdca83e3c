"""A process that works on pictures which nobody has checked: `python -m nimbus_tasks.media.image_process LIMITS`.

It reads tasks on standard input and writes answers on standard output, each with its length before it, one after the
other. It gets no more memory than [images] memory, writes no file, and the kernel ends it where a picture takes too
much processor time. It ends when its input does.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from nimbus_tasks.media.errors import Kind, MediaError
from nimbus_tasks.media.values import Copies, CopiesWanted, Processed
from nimbus_tasks.project.settings import Images

if TYPE_CHECKING:
    from typing import BinaryIO

#: Bytes before each message that say how long it is.
HEADER = 8
MIB = 1024 * 1024


class Task(Struct, frozen=True):
    """What to make of a picture: an image job, or copies of it, or its pixels.

    data: its bytes; None: they are in the file `path`. content_type: as declared. side: of the square that the pixels
    fill; 0: none are asked for.
    """

    data: bytes | None = None
    path: str = ""
    content_type: str = ""
    copies: CopiesWanted | None = None
    side: int = 0


class Failed(Struct, frozen=True):
    code: str
    message: str
    next_step: str
    kind: Kind
    permanent: bool


class Outcome(Struct, frozen=True):
    """The answer to a task: one of these."""

    processed: Processed | None = None
    copies: Copies | None = None
    pixels: bytes = b""
    failed: Failed | None = None


def main(limits: Images) -> None:
    """Answer tasks until there are no more."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # no library writes between the answers
    _bound(limits)
    from nimbus_tasks.media import picture

    picture.start()
    decode, encode = msgspec.msgpack.Decoder(Task).decode, msgspec.msgpack.Encoder().encode
    _send(answers, b"ready")
    while header := source.read(HEADER):
        message = source.read(int.from_bytes(header, "big"))
        signal.setitimer(signal.ITIMER_PROF, limits.cpu_seconds)
        outcome = _outcome(decode(message), limits)
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(answers, encode(outcome))


def _outcome(task: Task, limits: Images) -> Outcome:
    from nimbus_tasks.media import picture
    from nimbus_tasks.media.copies import copies

    try:
        data = _read(task, limits)
        if task.side:
            return Outcome(pixels=picture.rgb(data, task.side, limits))
        if task.copies is not None:
            return Outcome(copies=copies(data, task.content_type, limits, task.copies))
        return Outcome(picture.process(data, task.content_type, limits))
    except MediaError as error:
        failed = error
    except MemoryError:
        failed = picture.out_of_memory()
    except Exception as error:  # a bug that one picture meets must not stop the others
        failed = MediaError("internal", f"The picture ended in {type(error).__name__}.", kind="unknown")
    return Outcome(failed=Failed(failed.code, failed.message, failed.next_step, failed.kind, failed.permanent))


def _read(task: Task, limits: Images) -> bytes:
    if task.data is not None:
        return task.data
    try:
        with Path(task.path).open("rb") as file:
            # One byte more tells that it is too large.
            return file.read(limits.max_megabytes * 1_000_000 + 1)
    except OSError as error:
        why = (error.strerror or "").lower()
        raise MediaError("unreadable", f"The file cannot be read: {why}.", kind="server", permanent=False) from None


def _bound(limits: Images) -> None:
    """Give up what a picture must not be able to use."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    most = limits.memory * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _send(answers: BinaryIO, message: bytes) -> None:
    answers.write(len(message).to_bytes(HEADER, "big") + message)
    answers.flush()


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Images))
