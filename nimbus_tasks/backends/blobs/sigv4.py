"""Signatures of requests to S3 and services like it: AWS Signature Version 4, in headers or in an address.

Source: docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html. Pure: the time is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_ALGORITHM = "AWS4-HMAC-SHA256"
#: In place of a body's digest in a presigned address: whoever has the address brings the body.
_UNSIGNED = "UNSIGNED-PAYLOAD"
#: S3 refuses addresses that are valid for longer: seven days.
LONGEST_SECONDS = 7 * 24 * 3600


class Credentials(Struct, frozen=True):
    """Who signs, and for which region. session_token: of temporary credentials; empty for others."""

    access_key_id: str
    secret_access_key: str
    region: str
    session_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.access_key_id!r}, region={self.region!r})"


def sign(
    credentials: Credentials, method: str, url: str, headers: Mapping[str, str], body_sha256: str, at: datetime
) -> dict[str, str]:
    """Return the headers of a request with its signature. All of them are signed.

    url: percent-encoded, as it is sent. body_sha256: 64 hex digits. at: in UTC.
    """
    parts = urlsplit(url)
    signed = {name.lower(): value for name, value in headers.items()}
    signed |= {"host": parts.netloc, "x-amz-content-sha256": body_sha256, "x-amz-date": _time(at)}
    if credentials.session_token:
        signed["x-amz-security-token"] = credentials.session_token
    query = parse_qsl(parts.query, keep_blank_values=True)
    signature = _signature(credentials, method, parts.path, query, signed, body_sha256, at)
    authorization = (
        f"{_ALGORITHM} Credential={credentials.access_key_id}/{_scope(credentials, at)},"
        f"SignedHeaders={_names(signed)},Signature={signature}"
    )
    return {**signed, "authorization": authorization}


def presign(
    credentials: Credentials, method: str, url: str, headers: Mapping[str, str], seconds: int, at: datetime
) -> str:
    """Return an address that lets anyone make one kind of request for a while. It is a secret.

    headers: those that the request must have, with these values: its content type and checksum. seconds: from `at`.
    """
    parts = urlsplit(url)
    signed = {"host": parts.netloc} | {name.lower(): value for name, value in headers.items()}
    query = [
        *parse_qsl(parts.query, keep_blank_values=True),
        ("X-Amz-Algorithm", _ALGORITHM),
        ("X-Amz-Credential", f"{credentials.access_key_id}/{_scope(credentials, at)}"),
        ("X-Amz-Date", _time(at)),
        ("X-Amz-Expires", str(seconds)),
        ("X-Amz-SignedHeaders", _names(signed)),
    ]
    if credentials.session_token:
        query.append(("X-Amz-Security-Token", credentials.session_token))
    signature = _signature(credentials, method, parts.path, query, signed, _UNSIGNED, at)
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{_canonical(query)}&X-Amz-Signature={signature}"


def _signature(
    credentials: Credentials,
    method: str,
    path: str,
    query: list[tuple[str, str]],
    headers: Mapping[str, str],
    body_sha256: str,
    at: datetime,
) -> str:
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in sorted(headers)]
    request = "\n".join([method, path or "/", _canonical(query), *lines, "", _names(headers), body_sha256])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([_ALGORITHM, _time(at), _scope(credentials, at), digest])
    key = f"AWS4{credentials.secret_access_key}".encode()
    for part in _scope(credentials, at).split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def _scope(credentials: Credentials, at: datetime) -> str:
    return f"{at:%Y%m%d}/{credentials.region}/s3/aws4_request"


def _time(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(headers))


def _canonical(query: list[tuple[str, str]]) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
