"""Cloudflare's KV REST API as its documents have it, on 127.0.0.1: for tests, benchmarks and rehearsals.

`python -m nimbus_tasks.backends.kv.fake` runs it; it takes the extra `nimbus-tasks[fake]`. Nothing else of the package
imports it, and it imports nothing of the package: what the client believes of Cloudflare is checked here by a second
reading of the same documents.

A request's way: `routes` -> `door` (authentication, rate limit, journal) -> `values`, `bulk` or `namespaces` ->
`checks` and `quotas` -> `store`. `limits` and `answers` say where each number and code comes from.
"""
