"""What the gateway's commands print with `--json`, where no other room has it."""

from __future__ import annotations

from msgspec import Struct

from nimbus_tasks.gateway.keys import KnownKey


class RunningWorker(Struct, frozen=True):
    """The Worker on this machine, once it answers. persist: the folder where what it stores stays."""

    url: str
    worker: str
    persist: str


class ShownKey(Struct, frozen=True):
    """A new API key, this once. hash: what the target has of it."""

    key: str
    hash: str
    name: str
    user_id: str
    created: str


class ListedKeys(Struct, frozen=True):
    """The API keys of a project's owner, oldest first. user_id: empty where the project has no owner yet."""

    user_id: str
    keys: list[KnownKey]
