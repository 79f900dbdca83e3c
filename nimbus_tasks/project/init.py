"""A new project: its id, its settings file with a comment on each setting of a site, its `.gitignore`, its record."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import msgspec
from msgspec import UNSET

from nimbus_tasks.model.records import ProjectRecord, ProjectSettings, ProjectUsage
from nimbus_tasks.project import files
from nimbus_tasks.project.settings import LIKELY_SOURCES, PROJECT_FILE, STATE_FOLDER, Settings

#: Everything else under `.nimbus/` is generated.
GITIGNORE = "*\n!project.toml\n!chrome.json\n!.gitignore\n"

#: For editors: the keys of the settings. Generated, never edited or committed.
SCHEMA_FILE = f"{STATE_FOLDER}/project.schema.json"

_TEMPLATE = """\
#:schema ./project.schema.json
# Nimbus Tasks: the settings of this project. Commit this file; it holds no secrets.
# Environment variables override it: NIMBUS_TARGET, NIMBUS_WORKER_URL, CLOUDFLARE_ACCOUNT_ID, KV_NAMESPACE_ID.
# Each table may be here once: put settings into the one below. The service (doit nimbus:serve) has more settings.

[project]
id = {id}  # part of every key in the store; never change it
name = {name}
domain = {domain}
created = {created}

[source]
folder = {folder}  # the built HTML; "": another tool writes .nimbus/maps
# known_as = "dist"                     # earlier name of the folder, if the build has moved: pages keep their ids
# include = ["**/*.html", "**/*.htm"]   # patterns as in .gitignore
# exclude = ["drafts/"]
# main = "#content"                     # CSS selector of the main content; unset: detected on each page
# ignore = [".cookie-banner"]           # CSS selectors of elements to leave out
# ignore_head = ["build"]               # names of values in the head to leave out
# fold = "desktop"                      # whose first screen is above the fold: "desktop", "phone", "flow" (estimated)
# noindex = "skip"                      # pages with robots noindex: "skip" or "keep"

[dimensions]                            # facts about a page
# patterns = ["{pattern}/local/{{brand}}-{{service}}.html"]
# [dimensions.selectors]
# location = ".address .city"
# [dimensions.constants]
# language = "en"

[content]
# access = "off"                        # who reads pages by address at the gateway: "off", "key" or "public"

[upload]
# concurrency = 5                       # maximum requests at a time
# delay = 0                             # minimum milliseconds between two requests of the same connection
# max_removals = 256                    # maximum pages to mark inactive in one upload without --force
# max_pages_per_batch = 1000
# audit_log = true                      # log each page; unset: only in the embedded store
# tries = 3                             # maximum attempts for each request
# retry_wait = 500                      # maximum milliseconds before the second attempt, doubled for each further one
# give_up_after = 10                    # abort after this many consecutive failed requests

[target]
store = "sqlite"                        # sqlite: .nimbus/kv.db, no account; gateway: a Worker; cloudflare: REST API
# worker_url = "https://nimbus.example.workers.dev"  # of the gateway; the API key is read from NIMBUS_API_KEY
# account_id = ""                       # of Cloudflare; the token is read from CLOUDFLARE_API_TOKEN
# namespace_id = ""
# connect_timeout = 10                  # seconds
# read_timeout = 100                    # seconds to wait for each part of an answer
# [target.namespaces]                   # namespaces for single kinds of records
# NIMBUS_PAGES = ""

[process]
# optimiser = "rules"                   # embedded, no network; "openai": any OpenAI-compatible endpoint, see [openai]
# workers = 5                           # maximum pages at a time
# lease = 60                            # seconds after which the pages of a dead worker are free again
# look = 2                              # seconds between two polls of an idle queue
# flush = 1                             # minimum seconds between writes of the queue or a batch
# grace = 10                            # seconds that Ctrl-C waits for pages under way
# retry_delays = [60, 300, 900, 3600, 21600]  # seconds before the second, third, ... attempt at a page
# queue = "record"                      # "cloudflare-queues" (needs queue_id): shared by several machines
# queue_id = ""                         # uses [target] account_id and CLOUDFLARE_API_TOKEN
# visibility = 300                      # seconds for which a message is hidden from other machines

[openai]                                # where [process] optimiser = "openai"; the key is read from NIMBUS_AI_KEY
# base_url = "https://api.openai.com/v1"  # URL before /chat/completions
# model = ""                            # unset: ai_model of the project record
# tone = ""                             # such as "friendly"; unset: the tone of the project record
# input_price = 0                       # dollars for a million tokens
# output_price = 0
# spend_cap = 0                         # maximum dollars for one run, needs both prices; 0: no limit
# max_prompt_tokens = 8000              # maximum tokens of a prompt; longer pages are split
# max_tokens = 4000                     # maximum tokens of an answer
# timeout = 120                         # seconds to wait for an answer
# tries = 3                             # maximum attempts for each request
# retry_wait = 1                        # maximum seconds before the second attempt, doubled for each further one
# slots = 4                             # maximum requests at a time
# delay = 0                             # minimum seconds between the starts of two requests in one slot
# keep_days = 90                        # days for which answers are reused for the same content

