"""The states of pages and of batches, as they are drawn and told: from the table that the program obeys."""

from __future__ import annotations

from docsite.drawings import from_mermaid
from docsite.markdown import code, table
from nimbus_tasks.cli.state_diagram import batch_diagram, page_diagram
from nimbus_tasks.model.states import BATCH_MOVES, PAGE_MOVES

PAGES = ("How a page moves from state to state", from_mermaid(page_diagram()))
BATCHES = ("How a batch moves from state to state", from_mermaid(batch_diagram()))


def page_moves() -> str:
    """Return the moves of a page: the same as the drawing, for those who read a table better."""
    triggers: dict[tuple[str, str], list[str]] = {}
    for move in sorted(PAGE_MOVES):
        triggers.setdefault((move.trigger, move.then), []).append(move.now)
    every = max(len(states) for states in triggers.values())
    rows = [
        (code(trigger), "any" if len(states) == every else ", ".join(map(code, states)), code(then))
        for (trigger, then), states in triggers.items()
    ]
    return table(["trigger", "from", "to"], rows)


def batch_moves() -> str:
    """Return the moves of a batch."""
    rows = [(code(now), why, code(then)) for now, moves in BATCH_MOVES.items() for then, why in moves.items()]
    return table(["from", "when", "to"], rows)
