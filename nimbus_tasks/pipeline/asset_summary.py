"""What an upload of files did, or would do: the document that `assets --json` prints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from nimbus_tasks.assets.discovery import Problem
from nimbus_tasks.assets.metrics import UploadMetrics, percentiles
from nimbus_tasks.assets.upload import AssetResult
from nimbus_tasks.backends.blobs.open import PINATA_PLANS

if TYPE_CHECKING:
    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.project.settings import Settings


class AssetCost(Struct, frozen=True):
    """What an upload costs.

    requests: to the blob store, at least. bytes: sent there. writes: of records at the target.
    minutes: at least, under the requests a minute of Pinata's plan; 0 where nothing limits them.
    """

    requests: int
    bytes: int
    writes: int
    minutes: float = 0.0


class AssetSummary(Struct, frozen=True):
    """The result of the stage.

    store: name of the blob store. files: of the site. unchanged: files that the store and the target have.
    repeated: files with the bytes of another one. uploaded, recorded, failed: files, equal ones as one.
    bytes: that went up; of a dry run: that would. results: of what was not unchanged. problems: files that cannot be
    read, or are not there. pointer: key of the pointer that names the file now. deleted: local files.
    latency: milliseconds of an upload, p50, p95 and p99. failures: failed files by class. ms: of the run. webhook:
    requests by result. saved: bytes that copies sent in place of originals save. copies: narrower ones of these files.
    stopped: why not all were tried. cost: of a dry run.
    """

    store: str
    files: int
    unchanged: int
    repeated: int
    uploaded: int
    recorded: int
    failed: int
    bytes: int
    results: tuple[AssetResult, ...] = ()
    problems: tuple[Problem, ...] = ()
    pointer: str = ""
    deleted: tuple[str, ...] = ()
    latency: dict[str, int] = {}
    failures: dict[str, int] = {}
    ms: int = 0
    webhook: dict[str, int] = {}
    saved: int = 0
    copies: int = 0
    stopped: str = ""
    cost: AssetCost | None = None

    @property
    def complete(self) -> bool:
        """Whether the store has all that it should."""
        return not (self.failed or self.stopped)

    @property
    def metrics(self) -> UploadMetrics:
        return UploadMetrics(self.uploaded, self.recorded, self.failed, self.bytes, self.latency, self.failures)


def cost_of(plan: AssetPlan, settings: Settings) -> AssetCost:
    requests = len(plan.blobs) + len(plan.unconfirmed)
    rate = PINATA_PLANS[settings.assets.plan] if settings.assets.store == "pinata" else 0
    minutes = round(requests / rate, 1) if rate else 0.0
    return AssetCost(requests, plan.bytes, len(plan.uploads) + len(plan.records), minutes)


def summarize(
    store: str,
    found: Discovery,
    plan: AssetPlan,
    results: list[AssetResult],
    stopped: str,
    cost: AssetCost | None,
) -> AssetSummary:
    uploaded = [result for result in results if result.result == "uploaded"]
    failures = Counter(result.failure for result in results if result.result == "failed")
    failures.update(["unreadable"] * found.failed)
    return AssetSummary(
        store=store,
        files=len(found.files) + found.failed,
        unchanged=plan.unchanged,
        repeated=plan.repeated,
        uploaded=len(uploaded),
        recorded=sum(result.result == "recorded" for result in results),
        failed=found.failed + sum(result.result == "failed" for result in results),
        bytes=plan.bytes if cost is not None else sum(result.sent for result in uploaded),
        results=tuple(results),
        problems=tuple(found.problems),
        latency=percentiles(result.ms for result in uploaded),
        failures=dict(failures),
        saved=sum(file.size - file.sent.size for file in found.files),
        copies=sum(len(file.narrower) for file in found.files),
        stopped=stopped,
        cost=cost,
    )
