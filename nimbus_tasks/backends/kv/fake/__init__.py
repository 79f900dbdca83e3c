"""A test server with Cloudflare's KV REST API as its documents describe it, on 127.0.0.1.

`python -m nimbus_tasks.backends.kv.fake` runs it, with the extra `nimbus-tasks[fake]`. No other room imports it, and it
imports nothing of the package: it checks our client by a second reading of the same documents.

A request passes `api` (authentication, rate limit, journal), `endpoints`, `checks` and `store`. `limits` and `answers`
say where each number and code comes from.
"""
