"""The commands about the gateway: its Worker, and the API keys to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nimbus_tasks.cli.tasks.session import command, console, option, pipeline
from nimbus_tasks.project.settings import GATEWAY_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from doit.task import Task

    from nimbus_tasks.cli.commands.gateway import GatewayCommands


def gateway_tasks() -> Iterator[Task]:
    folder = option("folder", GATEWAY_FOLDER, f"where the Worker's files are ({GATEWAY_FOLDER})")
    yield command(
        "nimbus:worker:init",
        _WORKER_INIT_HELP,
        lambda folder, force, as_json: _gateway().init(folder, force=force, as_json=as_json),
        params=[folder, option("force", False, "replace modules that were changed")],
    )
    yield command(
        "nimbus:worker:dev",
        _WORKER_DEV_HELP,
        lambda port, folder, as_json: _gateway().dev(port, folder, as_json=as_json),
        params=[option("port", 8787, "on 127.0.0.1; 0: any free one (8787)"), folder],
    )
    service = option("service", False, "the keys of doit nimbus:serve, in place of the gateway's")
    yield command(
        "nimbus:key:create",
        _KEY_CREATE_HELP,
        lambda name, user, email, content, service, program, as_json: _gateway().create_key(
            name, user, email, content=content, service=service, program=program, as_json=as_json
        ),
        params=[
            option("name", "", "where the key is used, such as ci"),
            option("user", "", "whose key, if the project has no owner yet (default: a new user's)"),
            option("email", "", "the user's address"),
            option("content", False, "the key only reads pages by their address"),
            service,
            option("program", False, "with --service: the key uploads, and cannot log in to the web pages"),
        ],
    )
    user = option("user", "", "whose keys, with --service (default: its first user's)")
    yield command(
        "nimbus:key:list",
        _KEY_LIST_HELP,
        lambda service, user, as_json: _gateway().list_keys(service=service, user=user, as_json=as_json),
        params=[service, user],
    )
    yield command(
        "nimbus:key:revoke",
        _KEY_REVOKE_HELP,
        lambda name, key, service, user, as_json: _gateway().revoke_key(
            name, key, service=service, user=user, as_json=as_json
        ),
        params=[
            option("name", "", "the key's name"),
            option("key", "", "its hash, or 8 or more digits of it"),
            service,
            user,
        ],
    )


def _gateway() -> GatewayCommands:
    from nimbus_tasks.cli.commands.gateway import GatewayCommands

    return GatewayCommands(console, pipeline)


_WORKER_INIT_HELP = """Write the gateway Worker into this project, and how to deploy it

Run it again after an update of Nimbus Tasks to update the modules. Modules that you changed are kept and named, and
wrangler.jsonc is never overwritten.

Examples:
  doit nimbus:worker:init
  doit nimbus:worker:init --folder=edge/gateway
  doit nimbus:worker:init --force    overwrite changed modules too
"""
_WORKER_DEV_HELP = """Run the gateway Worker on this machine until Ctrl-C, on Cloudflare's runtime

Runs the Worker of this project if nimbus:worker:init made one, otherwise the one that is shipped. Needs no account;
its data stays in .nimbus/workerd. Needs Node.js 20 or later; if the project has no miniflare, npm installs it once.

Examples:
  doit nimbus:worker:dev
  doit nimbus:worker:dev --port=0    on any free port
  doit nimbus:worker:dev --json      its address as JSON, once it answers
"""
_KEY_CREATE_HELP = """Make an API key for this project at the target, and show it once

Needs NIMBUS_ADMIN_SECRET for a gateway, CLOUDFLARE_API_TOKEN for Cloudflare. The target stores the key's hash only.

Examples:
  doit nimbus:key:create --name=ci
  doit nimbus:key:create --name=laptop --email=ann@example.com
  doit nimbus:key:create --name=reader --content    for programs that show the pages: it cannot write
  doit nimbus:key:create --name=ci --json > key.json
  doit nimbus:key:create --service --name=me              a key to the service, doit nimbus:serve
  doit nimbus:key:create --service --name=ci --program    for programs that upload: it cannot log in
"""
_KEY_LIST_HELP = """List the API keys of this project's owner: name, hash, age, state, last use, requests

The gateway Worker counts the requests of each key, and writes the counts once a minute. A day begins at midnight UTC.

Examples:
  doit nimbus:key:list
  doit nimbus:key:list --json
"""
_KEY_REVOKE_HELP = """Revoke an API key, by its name or by the beginning of its hash

Examples:
  doit nimbus:key:revoke --name=ci
  doit nimbus:key:revoke --key=sha256:0a1b2c3d
"""
