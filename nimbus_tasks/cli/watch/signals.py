"""How a watch is asked to end: Ctrl-C or SIGTERM. It ends well; asked once more, it ends at once."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def as_interrupts() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, and ignore the signal that leases send (see `unfinished`)."""
    signals = {signal.SIGTERM: _interrupt} | ({signal.SIGIO: signal.SIG_IGN} if hasattr(signal, "SIGIO") else {})
    before = {number: signal.signal(number, does) for number, does in signals.items()}
    try:
        yield
    finally:
        for number, does in before.items():
            signal.signal(number, does)


def at_once_from_now_on() -> None:
    """End the process where it stands if it is asked to end once more: all that was stored is safe."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)


def _interrupt(*_: object) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell's script starts what it does not wait for: Ctrl-C is not meant for it, and this is.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whoever handles Ctrl-C just now, asyncio for one, handles this too.
    signal.raise_signal(signal.SIGINT)


def _leave(number: int, _: object) -> None:
    os._exit(128 + number)
