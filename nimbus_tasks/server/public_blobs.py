"""The files of `[assets] store = "folder"` for every reader, each under its digest: `public_url` may be `URL/blobs`."""

from __future__ import annotations

import re

from litestar import get
from litestar.response import File

from nimbus_tasks.assets.content_types import content_type_of
from nimbus_tasks.backends.blobs.open import BLOBS_FOLDER
from nimbus_tasks.project import beneath
from nimbus_tasks.server.errors import not_found
from nimbus_tasks.server.service import Service

_DIGEST = re.compile(r"[0-9a-f]{64}")
#: Bytes that tell the type of a file, whose name is not known here.
_BEGINNING = 512
_SVG = re.compile(rb"\s*(?:<\?xml|<!--|<!DOCTYPE svg|<svg)", re.IGNORECASE)


@get("/blobs/{folder:str}/{sha256:str}", opt={"public": True}, sync_to_thread=True)
def get_blob(service: Service, folder: str, sha256: str) -> File:
    """Give the bytes of an image or another file of the site."""
    is_one = service.settings.assets.store == "folder" and _DIGEST.fullmatch(sha256) and folder == sha256[:2]
    if not is_one:
        raise not_found("file")
    blobs = service.root / BLOBS_FOLDER
    try:
        beginning, _ = beneath.read_below(blobs, (folder, sha256), _BEGINNING)
    except OSError:
        raise not_found("file") from None
    return File(
        blobs / folder / sha256,
        media_type="image/svg+xml" if _SVG.match(beginning) else content_type_of("", beginning),
        content_disposition_type="inline",
        headers={
            # A page or a drawing among them must not run as a page of ours.
            "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
            "cache-control": "public, max-age=31536000, immutable",
        },
    )


ROUTES = [get_blob]
