"""A batch of all pages of a site, as `following` and `processing` need it: uploaded, processed, and seen to be done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from benchmarks import uploads
from benchmarks.timing import doit, run

if TYPE_CHECKING:
    from benchmarks.servers import Target
    from benchmarks.sites import Site
    from benchmarks.timing import Ended

LIST = "nimbus:batch:list"


class _Uploaded(Struct):
    batches: list[str]


def upload_as_batch(site: Site, target: Target) -> str:
    """Upload all pages to a target that is empty, and return their batch."""
    uploads.upload(site, target)
    uploaded = msgspec.json.decode((site.state / "reports" / "upload.json").read_bytes(), type=_Uploaded)
    if len(uploaded.batches) != 1:
        sys.exit(f"{site.pages} pages are {len(uploaded.batches)} batches, not one")
    return uploaded.batches[0]


def process(site: Site, target: Target, workers: int) -> Ended:
    """Process all pages that wait, and check that nothing is left."""
    ended = run(doit("nimbus:process", "--until-empty", f"--workers={workers}"), site.folder, target.environment)
    if queue := target.holds(uploads.project(site)).queue:
        sys.exit(f"{len(queue)} pages still wait:\n{ended.output}")
    show_list(site, target)
    return ended


def show_list(site: Site, target: Target) -> Ended:
    """List the batches, and check that all pages of one are done."""
    ended = run(doit(LIST), site.folder, target.environment)
    if f"{site.pages} done, 0 failed, 0 pending" not in ended.output:
        sys.exit(f"{site.pages} pages were processed; the list says:\n{ended.output}")
    return ended
