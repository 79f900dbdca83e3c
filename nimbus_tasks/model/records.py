"""The shape of every record of the store. `model/keys.py` has their keys.

Times are ISO 8601 strings in UTC with a `Z`, to the millisecond. Optional fields are left out of the JSON, never null.
Nothing is deleted from a store: what ends gets another status.

Other programs write these records too. The shapes forbid unknown fields, so that `model/lenient.py` notices whatever
this program does not know, and keeps it. A state is a word of `PageState` or `BatchState`, or one of another program.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

DEFAULT_PRIORITY = 5
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


class Shape(Struct, forbid_unknown_fields=True):
    """A record, or a part of one."""


class PageRecord(Shape, omit_defaults=True):
    """`page:{project_id}:{page_id}`.

    extraction: the page map without `path`, with unknown fields.
    optimization: see `model.changes.Optimization`.
    accepted: a list of `model.changes.Change`, of what `nimbus:apply` wrote into the page before it was published.
    """

    page_id: Name
    project_id: Name
    batch_id: str
    source_path: str
    uploaded: str
    extraction: Raw
    optimization: Raw | UnsetType = UNSET
    accepted: Raw | UnsetType = UNSET

    def __post_init__(self) -> None:
        for name in ("extraction", "optimization", "accepted"):
            held = getattr(self, name)
            if held is not UNSET:
                str(memoryview(held), "utf-8")  # what is not UTF-8 is a `ValueError` too
            if held is not UNSET and name != "accepted" and bytes(memoryview(held)[:1]) != b"{":
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

    scope: `content` for a key that only reads pages by their address, `program` for one that opens no session at the
    service; left out for all others.
    """

    user_id: str
    created: str
    active: bool
    name: str
    usage: ApiKeyUsage
    last_used: str | UnsetType = UNSET
    scope: Literal["content", "program"] | UnsetType = UNSET


class CacheRecord(Shape):
    """`cache:{hash}`: an expensive result, until it expires."""

    data: Raw
    created: str
    expires: str
    type: str = "ai_response"
