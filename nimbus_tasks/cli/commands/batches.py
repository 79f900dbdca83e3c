"""The commands about batches and pages at the target. Each returns its exit status.

0: success. 1: some pages were refused, or the monitored batch did not complete. 2: nothing could be done (raised as
`NimbusError`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.backends import concurrency
from nimbus_tasks.backends.kv.open import KV_FILE
from nimbus_tasks.cli.commands import OK, SOME_FAILED
from nimbus_tasks.cli.commands.target import TargetCommands, is_given
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.cli.messages import batches as messages
from nimbus_tasks.model.errors import StateError

if TYPE_CHECKING:
    from nimbus_tasks.batches.page_detail import PageDetail
    from nimbus_tasks.batches.report.report import Report
    from nimbus_tasks.model.records import BatchRecord
    from nimbus_tasks.publishing.target import OpenTarget


class BatchCommands(TargetCommands):
    """The commands about batches and pages."""

    # --- batches --------------------------------------------------------------------------------------

    def list(self, *, as_json: bool) -> int:
        from nimbus_tasks.batches.listing import list_batches

        found = self.at_target(list_batches)
        give_document(found, as_json=as_json)
        if not as_json:
            messages.batch_list(self.console, found, self._where())
        return OK

    def status(self, batch_id: str, *, as_json: bool) -> int:
        """Show one batch; without an id, the list."""
        from nimbus_tasks.batches.listing import find_current

        if not batch_id:
            return self.list(as_json=as_json)

        async def ask(target: OpenTarget) -> tuple[BatchRecord, dict[str, str]]:
            batch = await find_current(target, batch_id)
            failed = [each for each, page in batch.pages.items() if page.status == "failed"]
            return batch, {} if as_json else await target.paths(failed)

        batch, paths = self.at_target(ask)
        give_document(batch, as_json=as_json)
        if not as_json:
            messages.batch_status(self.console, batch, paths)
        return OK

    def report(self, batch_id: str, *, as_json: bool) -> int:
        """Write a batch's report and print its summary. With `as_json`, the files are not needed."""
        from nimbus_tasks.batches.listing import find_batch
        from nimbus_tasks.batches.report.gather import gather, write
        from nimbus_tasks.cli.ci import markdown
        from nimbus_tasks.cli.ci_output import CIOutput

        async def ask(target: OpenTarget) -> Report:
            batch = await find_batch(target, batch_id)
            with self.console.progress("Reading records", 2 * len(batch.pages)) as progress:
                return await gather(target, batch, progress.advance)

        report = self.at_target(ask)
        try:
            written = write(report)
        except StateError as error:
            if not as_json:
                raise
            written = ("", "")
            self.console.warn(str(error), matters=True)
        self.pipeline.log.event("info", "batch reported", batch_id=report.batch_id, pages=len(report.pages))
        give_document(report, as_json=as_json)
        if not as_json:
            messages.report(self.console, report, written)
        CIOutput(self.console).summarize(markdown.batch(report, written[0]))
        return OK

    def retry(self, batch_id: str, page: str | None = None, *, as_json: bool = False) -> int:
        """Put failed pages back into the queue, or only `page`, by its id or source path."""
        from nimbus_tasks.batches.listing import batch_to_change
        from nimbus_tasks.batches.retry import Retried, retry
        from nimbus_tasks.publishing.outbox import open_outbox

        is_given("--page", page)

        def starting(pages: int) -> None:
            if not as_json:
                messages.retrying(self.console, pages)

        async def ask(target: OpenTarget) -> Retried:
            async with open_outbox(target.settings, self.pipeline.log_request) as sender:
                batch = await batch_to_change(target, batch_id)
                return await retry(target, batch, page or "", sender=sender, starting=starting)

        done = self.at_target(ask)
        self.pipeline.log.event(
            "info", "batch retried", batch_id=done.batch_id, pages=len(done.pages), refused=len(done.refused)
        )
        give_document(done, as_json=as_json)
        if not as_json:
            messages.retried(self.console, done)
        return SOME_FAILED if done.refused or done.stopped else OK

    def cancel(self, batch_id: str, *, as_json: bool = False) -> int:
        """Cancel the pages that are not yet processed."""
        from nimbus_tasks.batches.cancel import Cancelled, cancel
        from nimbus_tasks.batches.listing import batch_to_change

        async def ask(target: OpenTarget) -> Cancelled:
            return await cancel(target, await batch_to_change(target, batch_id))

        done = self.at_target(ask)
        self.pipeline.log.event(
            "info", "batch cancelled", batch_id=done.batch_id, pages=done.pages, refused=len(done.refused)
        )
        give_document(done, as_json=as_json)
        if not as_json:
            messages.cancelled(self.console, done)
        return SOME_FAILED if done.refused else OK

    def monitor(self, batch_id: str, interval: int, *, as_json: bool) -> int:
        """Follow a batch, by default the newest, until it ends."""
        from nimbus_tasks.batches.monitor import LEAST_INTERVAL, Monitor
        from nimbus_tasks.batches.page_states import is_complete
        from nimbus_tasks.cli.messages.monitor import MonitorViewer
        from nimbus_tasks.cli.option_errors import check_interval

        check_interval(interval, LEAST_INTERVAL)
        with MonitorViewer(self.console, interval) as viewer:
            pipeline = self.pipeline
            monitor = Monitor(pipeline.settings, batch_id, interval, viewer, pipeline.log_request, pipeline.warn)
            batch = concurrency.run(monitor.until_it_ends())
        give_document(batch, as_json=as_json)
        return OK if is_complete(batch) else SOME_FAILED

    # --- pages ----------------------------------------------------------------------------------------

    def page_status(self, path: str, *, as_json: bool) -> int:
        page = self._page(path)
        give_document(page, as_json=as_json)
        if not as_json:
            messages.page_status(self.console, page, self._where())
        return OK

    def page_log(self, path: str, *, as_json: bool) -> int:
        from nimbus_tasks.batches.page_detail import PageLog

        page = self._page(path)
        log = PageLog(page_id=page.page_id, source_path=page.source_path, entries=page.log_entries)
        give_document(log, as_json=as_json)
        if not as_json:
            messages.page_log(self.console, page)
        return OK

    def render(self, path: str, name: str, *, as_json: bool) -> int:
        """Print a page as Markdown or HTML, from its map here, else from its record at the target."""
        from nimbus_tasks.cli.json_output import give_text
        from nimbus_tasks.pipeline.render import Rendered, check_format, find_map, read_extraction, render

        check_format(name)
        found = find_map(self.pipeline.settings, path)
        if found is None:
            page = self._page(path)  # says which paths are near, where there is none
            path = page.source_path or path
            document = self.at_target(lambda target: read_extraction(target, page.page_id, path))
        else:
            path, document = found
        text = render(document, name, path)
        give_document(Rendered(path, name, text), as_json=as_json)
        if not as_json:
            give_text(text)
        return OK

    def _page(self, path: str) -> PageDetail:
        from nimbus_tasks.batches.page_detail import read_page
        from nimbus_tasks.project.manifest import Manifest, read_pages

        manifest = Manifest()
        pages = read_pages(manifest)
        skipped = {file: entry.skipped for file, entry in manifest.sources.where("skipped != ''")}
        return self.at_target(lambda target: read_page(target, pages, path, skipped))

    # --- the target -----------------------------------------------------------------------------------

    def _where(self) -> str:
        target = self.pipeline.settings.target
        return KV_FILE if target.store == "sqlite" else target.store
