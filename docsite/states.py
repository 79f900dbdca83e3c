"""The states of pages and batches, drawn and listed from the tables in `nimbus_tasks.model.states`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from docsite.markdown import code, table
from nimbus_tasks.model.states import BATCH_MOVES, ENDED, ENDED_BATCHES, PAGE_MOVES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: A label is wrapped to keep the drawing narrow.
_LABEL_WIDTH = 14
_DOT = 'label="" shape=circle style=filled fillcolor=black width=0.15 height=0.15 fixedsize=true'


def page_drawing() -> str:
    """Return the states of a page and what moves it, in DOT. A move from every state starts at one dashed node."""
    edges = [
        (state, then, trigger)
        for (trigger, then), states in _page_triggers().items()
        for state in (["any"] if _is_every(states) else states)
    ]
    return _drawing(edges, "uploaded", ENDED, '  "any" [label="in any state" style="rounded,dashed"]')


def batch_drawing() -> str:
    """Return the states of a batch and what moves it, in DOT."""
    edges = [(now, then, why) for now, moves in BATCH_MOVES.items() for then, why in moves.items()]
    return _drawing(edges, "uploading", ENDED_BATCHES)


def page_moves() -> str:
    """Return the moves of a page as a table."""
    rows = [
        (code(trigger), "any" if _is_every(states) else ", ".join(map(code, states)), code(then))
        for (trigger, then), states in _page_triggers().items()
    ]
    return table(["trigger", "from", "to"], rows)


def batch_moves() -> str:
    """Return the moves of a batch as a table."""
    rows = [(code(now), why, code(then)) for now, moves in BATCH_MOVES.items() for then, why in moves.items()]
    return table(["from", "when", "to"], rows)


def _page_triggers() -> dict[tuple[str, str], list[str]]:
    """Return (trigger, resulting state) -> the states it leads from."""
    triggers: dict[tuple[str, str], list[str]] = {}
    for move in sorted(PAGE_MOVES):
        triggers.setdefault((move.trigger, move.then), []).append(move.now)
    return triggers


def _is_every(states: Collection[str]) -> bool:
    return len(states) == len({move.now for move in PAGE_MOVES})


def _drawing(edges: Iterable[tuple[str, str, str]], first: str, ended: Collection[str], *more: str) -> str:
    drawn = [("begins", first, ""), *edges, *((state, "ends", "") for state in sorted(ended))]
    lines = [f'  "{now}" -> "{then}" [label="{_label(why)}"]' for now, then, why in drawn]
    nodes = [f'  "begins" [{_DOT}]', f'  "ends" [{_DOT} peripheries=2]', *more]
    return "\n".join(["digraph {", "  rankdir=TB", *nodes, *lines, "}"])


def _label(text: str) -> str:
    """Wrap a label. A blank at each side keeps it off the line."""
    return "\\n".join(f" {line} " for line in textwrap.wrap(text, _LABEL_WIDTH))
