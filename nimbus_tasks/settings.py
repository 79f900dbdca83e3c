"""`.nimbus/project.toml` and the environment: what a user decides. No secret is ever kept here.

Environment variables win over the file. An unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from nimbus_tasks.errors import NoProjectError, SettingsError
from nimbus_tasks.extract.rules import DEFAULT_FOLD, Rules
from nimbus_tasks.records import NamespaceName

if TYPE_CHECKING:
    from collections.abc import Mapping

STATE_FOLDER = ".nimbus"
PROJECT_FILE = f"{STATE_FOLDER}/project.toml"
#: Where the gateway Worker's files are in a project.
GATEWAY_FOLDER = "nimbus-gateway"
MAPS_FOLDER = f"{STATE_FOLDER}/maps"
REPORTS_FOLDER = f"{STATE_FOLDER}/reports"
VALIDATION_REPORT = f"{REPORTS_FOLDER}/validation.json"
UPLOAD_REPORT = f"{REPORTS_FOLDER}/upload.json"
SUMMARY_REPORT = f"{REPORTS_FOLDER}/summary.json"

StoreName = Literal["sqlite", "gateway", "cloudflare"]
LogLevelName = Literal["debug", "info", "warning", "error"]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Delay = Annotated[float, Meta(gt=0)]
#: More requests at a time than this help no store.
MOST_SLOTS = 100
#: More pages at a time than this help no process.
MOST_WORKERS = 100
Workers = Annotated[int, Meta(ge=1, le=MOST_WORKERS)]
Slots = Annotated[int, Meta(ge=1, le=MOST_SLOTS)]
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]

#: Where a site generator is likely to put its HTML, likeliest first.
LIKELY_SOURCES = ("dist", "build", "_site", "public", "out", "site")
DEFAULT_INCLUDE = ("**/*.html", "**/*.htm")


class Project(Struct, frozen=True):
    """`[project]`: who this site is."""

    id: Annotated[str, Meta(pattern=r"^proj_[0-9a-f]{12}$")]
    name: str = ""
    domain: str = ""
    created: str = ""


class Source(Struct, frozen=True):
    """`[source]`: where the HTML is and how it is read. An empty folder: maps come from another tool."""

    folder: str = ""
    include: tuple[str, ...] = DEFAULT_INCLUDE
    exclude: tuple[str, ...] = ()
    main: str = ""
    ignore: tuple[str, ...] = ()
    fold: Natural = DEFAULT_FOLD
    noindex: Literal["skip", "keep"] = "skip"


class Dimensions(Struct, frozen=True):
    """`[dimensions]`: facts about a page, from its path, from selectors, or the same for all."""

    patterns: tuple[str, ...] = ()
    selectors: dict[str, str] = {}
    constants: dict[str, str] = {}


class Upload(Struct, frozen=True):
    """`[upload]`: delay in milliseconds; audit_log None: on for the embedded store, off for paid ones.

    tries: of each write and each read. retry_wait: milliseconds before the second one, at most; then longer each time.
    give_up_after: so many requests in a row without a good answer end the run.
    """

    concurrency: Slots = 5
    delay: Natural = 0
    max_removals: Natural = 256
    max_pages_per_batch: Positive = 1000
    audit_log: bool | None = None
    tries: Positive = 3
    retry_wait: Positive = 500
    give_up_after: Positive = 10


class Target(Struct, frozen=True):
    """`[target]`: the store that pages are published to. Timeouts are in seconds."""

    store: StoreName = "sqlite"
    worker_url: str = ""
    account_id: str = ""
    namespace_id: str = ""
    namespaces: dict[NamespaceName, str] = {}
    connect_timeout: Seconds = 10.0
    read_timeout: Seconds = 100.0


class ProcessSettings(Struct, frozen=True):
    """`[process]`: times are in seconds.

    workers: pages at a time. lease: a worker that gives no sign of life for so long has lost its pages.
    look: how often the queue is looked at where there is nothing to do. flush: least time between two writes of the
    queue and of a batch; with several machines at one KV, their number. grace: how long Ctrl-C waits for the pages in
    hand. retry_delays: before the second, third, ... try of a page.
    queue: `record` (the record `queue:` alone, for one machine) or `cloudflare-queues`, whose `queue_id` must be set.
    visibility: how long a message of that queue is one machine's; it cannot be renewed, so a page must fit.
    """

    workers: Workers = 5
    lease: Seconds = 60.0
    look: Seconds = 2.0
    flush: Seconds = 1.0
    grace: Seconds = 10.0
    retry_delays: tuple[Delay, ...] = (60, 300, 900, 3600, 21_600)
    queue: Literal["record", "cloudflare-queues"] = "record"
    queue_id: str = ""
    visibility: Annotated[float, Meta(ge=1, le=43_200)] = 300.0


class Log(Struct, frozen=True):
    """`[log]`: the least level that goes to `.nimbus/log.jsonl`."""

    level: LogLevelName = "info"


class Settings(Struct, frozen=True):
    project: Project
    source: Source = Source()
    dimensions: Dimensions = Dimensions()
    upload: Upload = Upload()
    target: Target = Target()
    process: ProcessSettings = ProcessSettings()
    log: Log = Log()

    @property
    def rules(self) -> Rules:
        """Everything here that changes what a page's map says."""
        return Rules(
            main=self.source.main,
            ignore=self.source.ignore,
            fold=self.source.fold,
            noindex=self.source.noindex == "keep",
            patterns=self.dimensions.patterns,
            selectors=self.dimensions.selectors,
            constants=self.dimensions.constants,
        )

    @property
    def audit_log(self) -> bool:
        """Whether an upload writes `logs:` records: free in the embedded store, a paid write elsewhere."""
        chosen = self.upload.audit_log
        return self.target.store == "sqlite" if chosen is None else chosen


