"""What `assets` and the commands about files print."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

import msgspec

from nimbus_tasks.batches.times import local
from nimbus_tasks.cli.console import FEW
from nimbus_tasks.cli.messages import MAX_ERRORS, count, errors

if TYPE_CHECKING:
    from nimbus_tasks.assets.discovery import Discovery
    from nimbus_tasks.assets.plan import AssetPlan
    from nimbus_tasks.assets.upload import AssetResult
    from nimbus_tasks.backends.blobs.server_progress import Stats
    from nimbus_tasks.cli.console import Console, Region
    from nimbus_tasks.model.errors import StoreError
    from nimbus_tasks.model.progress import Progress
    from nimbus_tasks.pipeline.asset_prune import Pruned
    from nimbus_tasks.pipeline.asset_records import Assets
    from nimbus_tasks.pipeline.asset_summary import AssetSummary
    from nimbus_tasks.pipeline.asset_verify import Checked, Verification
    from nimbus_tasks.pipeline.pointers import ShownPointer, ShownPointers
    from nimbus_tasks.pipeline.trial_upload import UploadTest

#: Files of fewer are sent in a moment: a log has no lines about their progress.
_FEW_KILOBYTES = 10_000
_UNITS = ("", "kB", "MB", "GB", "TB")


def size(number: int) -> str:
    """Return bytes as people read them: `3.4 MB`."""
    amount, unit = float(number), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else count(number, "byte")


class AssetReporter:
    """Prints an upload of files as it happens. Progress is in kilobytes, so that a large file shows it moves."""

    def __init__(self, console: Console, where: str, *, dry_run: bool) -> None:
        self._console, self._where, self._dry_run = console, where, dry_run
        self._exit = contextlib.ExitStack()
        self._progress: Progress | None = None
        self._sent = self._shown = self._total = self._failures = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def copies_planned(self, pictures: int) -> None:
        self._copies = self._exit.enter_context(self._console.progress("Making copies of pictures", pictures))

    def copied(self) -> None:
        self._copies.advance()

    def files_planned(self, plan: AssetPlan, found: Discovery) -> None:
        self._exit.close()  # the bar of copies
        console = self._console
        self._total = len(plan.uploads) + len(plan.records)
        kinds = [f"{plan.unchanged} unchanged"] if plan.unchanged or plan.empty else []
        kinds += [f"{plan.repeated} with the bytes of another"] if plan.repeated else []
        details = f" ({', '.join(kinds)})" if kinds else ""
        if plan.empty:
            console.line(f"🖼️  No files to upload to {self._where}{details}")
        elif plan.uploads:
            files = count(len(plan.uploads), "file")
            console.line(f"🖼️  Found {files} to upload to {self._where}, {size(plan.bytes)}{details}")
        else:
            console.line(f"🖼️  {count(len(plan.records), 'file')} to record, all are in {self._where}{details}")
        failed = [problem for problem in found.problems if problem.failed]
        errors(console, (f"{problem.path} {problem.reason}" for problem in failed), len(failed))
        missing = [problem for problem in found.problems if not problem.failed]
        for problem in missing if len(missing) <= FEW or console.verbose else missing[:FEW]:
            console.warn(f"{problem.path} {problem.reason}.")
        if len(missing) > FEW and not console.verbose:
            console.line(f"   … and {len(missing) - FEW} more of this kind: --verbose names them")
        if not self._dry_run and plan.uploads:
            label = "Uploading files (kB)"
            progress = console.progress(label, max(1, plan.bytes // 1000), few=_FEW_KILOBYTES)
            self._progress = self._exit.enter_context(progress)

    def warn(self, message: str) -> None:
        self._console.warn(message)

    def sent(self, number: int) -> None:
        before, self._sent = self._sent, self._sent + number
        if self._progress is not None:
            self._progress.advance(self._sent // 1000 - before // 1000)

    def file(self, result: AssetResult) -> None:
        self._shown += 1
        place = f"[{self._shown}/{self._total}]"
        if result.result == "failed":
            self._failures += 1
            if self._failures <= MAX_ERRORS or self._console.verbose:
                self._console.fail(f"{place} Failed: {result.path} - {result.error}")
            elif self._failures == MAX_ERRORS + 1:
                self._console.line("   … more failures: --json lists all of them", matters=True)
        elif self._console.verbose or self._total <= FEW:
            verb = "Uploaded" if result.result == "uploaded" else "Recorded"
            # Below .nimbus nobody looks for it.
            where = f" → {result.url}" if "://" in result.url else ""
            self._console.line(f"✅ {place} {verb}: {result.path}{where}")


def assets_uploaded(console: Console, done: AssetSummary, where: str) -> None:
    if done.cost is not None:
        cost = done.cost
        line = f"   {count(cost.requests, 'request')} and {size(cost.bytes)} to {where}, {count(cost.writes, 'record')}"
        line += f", at least {cost.minutes:g} min at the plan's rate" if cost.minutes else ""
        console.line(f"{line}. Nothing was sent.")
        return
    if done.results or done.failed or done.stopped:
        took = f", p95 {done.latency['p95']} ms a file" if done.latency else ""
        console.line(f"   ✅ Successful: {done.uploaded + done.recorded} ({size(done.bytes)}{took})")
        classes = ", ".join(f"{number} {name}" for name, number in done.failures.items())
        console.line(f"   ❌ Failed: {done.failed}{f' ({classes})' if classes else ''}")
    if done.saved and done.uploaded:
        console.line(f"   🗜️  {size(done.saved)} saved by smaller copies; the originals are as they were")
    if done.copies and done.uploaded:
        console.line(f"   📐 Narrower copies of these pictures: {done.copies}")
    if done.pointer:
        console.line(f"   🔗 {done.pointer} names it")
    if done.deleted:
        console.line(f"   Deleted here: {count(len(done.deleted), 'file')}")
    if done.stopped:
        console.fail(f"Stopped: {done.stopped} What was stored is safe; run the same command again to continue.")


def assets_listed(console: Console, found: Assets, store: str, of_site: str) -> None:
    """Print records. of_site: where the files of the site go; empty: nowhere."""
    if not found.assets:
        upload = "doit assets" if of_site else "doit nimbus:assets:upload --files=..."
        if store and store != of_site:
            upload = f"doit nimbus:assets:upload --files=... --store={store}"
        console.line(f"No file is stored{f' in {store}' if store else ''} yet: {upload}")
    for record in found.assets:
        path = record.source_paths[0] if record.source_paths else record.sha256
        more = f" and {len(record.source_paths) - 1} more" if len(record.source_paths) > 1 else ""
        console.line(f"{path}{more}  {size(record.size)}  {record.content_type}")
        if record.original:
            console.line(f"   smaller than the original, {record.original}", "dim")
        for name, where in record.locations.items():
            if not store or name == store:
                console.line(
                    f"   {name}: {where.ipfs_url or where.url} ({where.verified}, {where.uploaded[:10]})", "dim"
                )
                for copy in where.copies or ():
                    console.line(f"      {copy.width} px: {copy.ipfs_url or copy.url} ({size(copy.size)})", "dim")
    if found.assets:
        copies = _copies_of(found, store)
        more = f" and {len(copies)} narrower {'copy' if len(copies) == 1 else 'copies'}" if copies else ""
        whole = sum(each.size for each in found.assets) + sum(copies.values())
        console.line(f"{count(len(found.assets), 'file')}{more}, {size(whole)}")


def _copies_of(found: Assets, store: str) -> dict[str, int]:
    """Return the bytes of the narrower copies of files, by digest."""
    places = (where for each in found.assets for name, where in each.locations.items() if not store or name == store)
    return {copy.sha256: copy.size for where in places for copy in where.copies or ()}


def assets_verified(console: Console, done: Verification, where: str) -> None:
    copies = f", {done.copies} of them narrower copies of pictures" if done.copies else ""
    console.line(f"🔎 Verified {count(len(done.files), 'file')} in {where}{copies}: {done.wrong} wrong")
    if done.elsewhere:
        more = count(done.elsewhere, "more file")
        console.line(f"   Not read back: {more} at other addresses, as of another service, bucket or user")
    wrong = [each for each in done.files if each.error]
    errors(console, map(_wrong, wrong), len(wrong))
    if of_site := sum(each.comes_with_site for each in wrong):
        which = "them" if of_site == len(wrong) else f"{of_site} of them"
        console.line(f"   The next doit assets sends {which} again.")
    if lost := sum(each.is_lost and not each.again for each in wrong):
        console.line(f"   No file here has the bytes of {lost} of them: doit nimbus:assets:prune removes old records.")
    if done.store == "server" and any(each.is_lost for each in wrong):
        console.line("   Delete those first that the service still lists: it takes no file that it counts as stored.")


def _wrong(each: Checked) -> str:
    """Return what is wrong with a stored file, and the next step where it is its own."""
    line = f"{each.path}: {each.error}" if each.path else each.error
    return f"{line} Send it again: {each.again}" if each.again and not each.comes_with_site else line


def assets_pruned(console: Console, done: Pruned, where: str) -> None:
    verb = "Would remove" if done.dry_run else "Removed"
    shown = list(done.files.values())
    for address in shown if len(shown) <= FEW or console.verbose else shown[:FEW]:
        console.line(f"{verb} {address}")
    unused = f"{count(len(shown), 'file')} in {where} that nothing has used for {count(done.days, 'day')}"
    kept = f"; {done.kept} more are named by pages or pointers" if done.kept else ""
    console.line(f"🗑️  {verb} {unused}{kept}")


def pointer_shown(console: Console, found: ShownPointer) -> None:
    console.line(f"🔗 {found.key}  {found.url}")
    console.line(f"   updated: {local(found.updated) if found.updated else 'unknown'}")
    for name, value in found.metadata.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        console.line(f"   {name}: {text}")


def pointers_listed(console: Console, found: ShownPointers, group: str) -> None:
    if not found.pointers:
        console.line(f"There is no pointer{f' in the group {group}' if group else ''} yet: doit nimbus:assets:upload")
        return
    for each in found.pointers:
        console.line(f"{each.key}  {each.url}  {local(each.updated) if each.updated else ''}".rstrip())
    console.line(count(len(found.pointers), "pointer"))


def upload_tested(console: Console, done: UploadTest, where: str) -> None:
    for step in done.steps:
        if step.error:
            console.fail(f"{step.name}: {step.error}")
        else:
            console.line(f"✅ {step.name}: {step.ms} ms")
    if done.passed:
        console.line(f"🎉 Uploads to {where} work, and so do pointers: {done.url} was there")
        console.line(f"   Its bytes were compared by: {done.verified}")


class AssetsViewer:
    """Shows how far the service is: a line redrawn in place on a terminal, elsewhere a line for each change."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._exit = contextlib.ExitStack()
        self._region: Region | None = None
        self._line = ""

    def __enter__(self) -> Self:
        if self._console.live:
            self._region = self._exit.enter_context(self._console.region())
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def show(self, stats: Stats) -> None:
        line = phases(stats)
        if self._region is not None:
            self._region.show([(line, "")])
        elif line != self._line:
            self._console.line(line)
        self._line = line

    def lost(self, error: StoreError) -> None:
        self._console.warn(f"{error.message} Reconnecting until it answers (Ctrl-C stops).", matters=True)


def phases(stats: Stats) -> str:
    """Return the three phases of an upload to the service, in one line."""
    total = stats.total
    if not total:
        return "No file has been uploaded to the service yet: doit nimbus:assets:upload --store=server"
    line = f"⬆️  Uploading {stats.uploaded}/{total} · Processing {stats.processed}/{total}"
    line += f" · Searchable {stats.ready}/{total}"
    return f"{line} · {stats.failed} failed" if stats.failed else line
