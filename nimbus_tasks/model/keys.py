"""The keys of the store, the ids in them, and the KV namespace of each kind of key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

#: Owner of all projects in an embedded store, which has no accounts.
LOCAL_USER = "user_local"
#: Bytes of a path that is part of a key. A key of KV takes 512, with `route:` and a project id before it.
LONGEST_ROUTE = 480

NamespaceName = Literal[
    "NIMBUS_USERS",
    "NIMBUS_EMAILS",
    "NIMBUS_PROJECTS",
    "NIMBUS_KEYS",
    "NIMBUS_SESSIONS",
    "NIMBUS_CACHE",
    "NIMBUS_PAGES",
    "NIMBUS_BATCHES",
    "NIMBUS_QUEUE",
    "NIMBUS_STATUS",
    "NIMBUS_LOGS",
    "NIMBUS_ASSETS",
    "NIMBUS_POINTERS",
]

#: kind of a key -> its KV namespace. `model/assets.py` has the keys of pointers, which have no kind.
NAMESPACES: dict[str, NamespaceName] = {
    "user": "NIMBUS_USERS",
    "projects": "NIMBUS_USERS",
    "apikeys": "NIMBUS_USERS",
    "email": "NIMBUS_EMAILS",
    "project": "NIMBUS_PROJECTS",
    "apikey": "NIMBUS_KEYS",
    "session": "NIMBUS_SESSIONS",
    "cache": "NIMBUS_CACHE",
    "page": "NIMBUS_PAGES",
    "route": "NIMBUS_PAGES",
    "batch": "NIMBUS_BATCHES",
    "queue": "NIMBUS_QUEUE",
    "status": "NIMBUS_STATUS",
    "logs": "NIMBUS_LOGS",
    "asset": "NIMBUS_ASSETS",
}


# --- ids ----------------------------------------------------------------------------------------------


def page_id(project_id: str, source_path: str) -> str:
    """Return `page_` + 12 hex digits of MD5(project_id + source_path)."""
    # Fixed by the contract; not used for security.
    name = hashlib.md5((project_id + source_path).encode(), usedforsecurity=False)
    return f"page_{name.hexdigest()[:12]}"


def batch_id_at(moment: datetime) -> str:
    """Return `batch_YYYYMMDD_HHMMSS` for a moment in UTC."""
    return moment.strftime("batch_%Y%m%d_%H%M%S")


def user_id(name: str) -> str:
    """Return `user_` + 12 hex digits of the name's SHA-256."""
    return f"user_{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def apikey_hash(api_key: str) -> str:
    """Return the hash under which the target stores an API key: `sha256:` + 64 hex digits."""
    # One round is enough: the key is 128 random bits, not a password.
    return f"sha256:{hashlib.sha256(api_key.encode()).hexdigest()}"


# --- keys ---------------------------------------------------------------------------------------------


def project_key(project_id: str) -> str:
    return f"project:{project_id}"


def page_key(project_id: str, page_id: str) -> str:
    return f"page:{project_id}:{page_id}"


def page_prefix(project_id: str) -> str:
    return f"page:{project_id}:"


def route_key(project_id: str, name: str) -> str:
    return f"route:{project_id}:{name}"


def route_prefix(project_id: str) -> str:
    return f"route:{project_id}:"


def route_name(path: str) -> str:
    """Return the last part of the key of an address: its path, or a hash of one that makes no key of KV."""
    return path if len(path) <= LONGEST_ROUTE else f"sha256:{hashlib.sha256(path.encode()).hexdigest()}"


def status_key(project_id: str, page_id: str) -> str:
    return f"status:{project_id}:{page_id}"


def logs_key(project_id: str, page_id: str) -> str:
    return f"logs:{project_id}:{page_id}"


def batch_key(project_id: str, batch_id: str) -> str:
    return f"batch:{project_id}:{batch_id}"


def queue_key(project_id: str, shard: int = 0) -> str:
    """Return the key of the queue, or of one of its shards (from 1)."""
    return f"queue:{project_id}:{shard}" if shard else f"queue:{project_id}"


def user_key(user_id: str) -> str:
    return f"user:{user_id}"


def projects_key(user_id: str) -> str:
    return f"projects:{user_id}"


def apikeys_key(user_id: str) -> str:
    return f"apikeys:{user_id}"


def email_key(email: str) -> str:
    return f"email:{email}"


def apikey_key(hashed: str) -> str:
    return f"apikey:{hashed}"


def cache_key(hashed: str) -> str:
    return f"cache:{hashed}"


def ids_of(key: str) -> dict[str, str]:
    """Return the ids in a key, by the names of their fields in the record."""
    kind, _, rest = key.partition(":")
    project_id, _, secondary = rest.partition(":")
    match kind:
        case "page" | "status" | "logs":
            return {"project_id": project_id, "page_id": secondary}
        case "batch":
            return {"project_id": project_id, "batch_id": secondary}
        case "project":
            return {"project_id": project_id}
        case "asset":
            return {"sha256": secondary}
        case _:
            return {}
