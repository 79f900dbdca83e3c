"""The tables of `.nimbus/project.toml`: name, meaning, type and default of each setting."""

# Without `from __future__ import annotations`: msgspec would evaluate string annotations at every start (2.5 ms).

from typing import Annotated, Literal

from msgspec import Meta, Struct

from nimbus_tasks.html.rules import DEFAULT_FOLD, FoldName, Rules, renamed
from nimbus_tasks.model.keys import NamespaceName
from nimbus_tasks.project.settings.files import Assets, Embeddings, Images
from nimbus_tasks.project.settings.server import Server
from nimbus_tasks.project.settings.values import (
    Delay,
    Dollars,
    Natural,
    Positive,
    Seconds,
    Slots,
    Workers,
    says,
)

StoreName = Literal["sqlite", "gateway", "cloudflare"]
LogLevelName = Literal["debug", "info", "warning", "error"]

DEFAULT_INCLUDE = ("**/*.html", "**/*.htm")


class Project(Struct, frozen=True):
    """`[project]`: the site's identity."""

    id: Annotated[
        str,
        Meta(pattern=r"^proj_[0-9a-f]{12}$"),
        says("part of every key in the store; never change it"),
    ]
    name: Annotated[str, says("the site's name in messages and reports")] = ""
    domain: Annotated[str, says("the domain on which the site is published, such as example.com")] = ""
    created: Annotated[str, says("when the project was created, ISO 8601 in UTC")] = ""


class Source(Struct, frozen=True):
    """`[source]`: where the HTML is and how it is read."""

    folder: Annotated[
        str,
        says('folder with the built HTML, inside the project; "": another tool writes .nimbus/maps'),
    ] = ""
    known_as: Annotated[
        str,
        says("earlier name of the folder, where the build has moved to another one: pages keep their ids"),
    ] = ""
    include: Annotated[
        tuple[str, ...], says("files that are pages: patterns as in .gitignore, relative to the folder")
    ] = DEFAULT_INCLUDE
    exclude: Annotated[tuple[str, ...], says("files among them that are not pages; same patterns")] = ()
    main: Annotated[str, says("CSS selector of the main content; unset: detected on each page")] = ""
    ignore: Annotated[tuple[str, ...], says("CSS selectors of elements to leave out")] = ()
    ignore_head: Annotated[
        tuple[str, ...],
        says('names of values in the head to leave out, such as "build" or "og:*"'),
    ] = ()
    fold: Annotated[
        Natural | FoldName,
        says(
            "the window whose first screen is above the fold. desktop: 1280 x 800; phone: 390 x 844; a number: 1280 "
            "wide and this high, 0: no such part; flow: estimated without style sheets"
        ),
    ] = DEFAULT_FOLD
    noindex: Annotated[Literal["skip", "keep"], says("whether to skip or keep pages with a robots noindex")] = "skip"

    @property
    def name(self) -> str:
        """The folder as the source paths of pages name it."""
        return self.known_as or self.folder

    def source_path(self, file: str) -> str:
        """Return the source path of a file in the folder: what its id is made of."""
        return renamed(file, self.folder, self.name) if self.known_as else file

    def file_of(self, source_path: str) -> str:
        """Return the file that a source path names."""
        return renamed(source_path, self.name, self.folder) if self.known_as else source_path


class Dimensions(Struct, frozen=True):
    """`[dimensions]`: facts about a page, from its path, from selectors, or the same for all."""

    patterns: Annotated[
        tuple[str, ...],
        says("path patterns whose names in braces become facts, such as dist/local/{brand}-{service}.html"),
    ] = ()
    selectors: Annotated[
        dict[str, str], says("facts from the page: name = CSS selector of the element with the text")
    ] = {}
    constants: Annotated[dict[str, str], says("facts that are the same on all pages: name = text")] = {}


class Content(Struct, frozen=True):
    """`[content]`: reading pages by their address, from the gateway Worker."""

    access: Annotated[
        Literal["off", "key", "public"],
        says(
            "who reads pages by their address at the gateway: off: nobody; key: whoever has an API key; public: "
            "everybody. Each new address is one more write"
        ),
    ] = "off"


class Upload(Struct, frozen=True):
    """`[upload]`: how pages are sent."""

    concurrency: Annotated[Slots, says("maximum requests at a time")] = 5
    delay: Annotated[Natural, says("minimum milliseconds between two requests of the same connection")] = 0
    max_removals: Annotated[Natural, says("maximum pages to mark inactive in one upload without --force")] = 256
    max_pages_per_batch: Annotated[Positive, says("maximum pages in a batch; larger uploads are split")] = 1000
    audit_log: Annotated[
        bool | None,
        says("whether uploads log each page (one more write); unset: only in the embedded store, if there is a queue"),
    ] = None
    tries: Annotated[Positive, says("maximum attempts for each request")] = 3
    retry_wait: Annotated[
        Positive, says("maximum milliseconds before the second attempt, doubled for each further one")
    ] = 500
    give_up_after: Annotated[Positive, says("abort after this many consecutive failed requests")] = 10


