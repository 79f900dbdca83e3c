"""What happens to a run besides being killed: each fault as a script of the proxy, or as something else that is wrong.

A fault is drawn anew for each trial, so that it meets the run at another request each time; all that is random comes
from the trial's own seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

#: A run of the trials sends about so many requests.
REQUESTS = 30
#: Seconds that an answer may take: every request here is answered within milliseconds, or not at all.
READ_TIMEOUT = 0.2

Rules = list[dict[str, Any]]


class Fault(NamedTuple):
    """One row of the table.

    rules: draws what the proxy does.
    environment: what the shell says otherwise.
    disk: draws how many bytes any file may have.
    pairs: writes in one request.
    """

    rules: Callable[[Random], Rules] = lambda _: []
    environment: Mapping[str, str] = {}
    disk: Callable[[Random], int] = lambda _: 0
    pairs: int = 2


def _some(fault: str, share: float, **more: Any) -> Callable[[Random], Rules]:
    """Of all requests a share, here and there."""
    return lambda chance: [{"fault": fault, "share": share, "seed": chance.randrange(1 << 30), **more}]


def _from(fault: str, most: int, **more: Any) -> Callable[[Random], Rules]:
    """From some request on, so many at most."""
    return lambda chance: [
        {"fault": fault, "from": chance.randint(1, REQUESTS), "count": chance.randint(1, most), **more}
    ]


def _waits(seconds: str, share: float) -> Callable[[Random], Rules]:
    return _some("status", share, status=429, headers={"Retry-After": seconds})


def _wait_of_a_second(chance: Random) -> Rules:
    """Once: each one costs the trial a second."""
    return [
        {"fault": "status", "status": 429, "headers": {"Retry-After": "1"}, "from": chance.randint(2, 12), "count": 1}
    ]


def _times_out(chance: Random) -> Rules:
    """Some requests that were done are not answered, and some that were not."""
    number = chance.randint(1, REQUESTS)
    rule = {"fault": "no_answer", "forward": chance.random() < 0.5}
    return [rule | {"from": number, "count": chance.randint(1, 3), "every": chance.randint(1, 2)}]


def _refused(chance: Random) -> Rules:
    """From some request on, for as long as the trial has the fault."""
    return [{"fault": "refuse", "from": chance.randint(2, REQUESTS), "count": 1}]


def _too_slow(chance: Random) -> Rules:
    """Cloudflare gives up on the server behind it, which may be done all the same."""
    fault = chance.choice(["status", "status_after"])
    return _some(fault, 0.4, status=524, method="PUT", path="/bulk$")(chance)


FAULTS: dict[str, Fault] = {
    "none": Fault(),
    "429, Retry-After: 0": Fault(_waits("0", 0.25)),
    "429, Retry-After: 1": Fault(_wait_of_a_second),
    "429": Fault(_some("status", 0.25, status=429)),
    "500": Fault(_some("status", 0.25, status=500)),
    "503 in bursts": Fault(_from("status", 8, status=503)),
    "reset before": Fault(_some("reset_before", 0.2)),
    "reset after": Fault(_some("reset_after", 0.2)),
    "time-out": Fault(_times_out),
    "slow body": Fault(_some("slow_body", 0.5, bytes=40, ms=2)),
    "half a body": Fault(_some("half_body", 0.2)),
    "wrong JSON": Fault(_some("wrong_json", 0.1)),
    "captive portal": Fault(_from("html", 6, forward=False)),
    "unsuccessful_keys": Fault(_some("edit", 1.0, unsuccessful=0.4, method="PUT")),
    "401 in mid-run": Fault(lambda chance: [{"fault": "status", "status": 401, "from": chance.randint(1, REQUESTS)}]),
    "no such name": Fault(
        environment={
            "CLOUDFLARE_API_BASE_URL": "https://nowhere.invalid/client/v4",
            "NIMBUS_WORKER_URL": "https://nowhere.invalid",
        }
    ),
    "connection refused": Fault(_refused),
    "disk full": Fault(disk=lambda chance: chance.randrange(33_000, 72_000)),
    "413": Fault(_some("status", 0.4, status=413, method="PUT", path="/bulk$"), pairs=4),
    "524": Fault(_too_slow, pairs=4),
    "redirect": Fault(_from("status", 2, status=302, headers={"Location": "https://example.com/elsewhere"})),
}
