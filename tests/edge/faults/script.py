"""The script: which requests get which fault. Pure: the answer depends on nothing but the requests before."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import NoneType
from typing import Any

import h11

Rules = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Kind:
    """Whether the upstream is asked where such a fault strikes, and the options that a rule may and must set."""

    forwards: bool
    options: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()


_STATUS = frozenset({"status", "headers", "body"})

KINDS: dict[str, Kind] = {
    # Answers `status`, with `headers` and `body` (text, or what becomes JSON; else an error as Cloudflare has it).
    "status": Kind(False, _STATUS, frozenset({"status"})),
    # Resets when the request was read; `head`: when its head was.
    "reset_before": Kind(False, frozenset({"head"})),
    # Resets when the upstream has answered; `bytes`: after so many bytes of the answer, its head among them.
    "reset_after": Kind(True, frozenset({"bytes"})),
    # Says nothing until the client goes; `forward`: the upstream is asked all the same.
    "no_answer": Kind(False, frozenset({"forward"})),
    # The head at once, then `bytes` of the body each `ms`.
    "slow_body": Kind(True, frozenset({"bytes", "ms"}), frozenset({"bytes", "ms"})),
    # Half of the body that the head promises, then the end.
    "half_body": Kind(True),
    # 200 with half of the body, in good order for HTTP.
    "wrong_json": Kind(True),
    # 200 with the page of a guest network; `forward`: false where the upstream must not be asked.
    "html": Kind(True, frozenset({"forward"})),
    # 200 with nothing; `forward` as above.
    "empty": Kind(True, frozenset({"forward"})),
    # As `status`, but the upstream is asked first.
    "status_after": Kind(True, _STATUS, frozenset({"status"})),
    # A good answer, then the end of the connection, unannounced; `ms`: so much later.
    "close_idle": Kind(True, frozenset({"ms"})),
    # Refuses connections for `seconds`, or until the next script. A rule without any condition does so at once; with
    # one, when a request meets it, and that request is reset.
    "refuse": Kind(False, frozenset({"seconds"})),
    # `set`: dotted paths of the JSON answer -> values. `unsuccessful`: a share of a bulk put's keys fails.
    "edit": Kind(True, frozenset({"set", "unsuccessful"})),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which requests get a fault, and its options."""

    fault: str
    method: str = ".*"
    path: str = ""
    first: int = 1
    count: float = math.inf
    every: int = 1
    share: float = 1.0
    seed: int = 0
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    head: bool = False
    forward: bool | None = None
    size: int = 0
    ms: float = 0.0
    seconds: float | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    unsuccessful: float = 0.0

    @property
    def forwards(self) -> bool:
        return KINDS[self.fault].forwards if self.forward is None else self.forward

    @property
    def at_once(self) -> bool:
        """Whether it refuses connections from the moment on that the script is there, not from a request on."""
        return self.fault == "refuse" and self == Rule(fault="refuse", seconds=self.seconds)

    def matches(self, method: str, path: str) -> bool:
        return (
            not self.at_once
            and re.fullmatch(self.method, method) is not None
            and re.search(self.path, path) is not None
        )

    def wants(self, number: int) -> bool:
        """Tell whether it is for this matching request. The answer depends on nothing but the number."""
        since = number - self.first + 1
        if since < 1 or since % self.every:
            return False
        return self.share >= 1 or self.random(number).random() < self.share

    def random(self, number: int) -> Random:
        return Random(f"{self.seed}:{number}")


#: JSON name -> field, where they differ.
FIELDS: Mapping[str, str] = {"from": "first", "bytes": "size", "set": "changes"}
CONDITIONS = frozenset({"fault", "method", "path", "from", "count", "every", "share", "seed"})
NUMBER = (int, float)
#: What each entry of a rule must be: its types, and for numbers the least and the most.
SHAPES: dict[str, tuple[tuple[type, ...], float, float]] = {
    "fault": ((str,), 0, 0),
    "method": ((str,), 0, 0),
    "path": ((str,), 0, 0),
    "from": ((int,), 1, math.inf),
    "count": ((int,), 0, math.inf),
    "every": ((int,), 1, math.inf),
    "share": (NUMBER, 0, 1),
    "seed": ((int,), -math.inf, math.inf),
    "status": ((int,), 200, 599),
    "headers": ((dict,), 0, 0),
    "body": ((str, dict, list, NoneType), 0, 0),
    "head": ((bool,), 0, 1),
    "forward": ((bool,), 0, 1),
    "bytes": ((int,), 1, math.inf),
    "ms": (NUMBER, 0, math.inf),
    "seconds": (NUMBER, 0, math.inf),
    "set": ((dict,), 0, 0),
    "unsuccessful": (NUMBER, 0, 1),
}


class Script:
    """The rules, and how many requests each has seen and got."""

    def __init__(self, rules: object) -> None:
        """Read what came as JSON.

        Raises:
            ValueError: it is no script.
        """
        if not isinstance(rules, list):
            raise ValueError("A script is a list of rules.")  # noqa: TRY004 - what came as JSON is a value
        self.rules = [_read_rule(place, rule) for place, rule in enumerate(rules, 1)]
        self._seen = [0] * len(self.rules)
        self._got = [0] * len(self.rules)

    def choose(self, method: str, path: str) -> tuple[Rule | None, int]:
        """Return the rule that gets this request, and the request's number there."""
        chosen: tuple[Rule | None, int] = (None, 0)
        for index, rule in enumerate(self.rules):
            if not rule.matches(method, path):
                continue
            self._seen[index] += 1
            if chosen[0] is None and self._got[index] < rule.count and rule.wants(self._seen[index]):
                self._got[index] += 1
                chosen = rule, self._seen[index]
        return chosen


def _read_rule(place: int, entries: Any) -> Rule:
    named = entries.get("fault") if isinstance(entries, dict) else None
    if not isinstance(named, str) or named not in KINDS:
        raise ValueError(f"Rule {place}: `fault` must be one of {', '.join(KINDS)}.")
    kind = KINDS[named]
    fields: dict[str, Any] = {}
    for name, value in entries.items():
        if name not in CONDITIONS | kind.options:
            raise ValueError(f"Rule {place}: `{named}` has no `{name}`.")
        types, least, most = SHAPES[name]
        if type(value) not in types or (isinstance(value, NUMBER) and not least <= value <= most):
            raise ValueError(f"Rule {place}: `{name}` cannot be {value!r}.")
        fields[FIELDS.get(name, name)] = value
    if missing := sorted(kind.needs - entries.keys()):
        raise ValueError(f"Rule {place}: `{named}` needs `{missing[0]}`.")
    rule = Rule(**fields)
    try:
        re.compile(rule.method)
        re.compile(rule.path)
        _check_headers(rule)
    except (re.error, h11.LocalProtocolError) as error:
        raise ValueError(f"Rule {place}: {error}.") from None
    return rule


def _check_headers(rule: Rule) -> None:
    for name, value in rule.headers.items():
        if not isinstance(value, str) or not value.isascii() or not name.isascii():
            raise h11.LocalProtocolError(f"the header `{name}` must be ASCII text")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise h11.LocalProtocolError(f"`{name}` is not for a script to say")
    h11.Response(status_code=rule.status, headers=list(rule.headers.items()))
