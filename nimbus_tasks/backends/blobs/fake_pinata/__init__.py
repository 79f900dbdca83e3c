"""A test server with Pinata's API as its documents describe it, on 127.0.0.1.

`python -m nimbus_tasks.backends.blobs.fake_pinata` runs it, with the extra `nimbus-tasks[fake]`, and prints
`{"url": ...}`: uploads, API and gateway are all there. The token is PINATA_JWT; several, with commas between, are of an
account each. Files are kept in memory. No other module imports it, and it imports only `cids`, which an independent
library checks.

    app (routes, gateway) -> account (endpoints, scopes, rate limit) -> uploads, signing -> files

Source: docs.pinata.cloud/api-reference; for resumable uploads PinataCloud/pinata and tus.io.
"""
