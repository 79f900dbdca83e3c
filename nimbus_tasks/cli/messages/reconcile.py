"""What `nimbus:reconcile` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import count

if TYPE_CHECKING:
    from nimbus_tasks.cli.console import Console
    from nimbus_tasks.pipeline.reconcile import Reconciled

_REMEDIES = {
    "rebuilt": "It was rebuilt.",
    "resend": "The next doit upload sends the page again.",
    "failed": "It could not be replaced: run the command again.",
    "left": "Nothing here can replace it: repair it with the program that wrote it.",
}
_DAMAGED = _REMEDIES | {"repair": "doit nimbus:reconcile --repair --dry-run says whether it can be rebuilt."}
_PLANNED = {"rebuilt": "--repair would rebuild it.", "resend": "--repair would have the page sent again."}


def reconciled(console: Console, done: Reconciled, target: str) -> None:
    """Print how the ledger and the target differed."""
    for repair in done.repairs[: len(done.repairs) if console.verbose else FEW]:
        remedy = _REMEDIES[repair.remedy] if not done.dry_run or repair.remedy == "left" else _PLANNED[repair.remedy]
        console.line(f"🔧 {repair.key} cannot be read: {repair.why}. {remedy}")
    if len(done.repairs) > FEW and not console.verbose:
        console.line(f"   … and {len(done.repairs) - FEW} more (--verbose lists them)")
    if done.values:
        for damaged in done.damaged[: len(done.damaged) if console.verbose else FEW]:
            remedy = _DAMAGED[damaged.remedy]
            if done.dry_run and damaged.remedy == "resend":
                remedy = "Without --dry-run, the next doit upload sends the page again."
            console.line(f"🔧 {damaged.key} is damaged: {damaged.why}. {remedy}", matters=True)
        if len(done.damaged) > FEW and not console.verbose:
            console.line(f"   … and {len(done.damaged) - FEW} more (--verbose lists them)")
        console.line(f"🔎 {count(done.values, 'value')} read at {target}: {len(done.damaged) or 'none'} damaged")
    differences = done.differences
    details = f"; {count(len(differences), 'difference')}" if differences else ", as the ledger has it"
    console.line(f"🔎 {count(done.pages, 'page')} at {target}{details}")
    most = len(differences) if console.verbose else FEW
    for difference in differences[:most]:
        console.line(f"   {difference.what:<22} {difference.page_id}  {difference.source_path}")
    if len(differences) > most:
        console.line(f"   … and {len(differences) - most} more (--verbose lists them)")
    if done.recent:
        recent = count(done.recent, "page")
        console.line(f"   {recent} stored in the last {done.lag} s: the listing may not show them yet, the ledger wins")
    if differences:
        changed = "Nothing was changed (dry run)" if done.dry_run else "The ledger now says what the target holds"
        console.line(f"   {changed}. doit upload sends what is missing.")
    _print_losses(console, done)


def _print_losses(console: Console, done: Reconciled) -> None:
    """Print what other programs lost or left undone at the target."""
    would = "would be " if done.dry_run else ""
    for batch_id, number in done.synced.items():
        ended = "has ended" if number == 1 else "have ended"
        brought = f"the batch {would or 'is '}brought in line"
        console.line(f"   {count(number, 'page')} of {batch_id} {ended}, as only the statuses said: {brought}")
    if done.requeued:
        console.line(f"🔄 {count(len(done.requeued), 'page')} {would}put back into the queue")
    elif done.unqueued:
        wait = "page waits" if len(done.unqueued) == 1 else "pages wait"
        console.line(f"   {len(done.unqueued)} {wait} in no queue: doit nimbus:reconcile --requeue puts them back")
    if done.stopped:
        console.fail(f"{done.stopped} Run the same command again, or doit nimbus:process.")
