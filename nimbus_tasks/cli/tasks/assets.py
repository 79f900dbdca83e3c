"""The commands about images and files: names, options, one call each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, commands, option
from nimbus_tasks.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task


COMPRESS = "send pictures as WebP, or as [assets] compress says, where that is smaller; files here stay"


def asset_tasks() -> Iterator[Task]:
    store = option("store", "", "blob store: folder, s3, pinata or server (default: from the settings)")
    of_store = option("store", "", "only files in this blob store: folder, s3, pinata or server (default: in any)")
    yield command(
        "nimbus:assets:upload",
        _UPLOAD_HELP,
        _upload,
        params=[
            option("files", "", "paths, patterns and folders, separated by commas"),
            store,
            option("group", "", "first part of the pointer that names the file afterwards"),
            option("variant", "", "second part of the pointer"),
            option("metadata", "", "kept with the pointer: --metadata=key=value,other=value"),
            option("concurrency", 0, "files at a time (default: from the settings)"),
            option("compress", False, COMPRESS),
            option("delete_local", False, "delete each local file once everything about it is confirmed"),
            option("force", False, "send files that are stored already"),
            option("dry_run", False, "print what would be sent; send nothing"),
        ],
    )
    yield command("nimbus:assets:list", _LIST_HELP, commands.files.list, params=[of_store])
    yield command("nimbus:assets:verify", _VERIFY_HELP, commands.files.verify, params=[store])
    interval = option("interval", 2000, "milliseconds between looks where the service sends no events (default: 2000)")
    yield command("nimbus:assets:monitor", _MONITOR_HELP, commands.files.monitor, params=[interval])
    days = option("days", 90, "days for which nothing has used a file (default: 90)")
    dry_run = option("dry_run", False, "print what would be removed; remove nothing")
    yield command("nimbus:assets:prune", _PRUNE_HELP, commands.files.prune, params=[store, days, dry_run])
    group = option("group", "", "first part of the pointer")
    variant = option("variant", "", "second part of the pointer")
    yield command("nimbus:pointer:get", _GET_HELP, commands.files.get_pointer, params=[group, variant])
    all_groups = option("group", "", "only pointers of this group")
    yield command("nimbus:pointer:list", _POINTERS_HELP, commands.files.list_pointers, params=[all_groups])
    yield command("nimbus:test-upload", _TEST_HELP, commands.files.test_upload, params=[store])


def _upload(
    files: str,
    store: str,
    group: str,
    variant: str,
    metadata: str,
    concurrency: int,
    compress: bool,
    delete_local: bool,
    force: bool,
    dry_run: bool,
    *,
    as_json: bool,
) -> int:
    from nimbus_tasks.pipeline.asset_request import AssetRequest

    request = AssetRequest(force, dry_run, group, variant, _pairs(metadata), delete_local, compress)
    return commands.files.upload_named(request, files, store, concurrency, as_json=as_json)


def _pairs(text: str) -> dict[str, str]:
    """Return `a=1,b=2` as a dict.

    Raises:
        SettingsError: a part has no `=`.
    """
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    if wrong := next((key for key, equals, _ in parts if not equals or not key.strip()), None):
        raise SettingsError(f"--metadata: `{wrong.strip()}` has no value.", "The form is key=value,other=value.")
    return {key.strip(): value.strip() for key, _, value in parts}


_UPLOAD_HELP = """Upload images and files by path, pattern or folder, and point to the latest

For files that no page refers to: charts, plots, thumbnails. With --group and --variant the pointer GROUP:VARIANT:latest
names the file once its bytes are confirmed; an older upload never replaces a newer one.

Examples:
  doit nimbus:assets:upload --files "plots/*.png,logo.svg"
  doit nimbus:assets:upload --files plots/today.png --group temperature --variant daily
  doit nimbus:assets:upload --files plots/today.png --group temperature --variant daily --metadata=unit=celsius
  doit nimbus:assets:upload --files plots --store pinata --delete-local
  doit nimbus:assets:upload --files "photos/*.jpg" --compress
"""
_LIST_HELP = """List the files that are stored, and where

From the asset: records at the target, with the addresses in each blob store.

Examples:
  doit nimbus:assets:list
  doit nimbus:assets:list --store pinata --json
"""
_VERIFY_HELP = """Read back every stored file, and compare its bytes

What is missing or damaged is named, with what sends it again. Ends with status 1 if anything is wrong. It asks the blob
store itself, which needs its address and credentials: for the service, NIMBUS_SERVICE_URL and NIMBUS_SERVICE_KEY.

Examples:
  doit nimbus:assets:verify
  doit nimbus:assets:verify --store s3 --json
"""
_MONITOR_HELP = """Follow uploads to the service until all files are searchable

How many files are uploaded, processed and searchable, of the user whose key is in NIMBUS_SERVICE_KEY. Ends with status
1 if some have failed for good.

Examples:
  doit nimbus:assets:monitor
  doit nimbus:assets:monitor --json    prints the counts once nothing moves any more
"""
_PRUNE_HELP = """Remove stored files that no page and no pointer has used for a while

What the site has now, what its pages refer to, and what a pointer names is kept. Look first, with --dry-run. Projects
that share a bucket need a prefix each, as equal files are stored once.

Examples:
  doit nimbus:assets:prune --dry-run
  doit nimbus:assets:prune --days 365
"""
_GET_HELP = """Show which file is the latest of a group and a variant

Its address, when its upload began, and what was kept with it. Ends with status 1 if there is no such pointer.

Examples:
  doit nimbus:pointer:get --group temperature --variant daily
  doit nimbus:pointer:get --group temperature --variant daily --json
"""
_POINTERS_HELP = """List the pointers of the target, or of one group

In a KV namespace that holds pages too, all keys are listed to find them: name a group, or give pointers a namespace of
their own (NIMBUS_POINTERS). Through the gateway, those of this project are listed.

Examples:
  doit nimbus:pointer:list
  doit nimbus:pointer:list --group temperature --json
"""
_TEST_HELP = """Send a small picture and a pointer through the configured stores, and read both back

Each step is printed with its time. The picture is removed afterwards; the pointer test:upload:latest stays.

Examples:
  doit nimbus:test-upload
  doit nimbus:test-upload --store pinata --json
"""
