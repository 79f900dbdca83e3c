"""The numbers of Cloudflare's documents, each with its page.

`docs` is developers.cloudflare.com, `api` is developers.cloudflare.com/api/resources.
"""

from __future__ import annotations

#: docs/kv/platform/limits: "Key size 512 bytes".
KEY_BYTES = 512
#: docs/kv/api/write-key-value-pairs: a key may be neither empty nor exactly one of these.
FORBIDDEN_KEYS = frozenset({"", ".", ".."})
#: docs/kv/platform/limits: "Value size 25 MiB"; the 413 of a put names 26214400.
VALUE_BYTES = 25 * 1024 * 1024
#: docs/kv/platform/limits: "Key metadata 1024 bytes", of its JSON.
METADATA_BYTES = 1024
#: docs/kv/api/write-key-value-pairs: an expiration less than 60 seconds away is not supported.
SOONEST_EXPIRATION = 60

#: api/kv/subresources/namespaces/methods/bulk_update and bulk_delete: up to 10,000 in one request.
BULK_PAIRS = 10_000
#: bulk_update: "The entire request size must be 100 megabytes or less". The smaller reading of a megabyte.
BODY_BYTES = 100_000_000
#: bulk_get: a maximum of 100 keys.
BULK_GET_KEYS = 100
#: A bulk read of more than 25 MB in all is a 413: Cloudflare's own emulator has it so (miniflare, MAX_BULK_SIZE_BYTES).
BULK_GET_BYTES = 25 * 1024 * 1024

#: api/kv/subresources/namespaces/subresources/keys/methods/list: `limit`, and what it is where it is not said.
LEAST_NAMES = 10
MOST_NAMES = 1000
#: api/kv/subresources/namespaces/methods/list: `per_page`.
NAMESPACES_A_PAGE = 20
MOST_NAMESPACES_A_PAGE = 1000

#: docs/fundamentals/api/reference/limits: 1,200 requests in five minutes for a token, then all calls of the next five
#: minutes are answered 429.
REQUESTS = 1200
WINDOW_SECONDS = 300.0
BLOCKED_SECONDS = 300.0

#: docs/kv/platform/limits: "Writes to same key 1 per second".
SECONDS_BETWEEN_WRITES = 1.0
#: docs/kv/platform/pricing: the free plan's limits reset daily at 00:00 UTC.
DAY_SECONDS = 86_400