[assets]                                # images and files that pages refer to
# store = ""                            # "folder": .nimbus/blobs; "s3": R2, AWS and others; "pinata": IPFS; "server"
# include = ["downloads/**"]            # files besides those of pages; patterns as above
# exclude = []
# concurrency = 0                       # maximum files uploaded at a time; 0: 3 for pinata and server, else 16
# compress = ""                         # "webp", "avif", "lossless": send smaller copies of pictures; files here stay
# widths = []                           # pixels of narrower copies to send too, such as [480, 960, 1600]
# bucket = ""                           # S3; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY come from the environment
# prefix = ""
# endpoint = ""                         # such as "https://ACCOUNT.r2.cloudflarestorage.com"
# region = "auto"
# public_url = ""                       # from where readers get the files, such as "https://img.example.com"
# service_url = ""                      # of doit nimbus:serve, for "server"; NIMBUS_SERVICE_KEY is the key
# plan = "free"                         # Pinata: "free", "picnic", "fiesta"; PINATA_JWT comes from the environment
# group_id = ""
# webhook = ""                          # gets signed requests about uploads; NIMBUS_WEBHOOK_SECRET is the secret
# metrics = ""                          # file for Prometheus: "/var/lib/node_exporter/textfile/nimbus.prom"

[images]                                # the service (doit nimbus:serve): what it makes of pictures
# max_side = 2048                       # maximum width and height of the main picture
# quality = 82                          # of JPEG and WebP; holds for [assets] compress and widths, too
# svg = "sanitise"                      # or "refuse"

[embeddings]                            # the service: how it finds similar pictures
# provider = "descriptor"               # or "onnx", "replicate", "openai"

[server]                                # the service, `doit nimbus:serve`; NIMBUS_SERVER_PORT and so on win over it
# host = "127.0.0.1"
# port = 8788
# storage = "folder"                    # "folder": .nimbus/uploads; "s3": the bucket of [assets]
# types = ["image/*"]
# rate_tokens = 100                     # requests for uploads that a user may make at once
# rate_per_minute = 10

[log]
# level = "info"                        # debug, info, warning, error: minimum level of .nimbus/log.jsonl
"""


def new_project_id() -> str:
    return f"proj_{secrets.token_hex(6)}"


def detect_source() -> str:
    """Return the likely output folder of a site generator, best one with a page; empty if there is none."""
    folders = [folder for folder in LIKELY_SOURCES if Path(folder).is_dir()]
    return next((folder for folder in folders if a_page(folder)), "") or (folders[0] if folders else "")


def a_page(folder: str) -> Path | None:
    """Return a page below a folder, the entry page if it has one; None where there is none."""
    entry = Path(folder, "index.html")
    return entry if entry.is_file() else next((path for path in Path(folder).rglob("*.htm*") if path.is_file()), None)


def detect_generator(folder: str) -> str:
    """Return what made the pages of a folder, as far as they say so."""
    from nimbus_tasks.html.extract.parse import parse_page
    from nimbus_tasks.html.extract.presets import find_preset

    try:
        page = a_page(folder)
        return find_preset(parse_page(page.read_bytes())).name if page else ""
    except OSError:
        return ""


def settings_text(project_id: str, name: str, domain: str, source: str, created: str) -> str:
    """Return the text of a new `.nimbus/project.toml`."""
    return _TEMPLATE.format(
        id=_toml(project_id),
        name=_toml(name),
        domain=_toml(domain),
        created=_toml(created),
        folder=_toml(source),
        pattern=source.replace("{", "{{").replace("}", "}}").replace("\n", "") or "dist",
    )


def write(text: str) -> None:
    """Write `.nimbus/.gitignore`, the schema, and last the settings, which make it a project."""
    files.replace(Path(STATE_FOLDER, ".gitignore"), GITIGNORE.encode())
    write_schema()
    files.replace(Path(PROJECT_FILE), text.encode())


def write_schema() -> bool:
    """Write the schema for editors, and return whether it was missing or of another version."""
    if schema_is_current():
        return False
    files.replace(Path(SCHEMA_FILE), _schema())
    return True


def schema_is_current() -> bool:
    try:
        return Path(SCHEMA_FILE).read_bytes() == _schema()
    except OSError:
        return False


def _schema() -> bytes:
    from nimbus_tasks.model.json_schema import schema_of_settings

    schema = schema_of_settings(Settings, "The settings of a project")
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def project_record(settings: Settings, owner: str) -> ProjectRecord:
    """Return the `project:` record of a new project."""
    project, openai = settings.project, settings.openai
    default = ProjectSettings()
    return ProjectRecord(
        project_id=project.id,
        user_id=owner,
        name=project.name,
        created=project.created,
        settings=ProjectSettings(
            tone=openai.tone or default.tone,
            ai_model=(openai.model if settings.process.optimiser == "openai" else "") or default.ai_model,
            max_pages_per_batch=settings.upload.max_pages_per_batch,
            default_concurrency=settings.upload.concurrency,
            domain=project.domain,
            content_access=settings.content.access if settings.routes else UNSET,
        ),
        usage=ProjectUsage(),
    )


def _toml(text: str) -> str:
    # Every escape that JSON writes is valid in a basic string of TOML.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
