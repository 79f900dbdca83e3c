"""Every record of the store: its shape, its key and its ids.

Times are ISO 8601 strings in UTC with a `Z`, to the millisecond. Optional fields are left out of the JSON, never null.
Nothing is deleted from a store: what ends gets another status.

Other programs write these records too. The shapes forbid unknown fields, so that `model/lenient.py` notices whatever
this program does not know, and keeps it. A state is a word of `PageState` or `BatchState`, or one of another program.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

if TYPE_CHECKING:
    from datetime import datetime

#: Owner of all projects in an embedded store, which has no accounts.
LOCAL_USER = "user_local"
DEFAULT_PRIORITY = 5
#: Bytes of a path that is part of a key. A key of KV takes 512, with `route:` and a project id before it.
LONGEST_ROUTE = 480
RETRY_PRIORITY = 8

PageState = Literal["uploaded", "queued", "processing", "done", "failed", "cancelled", "inactive"]
BatchState = Literal[
    "uploading",
    "queued",
    "processing",
    "completed",
    "partially_completed",
    "failed",
    "retrying",
    "cancelled",
]
LogLevel = Literal["info", "warn", "error"]
#: An id or a state, without which a record cannot be read.
Name = Annotated[str, Meta(min_length=1)]
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


# --- records in the store -----------------------------------------------------------------------------


class Shape(Struct, forbid_unknown_fields=True):
    """A record, or a part of one."""


class PageRecord(Shape, omit_defaults=True):
    """`page:{project_id}:{page_id}`.

    extraction: the page map without `path`, with unknown fields.
    optimization: see `model.changes.Optimization`.
    """

    page_id: Name
    project_id: Name
    batch_id: str
    source_path: str
    uploaded: str
    extraction: Raw
    optimization: Raw | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name in ("extraction", "optimization"):
            held = getattr(self, name)
            if held is not UNSET:
                str(memoryview(held), "utf-8")  # what is not UTF-8 is a `ValueError` too
            if held is not UNSET and bytes(memoryview(held)[:1]) != b"{":
                raise ValueError(f"{name} is not an object")


class PageMetadata(Struct, omit_defaults=True):
    """KV metadata of a `page:` key, so that a listing shows what the target holds.

    digest: of the page's content. Empty for an inactive page: if its source returns, the page is sent again.
    url, title, description: of the page, for lists of the pages; texts are cut to fit.
    """

    batch_id: str
    uploaded: str
    digest: str
    url: str = ""
    title: str = ""
    description: str = ""


class RouteRecord(Shape):
    """`route:{project_id}:{url path}`: the page at an address of the site."""

    page_id: Name
    updated: str


class Processing(Shape):
    """progress: percent."""

    started: str
    current_step: str
    progress: int


class Result(Shape):
    """changes: how many were proposed. confidence: 0 to 1."""

    completed: str
    success: bool
    changes: int
    confidence: float


class StatusError(Shape):
    message: str
    code: str
    timestamp: str


class PageStatus(Shape, omit_defaults=True):
    """`status:{project_id}:{page_id}`."""

    status: Name
    batch_id: str
    updated: str
    processing: Processing | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    error: StatusError | UnsetType = UNSET


class QueueEntry(Shape):
    """A waiting page. left: earlier batches whose records still have it, until it leaves the queue."""

    page_id: Name
    batch_id: Name
    priority: int = DEFAULT_PRIORITY
    queued_at: str = ""
    attempts: int = 0
    left: list[str] | UnsetType = UNSET


class QueueRecord(Shape, omit_defaults=True):
    """`queue:{project_id}`: the pages waiting for optimisation, each once.

    If there are many, most are in shards of the same shape, `queue:{project_id}:{number}`, numbered from 1 without
    gaps. shards: the number of shards that exist at least; other programs may leave it out.
    """

    items: list[QueueEntry]
    last_processed: str | UnsetType = UNSET
    shards: int | UnsetType = UNSET


class BatchPage(Shape, omit_defaults=True):
    """superseded_by: the later batch that sent the page again, which left it `cancelled` in this one."""

    status: Name
    uploaded: str | UnsetType = UNSET
    started: str | UnsetType = UNSET
    completed: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    superseded_by: str | UnsetType = UNSET


class BatchSummary(Shape):
    completed: int
    failed: int
    pending: int
    average_time_ms: int


class BatchRecord(Shape):
    """`batch:{project_id}:{batch_id}`. It names its pages once all of them are queued; until then it is `uploading`.

    pages: page id -> its state in this batch.
    """

    batch_id: str
    project_id: Name
    created: str
    page_count: int
    status: Name
    pages: dict[str, BatchPage]
    summary: BatchSummary


class LogEntry(Shape, omit_defaults=True):
    timestamp: str
    level: str
    step: str
    message: str
    data: dict[str, Any] | UnsetType = UNSET
    duration_ms: int | UnsetType = UNSET


class LogsRecord(Shape):
    """`logs:{project_id}:{page_id}`."""

    page_id: Name
    entries: list[LogEntry]


class ProjectSettings(Shape):
    tone: str = "neutral"
    max_pages_per_batch: int = 1000
    default_concurrency: int = 5
    ai_model: str = "rules"
    domain: str = ""
    content_access: str | UnsetType = UNSET


class Redirect(Shape, rename={"source": "from", "target": "to"}):
    """An address of the site that leads to another one. source: with a `*` at its end, all that begin so.

    target: a path of the site, or an address elsewhere; `:splat` stands for what `*` matched.
    """

    source: str
    target: str
    status: int = 301


class ProjectUsage(Shape):
    total_pages: int = 0
    total_batches: int = 0
    last_activity: str | UnsetType = UNSET


class ProjectRecord(Shape):
    """`project:{project_id}`. redirects: the first one that matches an address counts."""

    project_id: Name
    user_id: str
    name: str
    created: str
    settings: ProjectSettings
    usage: ProjectUsage
    redirects: list[Redirect] | UnsetType = UNSET


class UserRecord(Shape):
    """`user:{user_id}`."""

    user_id: str
    email: str
    created: str


class EmailRecord(Shape):
    """`email:{email}`: the user with this address."""

    user_id: str
    created: str


class ApiKeyUsage(Shape):
    requests_today: int = 0
    requests_total: int = 0


class ApiKeyRecord(Shape, omit_defaults=True):
    """`apikey:{sha256:...}`. Written last, since it enables the key; the key itself is not stored.

    scope: `content` for a key that only reads pages by their address; left out for all others.
    """

    user_id: str
    created: str
    active: bool
    name: str
    usage: ApiKeyUsage
    last_used: str | UnsetType = UNSET
    scope: Literal["content"] | UnsetType = UNSET


class CacheRecord(Shape):
    """`cache:{hash}`: an expensive result, until it expires."""

    data: Raw
    created: str
    expires: str
    type: str = "ai_response"


# --- ids ----------------------------------------------------------------------------------------------


def page_id(project_id: str, source_path: str) -> str:
    """Return `page_` + 12 hex digits of MD5(project_id + source_path)."""
    # Fixed by the contract; not used for security.
    name = hashlib.md5((project_id + source_path).encode(), usedforsecurity=False)
    return f"page_{name.hexdigest()[:12]}"


def batch_id(moment: datetime) -> str:
    """Return `batch_YYYYMMDD_HHMMSS` for a moment in UTC."""
    return moment.strftime("batch_%Y%m%d_%H%M%S")


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as `2026-11-21T03:15:35.120Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


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
    """Return the ids that a key tells, by the names of their fields in the record."""
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
