"""How to run the service, and what it says once it runs. Needs none of the extra's packages."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Role = Literal["all", "web", "worker"]


class Running(Struct, frozen=True):
    """The service answers. login_url: logs in once, without a password. Both are empty without the role `web`."""

    url: str
    login_url: str
    role: Role = "all"
    workers: int = 1


class ServeOptions(Struct, frozen=True):
    """How to run. workers: processes. fd: the socket that a process shares; -1: its own."""

    root: str = "."
    role: Role = "all"
    workers: int = 1
    host: str = ""
    port: int = -1
    fd: int = -1
