"""What nimbus:reconcile says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.pipeline.reconcile import Reconciled


def reconciled(console: Console, done: Reconciled, target: str) -> None:
    """Print how the ledger and the target differed, a line a page where asked or where there are few."""
    if not done.differences:
        console.line(f"🔎 {count(done.pages, 'page')} at {target}, as the ledger has it")
    else:
        console.line(f"🔎 {count(done.pages, 'page')} at {target}; {count(len(done.differences), 'difference')}")
    most = len(done.differences) if console.verbose else FEW
    for difference in done.differences[:most]:
        console.line(f"   {difference.what:<22} {difference.page_id}  {difference.source_path}")
    if len(done.differences) > most:
        console.line(f"   … and {len(done.differences) - most} more (--verbose lists them)")
    if done.recent:
        recent = count(done.recent, "page")
        console.line(f"   {recent} stored in the last {done.lag} s: the listing may not show them yet, the ledger wins")
    if done.differences:
        mended = "nothing was changed (dry run)" if done.dry_run else "the ledger now says what the target holds"
        console.line(f"   {mended[0].upper()}{mended[1:]}. What is missing, doit upload sends.")
