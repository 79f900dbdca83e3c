"""The tables of `.nimbus/project.toml`: what each setting is called, means, may be, and is where nothing is said."""

# Without `from __future__ import annotations`: as texts, msgspec would evaluate them at every start (2.5 ms).

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nimbus_tasks.html.extract.rules import DEFAULT_FOLD, Rules
from nimbus_tasks.model.records import NamespaceName


def _says(description: str) -> Meta:
    """Return what editors (`.nimbus/project.schema.json`) and the docs say of a setting."""
    return Meta(description=description)


StoreName = Literal["sqlite", "gateway", "cloudflare"]
LogLevelName = Literal["debug", "info", "warning", "error"]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Delay = Annotated[float, Meta(gt=0)]
Dollars = Annotated[float, Meta(ge=0)]
#: More requests at a time than this help no store.
MOST_SLOTS = 100
#: More pages at a time than this help no process.
MOST_WORKERS = 100
Workers = Annotated[int, Meta(ge=1, le=MOST_WORKERS)]
Slots = Annotated[int, Meta(ge=1, le=MOST_SLOTS)]
Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]

DEFAULT_INCLUDE = ("**/*.html", "**/*.htm")


class Project(Struct, frozen=True):
    """`[project]`: who this site is."""

    id: Annotated[str, Meta(pattern=r"^proj_[0-9a-f]{12}$"), _says("part of every key in the store: never change it")]
    name: Annotated[str, _says("what people call the site")] = ""
    domain: Annotated[str, _says("where the site is published, such as example.com")] = ""
    created: Annotated[str, _says("when the project was made, ISO 8601 in UTC")] = ""


class Source(Struct, frozen=True):
    """`[source]`: where the HTML is and how it is read."""

    folder: Annotated[
        str,
        _says('the folder with the built HTML, inside the project; "" where another tool writes .nimbus/maps itself'),
    ] = ""
    include: Annotated[tuple[str, ...], _says("which files are pages: patterns as in .gitignore, below the folder")] = (
        DEFAULT_INCLUDE
    )
    exclude: Annotated[tuple[str, ...], _says("which of them are not")] = ()
    main: Annotated[str, _says("CSS selector of the main content; left out: found for each page")] = ""
    ignore: Annotated[tuple[str, ...], _says("CSS selectors of parts that give no content")] = ()
    fold: Annotated[Natural, _says("height in pixels of what a visitor sees first; 0: nothing")] = DEFAULT_FOLD
    noindex: Annotated[
        Literal["skip", "keep"], _says("pages whose robots are told noindex: skip them, or keep them")
    ] = "skip"


class Dimensions(Struct, frozen=True):
    """`[dimensions]`: facts about a page, from its path, from selectors, or the same for all."""

    patterns: Annotated[
        tuple[str, ...],
        _says("paths with names in braces that become facts, such as dist/local/{brand}-{service}.html"),
    ] = ()
    selectors: Annotated[
        dict[str, str], _says("facts from a page: name = CSS selector of the element whose text it is")
    ] = {}
    constants: Annotated[dict[str, str], _says("facts that are the same for all pages: name = text")] = {}


class Upload(Struct, frozen=True):
    """`[upload]`: how pages are sent."""

    concurrency: Annotated[Slots, _says("requests at a time, at most")] = 5
    delay: Annotated[Natural, _says("least milliseconds between the starts of two requests in one slot")] = 0
    max_removals: Annotated[Natural, _says("more pages than this are not marked inactive at once without --force")] = (
        256
    )
    max_pages_per_batch: Annotated[Positive, _says("a larger upload is split into batches of so many pages")] = 1000
    audit_log: Annotated[
        bool | None, _says("whether each page gets a log entry, a write more; left out: only in the embedded store")
    ] = None
    tries: Annotated[Positive, _says("of each write and each read")] = 3
    retry_wait: Annotated[Positive, _says("milliseconds before a second try, at most; then longer each time")] = 500
    give_up_after: Annotated[Positive, _says("so many requests in a row without a good answer end the run")] = 10


