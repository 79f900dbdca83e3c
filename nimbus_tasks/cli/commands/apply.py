"""`nimbus:apply`: what was proposed for pages, or where their files are, goes into the HTML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nimbus_tasks.cli.commands import OK, SOME_FAILED
from nimbus_tasks.cli.commands.target import TargetCommands, text_of
from nimbus_tasks.cli.json_output import give_document
from nimbus_tasks.model.clock import now
from nimbus_tasks.model.errors import SettingsError
from nimbus_tasks.model.progress import silently
from nimbus_tasks.project import files

if TYPE_CHECKING:
    from nimbus_tasks.project.manifest import Pages


class ApplyCommands(TargetCommands):
    """Both ways to write into the built HTML, in place or below `output`."""

    def proposals(
        self, output: str | None, path: str = "", *, only_accepted: bool = False, dry_run: bool, as_json: bool
    ) -> int:
        """Write the proposed changes and those accepted before, or these alone."""
        from nimbus_tasks.cli.messages.apply import Applied, applied
        from nimbus_tasks.pipeline.apply import Request, apply_proposals, find_proposals
        from nimbus_tasks.pipeline.chosen import choose
        from nimbus_tasks.pipeline.rules import read_rules
        from nimbus_tasks.pipeline.site_files import open_site
        from nimbus_tasks.pipeline.validate import candidates
        from nimbus_tasks.project.manifest import Manifest

        settings, where = self.pipeline.settings, _folder(output)
        if where and settings.source.folder:
            open_site(Path(), settings.source.folder, where)
        known = self._known_pages()
        wanted = choose(known, path, settings.source.name)
        page_ids = [page.page_id for page in candidates(known) if wanted(page.source_path)]
        proposals = self.at_target(lambda target: find_proposals(target, page_ids))
        if only_accepted:
            proposals = [msgspec.structs.replace(each, changes=()) for each in proposals if each.accepted]
        manifest = Manifest()
        sources, rules = frozenset(map(settings.source.source_path, manifest.sources)), read_rules(settings, manifest)
        site = open_site(
            Path(), settings.source.folder, where if settings.source.folder else "", named=settings.source.name
        )
        request = Request(site, rules, now().replace(":", ""), dry_run, sources)
        with self.console.progress("Applying", len(proposals)) as progress:
            pages = list(apply_proposals(settings, request, proposals, progress)) if proposals else []
        done = Applied(dry_run, where, pages)
        give_document(done, as_json=as_json)
        if not as_json:
            applied(self.console, done)
        return SOME_FAILED if any(page.refused for page in pages) else OK

    def addresses(self, output: str | None, path: str = "", *, dry_run: bool, as_json: bool) -> int:
        """Write the public addresses of uploaded files."""
        from nimbus_tasks.cli.messages.apply import Applied, addressed
        from nimbus_tasks.pipeline.apply import Request
        from nimbus_tasks.pipeline.apply_addresses import apply_addresses
        from nimbus_tasks.pipeline.assets import AssetStage
        from nimbus_tasks.pipeline.chosen import choose
        from nimbus_tasks.pipeline.public_files import public_files
        from nimbus_tasks.pipeline.rules import read_rules
        from nimbus_tasks.pipeline.site_files import open_site
        from nimbus_tasks.pipeline.validate import candidates
        from nimbus_tasks.project.manifest import Manifest

        settings = self.pipeline.settings
        if not settings.source.folder:
            raise SettingsError("[source] folder is not set.", "apply needs the built HTML.")
        where = _folder(output)
        site = open_site(Path(), settings.source.folder, where)
        request = Request(site, read_rules(settings, Manifest()), now().replace(":", ""), dry_run)
        wanted = choose(self.pipeline.pages, path, settings.source.name)
        found = [page.source_path for page in candidates(self.pipeline.pages) if wanted(page.source_path)]
        paths = map(settings.source.file_of, found)
        with AssetStage(settings) as stage, self.console.progress("Applying", len(found)) as progress:
            public, ledger = public_files(stage, settings), stage.ledger
            pages = sorted(apply_addresses(request, paths, public, ledger, progress), key=lambda page: page.path)
        done = Applied(dry_run, where, pages)
        give_document(done, as_json=as_json)
        if not as_json:
            addressed(self.console, done, len(public))
        return SOME_FAILED if any(page.refused for page in pages) else OK

    def _known_pages(self) -> Pages:
        """Return the pages of the site, extracted first where this machine knows none, as in a CI."""
        pipeline = self.pipeline
        if pipeline.settings.source.folder and not pipeline.pages.entries:
            with pipeline.locked("nimbus:apply", None) as found:
                _, extracted = pipeline.extract(found, silently)
                pipeline.validate(extracted, silently)
        return pipeline.pages


def _folder(output: str | None) -> str:
    """Return the folder of `--output`; empty without one.

    Raises:
        SettingsError: it is empty, or outside of the project in a folder that does not exist.
    """
    where = text_of("--output", output)
    files.refuse_missing_folder("--output", where)
    return where
