"""The states of pages and batches as Mermaid diagrams and as tables, from `nimbus_tasks.model.states`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsite.markdown import code, table
from nimbus_tasks.model.states import BATCH_MOVES, ENDED, ENDED_BATCHES, PAGE_MOVES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def pages() -> str:
    """Return the diagram and the table of page states. A move from every state starts at one node."""
    triggers: dict[tuple[str, str], list[str]] = {}
    for move in sorted(PAGE_MOVES):
        triggers.setdefault((move.trigger, move.then), []).append(move.now)
    every = len({move.now for move in PAGE_MOVES})
    moves = [
        (now, then, trigger)
        for (trigger, then), states in triggers.items()
        for now in (["any"] if len(states) == every else states)
    ]
    return _drawn_and_listed("States of a page", "uploaded", moves, ENDED)


def batches() -> str:
    """Return the diagram and the table of batch states."""
    moves = [(now, then, why) for now, moves in BATCH_MOVES.items() for then, why in moves.items()]
    return _drawn_and_listed("States of a batch", "uploading", moves, ENDED_BATCHES)


def _drawn_and_listed(title: str, first: str, moves: Iterable[tuple[str, str, str]], ended: Collection[str]) -> str:
    moves = list(moves)
    lines = [f"accTitle: {title}", f"[*] --> {first}"]
    lines += [f"{now} --> {then}: {why}" for now, then, why in moves]
    lines += [f"{state} --> [*]" for state in sorted(ended)]
    diagram = "```mermaid\nstateDiagram-v2\n" + "".join(f"    {line}\n" for line in lines) + "```"
    rows = [(code(now), why, code(then)) for now, then, why in moves]
    return f"{diagram}\n\n{table(['from', 'when', 'to'], rows)}"