#: environment variable -> (table, key) that it overrides
ENVIRONMENT = {
    "NIMBUS_TARGET": ("target", "store"),
    "NIMBUS_WORKER_URL": ("target", "worker_url"),
    "CLOUDFLARE_ACCOUNT_ID": ("target", "account_id"),
    "KV_NAMESPACE_ID": ("target", "namespace_id"),
}


def load(root: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the project in `root`.

    Raises:
        NoProjectError: there is no project file.
        SettingsError: it cannot be read, or says something that the contract does not have.
    """
    try:
        text = (root / PROJECT_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NoProjectError from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PROJECT_FILE} cannot be read: {_reason(error)}.") from None
    return parse(text, os.environ if environment is None else environment)


def parse(text: str, environment: Mapping[str, str]) -> Settings:
    """Return the settings that a project file's text and the environment give together."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{PROJECT_FILE} is not valid TOML: {error}.") from None
    _refuse_unknown_keys(tables)
    for variable, (table, key) in ENVIRONMENT.items():
        if value := environment.get(variable):
            tables.setdefault(table, {})[key] = value
    try:
        settings = msgspec.convert(tables, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(_explain(str(error), environment)) from None
    _refuse_climbing(settings.source.folder)
    return settings


def _refuse_unknown_keys(tables: Mapping[str, Any]) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    _check_names(tables, list(known), where="table")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{PROJECT_FILE}: `{name}` must be a table: [{name}].")
        keys = [field.name for field in msgspec.structs.fields(known[name])]
        _check_names(table, keys, where=f"key in [{name}]")
    namespaces = tables.get("target", {}).get("namespaces")
    if isinstance(namespaces, dict):
        _check_names(namespaces, list(get_args(NamespaceName)), where="name in [target.namespaces]")


def _check_names(given: Mapping[str, Any], known: list[str], where: str) -> None:
    for name in given:
        if name not in known:
            import difflib  # noqa: PLC0415 - only when something is wrong

            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"Did you mean `{nearest[0]}`?" if nearest else f"Known: {', '.join(known)}."
            raise SettingsError(f"{PROJECT_FILE}: unknown {where}: `{name}`.", hint)


def _explain(message: str, environment: Mapping[str, str]) -> str:
    """Turn msgspec's "Invalid enum value 'x' - at `$.target.store`" into the file, the key and the choices."""
    problem, _, place = message.partition(" - at `$.")
    place = place.rstrip("`")
    if place == "target.store":
        stores = ", ".join(get_args(StoreName))
        source = "NIMBUS_TARGET" if environment.get("NIMBUS_TARGET") else PROJECT_FILE
        return f"{source}: `{place}` must be one of {stores}."
    if place == "project.id" or "missing required field" in problem:
        return (
            f"{PROJECT_FILE}: [project] needs an id of the form proj_ + 12 hex digits. "
            "Restore the file, or remove it and run: doit nimbus:project:init"
        )
    return f"{PROJECT_FILE}: `{place}`: {problem[0].lower()}{problem[1:]}."


def _refuse_climbing(folder: str) -> None:
    if folder and (folder.startswith("/") or "\\" in folder or ".." in folder.split("/")):
        raise SettingsError(
            f"{PROJECT_FILE}: [source] folder `{folder}` must be a folder inside the project, such as `dist`."
        )


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not UTF-8"