class Target(Struct, frozen=True):
    """`[target]`: the store that pages are published to."""

    store: Annotated[
        StoreName,
        says("sqlite: the file .nimbus/kv.db, no account; gateway: a Worker in front of KV; cloudflare: KV's REST API"),
    ] = "sqlite"
    worker_url: Annotated[str, says("URL of the gateway Worker; the API key is read from NIMBUS_API_KEY")] = ""
    account_id: Annotated[str, says("id of the Cloudflare account; the token is read from CLOUDFLARE_API_TOKEN")] = ""
    namespace_id: Annotated[
        str, says("id of the KV namespace for all records that [target.namespaces] does not name")
    ] = ""
    namespaces: Annotated[
        dict[NamespaceName, str], says("KV namespace ids for single kinds of records, such as NIMBUS_PAGES")
    ] = {}
    connect_timeout: Annotated[Seconds, says("seconds to wait for a connection")] = 10.0
    read_timeout: Annotated[Seconds, says("seconds to wait for each part of an answer")] = 100.0


class ProcessSettings(Struct, frozen=True):
    """`[process]`: how pages are taken from the queue and optimised."""

    optimiser: Annotated[
        Literal["rules", "openai"], says("rules: embedded, no network; openai: the chat endpoint of [openai]")
    ] = "rules"
    workers: Annotated[Workers, says("maximum pages processed at a time")] = 5
    lease: Annotated[
        Seconds, says("seconds after which a page is free again whose worker has stopped, or is another program")
    ] = 60.0
    look: Annotated[Seconds, says("seconds between two polls of an idle queue")] = 2.0
    flush: Annotated[
        Seconds,
        says("minimum seconds between writes of the queue or a batch; several machines on one KV: their number"),
    ] = 1.0
    grace: Annotated[Seconds, says("seconds that Ctrl-C waits for pages under way")] = 10.0
    retry_delays: Annotated[tuple[Delay, ...], says("seconds before the second, third, ... attempt at a page")] = (
        60,
        300,
        900,
        3600,
        21_600,
    )
    queue: Annotated[
        Literal["record", "cloudflare-queues", "none"],
        says(
            "record: the queue record alone, for one machine; cloudflare-queues: shared by several machines; "
            "none: uploads queue nothing and write no statuses, for sites that are not optimised"
        ),
    ] = "record"
    queue_id: Annotated[str, says("id of the Cloudflare Queue, in the account of [target] account_id")] = ""
    visibility: Annotated[
        float,
        Meta(ge=1, le=43_200),
        says("seconds for which a pulled message is hidden from other machines; a page must be finished within them"),
    ] = 300.0


class OpenAISettings(Struct, frozen=True):
    """`[openai]`: the chat endpoint, its model and its costs."""

    base_url: Annotated[str, says("URL before /chat/completions; the key is read from NIMBUS_AI_KEY")] = (
        "https://api.openai.com/v1"
    )
    model: Annotated[str, says("name of the model; unset: ai_model of the project record")] = ""
    tone: Annotated[str, says("tone of the texts; unset: the tone of the project record")] = ""
    input_price: Annotated[Dollars, says("dollars for a million prompt tokens")] = 0.0
    output_price: Annotated[Dollars, says("dollars for a million answer tokens")] = 0.0
    spend_cap: Annotated[Dollars, says("maximum dollars for one run, needs both prices; 0: no limit")] = 0.0
    max_prompt_tokens: Annotated[int, Meta(ge=2000), says("maximum tokens of a prompt; longer pages are split")] = 8000
    max_tokens: Annotated[int, Meta(ge=500), says("maximum tokens of an answer")] = 4000
    timeout: Annotated[float, Meta(gt=0, le=600), says("seconds to wait for an answer")] = 120.0
    tries: Annotated[Positive, says("maximum attempts for each request")] = 3
    retry_wait: Annotated[Delay, says("maximum seconds before the second attempt; doubled for each further one")] = 1.0
    slots: Annotated[Slots, says("maximum requests at a time")] = 4
    delay: Annotated[float, Meta(ge=0), says("minimum seconds between the starts of two requests in one slot")] = 0.0
    keep_days: Annotated[int, Meta(ge=1, le=36_500), says("days for which answers are reused for the same content")] = (
        90
    )


class Log(Struct, frozen=True):
    """`[log]`: the structured log."""

    level: Annotated[LogLevelName, says("minimum level of events written to .nimbus/log.jsonl")] = "info"


class Settings(Struct, frozen=True):
    project: Project
    source: Source = Source()
    dimensions: Dimensions = Dimensions()
    content: Content = Content()
    upload: Upload = Upload()
    target: Target = Target()
    process: ProcessSettings = ProcessSettings()
    openai: OpenAISettings = OpenAISettings()
    assets: Assets = Assets()
    images: Images = Images()
    embeddings: Embeddings = Embeddings()
    server: Server = Server()
    log: Log = Log()

    @property
    def rules(self) -> Rules:
        """The settings that change the content of a page's map."""
        return Rules(
            main=self.source.main,
            ignore=self.source.ignore,
            ignore_head=self.source.ignore_head,
            fold=self.source.fold,
            noindex=self.source.noindex == "keep",
            patterns=self.dimensions.patterns,
            selectors=self.dimensions.selectors,
            constants=self.dimensions.constants,
            folder=self.source.name,
            domain=self.project.domain,
        )

    @property
    def audit_log(self) -> bool:
        """Whether uploads write `logs:` records: free in the embedded store, a paid write elsewhere."""
        chosen = self.upload.audit_log
        return self.target.store == "sqlite" and self.queues if chosen is None else chosen

    @property
    def queues(self) -> bool:
        """Whether uploaded pages wait in a queue for optimisation, and have statuses that follow them there."""
        return self.process.queue != "none"

    @property
    def routes(self) -> bool:
        """Whether pages are found by their address."""
        return self.content.access != "off"

    @property
    def messages(self) -> bool:
        """Whether each queued page needs a message in a Cloudflare Queue."""
        return self.process.queue == "cloudflare-queues"
