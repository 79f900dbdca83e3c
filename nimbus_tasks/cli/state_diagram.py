"""The lifecycle table as a drawing: Mermaid text, for the documentation. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, get_args

from nimbus_tasks.model.records import BatchState, PageState
from nimbus_tasks.model.states import BATCH_MOVES, ENDED, ENDED_BATCHES, PAGE_MOVES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

#: Stands for each state, where all of them have the same move.
_ANY = "any"


class Edge(NamedTuple):
    now: str
    then: str
    why: str


def page_diagram() -> str:
    """Return the states of a page and what moves it."""
    return _diagram(_page_edges(), "uploaded", ENDED)


def batch_diagram() -> str:
    """Return the states of a batch and what moves it."""
    edges = [Edge(now, then, why) for now, moves in BATCH_MOVES.items() for then, why in moves.items()]
    return _diagram(edges, "uploading", ENDED_BATCHES)


def _page_edges() -> Iterator[Edge]:
    states: tuple[PageState, ...] = get_args(PageState)
    grouped: dict[tuple[str, str], list[PageState]] = {}
    for move in sorted(PAGE_MOVES, key=lambda move: (states.index(move.now), move.then, move.trigger)):
        grouped.setdefault((move.then, move.trigger), []).append(move.now)
    for (then, trigger), sources in grouped.items():
        for now in [_ANY] if len(sources) == len(states) else sources:
            yield Edge(now, then, trigger)


def _diagram(edges: Collection[Edge] | Iterator[Edge], first: BatchState | PageState, ended: Collection[str]) -> str:
    drawn = list(edges)
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    if any(edge.now == _ANY for edge in drawn):
        lines.append(f'    state "in any state" as {_ANY}')
    lines += [f"    {now} --> {then}: {why}" for now, then, why in drawn]
    lines += [f"    {state} --> [*]" for state in sorted(ended)]
    return "\n".join(lines) + "\n"
