"""The files and groups of one account, in memory."""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.exceptions import HTTPException

from nimbus_tasks.backends.blobs.cids import PROFILES, Cids

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams


class Options(NamedTuple):
    """How the server behaves.

    requests: a minute. profile: how files are cut. lag: seconds until the gateway has a file.
    fail_parts: every n-th part of a large file is cut off in the middle; 0: none.
    duplicates: what an upload of known bytes gives: `old`, the file that is there, or `new`, another one.
    scopes: what the token may do, as Pinata's keys have it: `org:files:read`, `org:files:write`, `org:groups:read`, ...
    """

    tokens: tuple[str, ...]
    requests: int
    profile: str
    lag: float
    fail_parts: int
    scopes: frozenset[str]
    duplicates: str


class File(NamedTuple):
    """One stored file."""

    id: str
    cid: str
    name: str
    content: bytes
    mime_type: str
    network: str
    group_id: str
    keyvalues: dict[str, str]
    created: float

    def as_json(self, is_duplicate: bool = False) -> dict[str, Any]:
        """Return what the API says of it."""
        return {
            "id": self.id,
            "cid": self.cid,
            "name": self.name,
            "created_at": datetime.fromtimestamp(self.created, UTC).isoformat(),
            "size": len(self.content),
            "number_of_files": 1,
            "mime_type": self.mime_type,
            "group_id": self.group_id or None,
            "keyvalues": self.keyvalues,
            **({"is_duplicate": True} if is_duplicate else {}),
        }


class Files:
    """What an account holds."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._files: dict[str, File] = {}
        self.groups: dict[str, dict[str, Any]] = {}

    def store(self, content: bytes, metadata: dict[str, str]) -> tuple[File, bool]:
        """Keep a file, and return it and whether it was there already."""
        network = metadata.get("network", "private")
        if network not in ("public", "private"):
            raise HTTPException(400, "network must be public or private")
        try:
            labels = json.loads(metadata.get("keyvalues") or "{}")
        except ValueError:
            raise HTTPException(400, "keyvalues is not JSON") from None
        group = metadata.get("group_id", "")
        if group and (group not in self.groups or self.groups[group]["network"] != network):
            raise HTTPException(400, "no such group")
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise HTTPException(400, "keyvalues must be an object of strings")
        cids = Cids(tuple(profile for profile in PROFILES if profile.name == self._options.profile))
        cids.update(content)
        (cid,) = cids.by_profile().values()
        for file in self._files.values():
            if (file.cid, file.network, self._options.duplicates) == (cid, network, "old"):
                return file, True
        name = metadata.get("name") or metadata.get("filename") or ""
        file = File(
            str(uuid.uuid4()), cid, name, content, metadata.get("filetype", ""), network, group, labels, time.time()
        )
        self._files[file.id] = file
        return file, False

    def select(self, network: str, asked: QueryParams) -> list[File]:
        """Return the files that a listing asks for, in its order."""
        found = [file for file in self._files.values() if file.network == network]
        for name in ("cid", "name", "group"):
            if name in asked:
                field = "group_id" if name == "group" else name
                found = [file for file in found if getattr(file, field) == asked[name]]
        for name, value in asked.items():
            if name.startswith("keyvalues[") and name.endswith("]"):
                found = [file for file in found if file.keyvalues.get(name[10:-1]) == value]
        return sorted(found, key=lambda file: file.created, reverse=asked.get("order", "DESC") == "DESC")

    def get(self, file_id: str, network: str) -> File:
        file = self._files.get(file_id)
        if file is None or file.network != network:
            raise HTTPException(404, "no such file")
        return file

    def remove(self, file: File) -> None:
        del self._files[file.id]

    def public(self, cid: str) -> File | None:
        """Return a file that the gateway has."""
        for file in self._files.values():
            if file.cid == cid and file.network == "public" and time.time() >= file.created + self._options.lag:
                return file
        return None