class Target(Struct, frozen=True):
    """`[target]`: the store that pages are published to."""

    store: Annotated[
        StoreName,
        _says("sqlite: the file .nimbus/kv.db, no account; gateway: a Worker in front of KV; cloudflare: its REST API"),
    ] = "sqlite"
    worker_url: Annotated[str, _says("address of the gateway Worker; its key comes from NIMBUS_API_KEY")] = ""
    account_id: Annotated[str, _says("id of the Cloudflare account; the token comes from CLOUDFLARE_API_TOKEN")] = ""
    namespace_id: Annotated[str, _says("id of the KV namespace that holds all records without one of their own")] = ""
    namespaces: Annotated[
        dict[NamespaceName, str], _says("ids of namespaces for one kind of record each, such as NIMBUS_PAGES")
    ] = {}
    connect_timeout: Annotated[Seconds, _says("seconds to wait for a connection")] = 10.0
    read_timeout: Annotated[Seconds, _says("seconds to wait for each sign of life of an answer")] = 100.0


class ProcessSettings(Struct, frozen=True):
    """`[process]`: how pages are taken from the queue and optimised."""

    optimiser: Annotated[
        Literal["rules", "openai"], _says("rules: embedded, no network; openai: the chat endpoint of [openai]")
    ] = "rules"
    workers: Annotated[Workers, _says("pages at a time")] = 5
    lease: Annotated[Seconds, _says("seconds; a worker that gives no sign of life for so long has lost its pages")] = (
        60.0
    )
    look: Annotated[Seconds, _says("seconds between two looks at a queue that has nothing to do")] = 2.0
    flush: Annotated[
        Seconds,
        _says(
            "least seconds between two writes of the queue or of a batch; with several machines at one KV, their number"
        ),
    ] = 1.0
    grace: Annotated[Seconds, _says("seconds that Ctrl-C waits for the pages in hand")] = 10.0
    retry_delays: Annotated[tuple[Delay, ...], _says("seconds before the second, third, ... try of a page")] = (
        60,
        300,
        900,
        3600,
        21_600,
    )
    queue: Annotated[
        Literal["record", "cloudflare-queues"],
        _says("record: the queue record alone, for one machine; cloudflare-queues: several machines share the work"),
    ] = "record"
    queue_id: Annotated[str, _says("id of the Cloudflare Queue, in the account of [target] account_id")] = ""
    visibility: Annotated[
        float,
        Meta(ge=1, le=43_200),
        _says("seconds that a message of that queue is one machine's; it cannot be renewed, so a page must fit"),
    ] = 300.0


class OpenAISettings(Struct, frozen=True):
    """`[openai]`: a chat endpoint, which model it is asked for, and what that may cost."""

    base_url: Annotated[str, _says("what /chat/completions is put behind; the key comes from NIMBUS_AI_KEY")] = (
        "https://api.openai.com/v1"
    )
    model: Annotated[str, _says("which model is asked; left out: ai_model of the project's record")] = ""
    tone: Annotated[str, _says("how texts should sound; left out: the tone of the project's record")] = ""
    input_price: Annotated[Dollars, _says("dollars a million tokens of a request")] = 0.0
    output_price: Annotated[Dollars, _says("dollars a million tokens of an answer")] = 0.0
    spend_cap: Annotated[Dollars, _says("dollars that a run may spend, which needs the prices; 0: no cap")] = 0.0
    max_prompt_tokens: Annotated[int, Meta(ge=2000), _says("of one request; longer pages are cut into parts")] = 8000
    max_tokens: Annotated[int, Meta(ge=500), _says("of one answer")] = 4000
    timeout: Annotated[float, Meta(gt=0, le=600), _says("seconds that an answer may take")] = 120.0
    tries: Annotated[Positive, _says("of a request that the endpoint could not answer")] = 3
    retry_wait: Annotated[Delay, _says("seconds before a second try, at most; then longer each time")] = 1.0
    slots: Annotated[Slots, _says("requests at a time")] = 4
    delay: Annotated[float, Meta(ge=0), _says("least seconds between the starts of two requests in one slot")] = 0.0
    keep_days: Annotated[
        int, Meta(ge=1, le=36_500), _says("for so many days the same content is not paid for again")
    ] = 90


class Log(Struct, frozen=True):
    """`[log]`: what is logged."""

    level: Annotated[LogLevelName, _says("the least level of what goes to .nimbus/log.jsonl")] = "info"


class Settings(Struct, frozen=True):
    project: Project
    source: Source = Source()
    dimensions: Dimensions = Dimensions()
    upload: Upload = Upload()
    target: Target = Target()
    process: ProcessSettings = ProcessSettings()
    openai: OpenAISettings = OpenAISettings()
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

    @property
    def messages(self) -> bool:
        """Whether a message in a Cloudflare Queue names each page that is queued, for other machines."""
        return self.process.queue == "cloudflare-queues"
