"""Signatures are those of S3's documentation, and of boto3."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from nimbus_tasks.backends.blobs.sigv4 import Credentials, presign, sign

AT = datetime(2013, 5, 24, tzinfo=UTC)
#: Of the documentation's examples.
THEIRS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
HOST = "https://examplebucket.s3.amazonaws.com"
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {"Range": "bytes=0-9"},
            b"",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test%24file.text",
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            b"Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        ("GET", "/?lifecycle", {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("GET", "/?max-keys=2&prefix=J", {}, b"", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
    ids=["range", "put", "lifecycle", "listing"],
)
def test_signatures_in_headers_are_the_documented_ones(
    method: str, path: str, headers: dict[str, str], body: bytes, signature: str
) -> None:
    signed = sign(THEIRS, method, HOST + path, headers, hashlib.sha256(body).hexdigest(), AT)
    assert signed["authorization"].endswith(f"Signature={signature}")


def test_a_presigned_address_is_the_documented_one() -> None:
    address = presign(THEIRS, "GET", f"{HOST}/test.txt", {}, 86400, AT)
    assert address.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


TEXTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


@given(
    st.sampled_from(["GET", "PUT", "DELETE", "HEAD"]),
    st.lists(st.sampled_from(["a", "Z", "9", "/", "-", ".", "_", "~", "%20", "%2B"]), max_size=12).map(
        lambda path: f"/{''.join(path)}"
    ),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.dictionaries(st.sampled_from(["content-type", "x-amz-checksum-sha256", "if-none-match"]), TEXTS, max_size=3),
    st.sampled_from(["", "a/session+token=="]),
)
def test_signatures_are_those_of_boto3(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], token: str
) -> None:
    ours = Credentials("an-id", "a-secret", "eu-central-1", token)
    theirs = BotoCredentials("an-id", "a-secret", token or None)
    url = HOST + path
    if query:
        from urllib.parse import urlencode

        url += "?" + urlencode(query)
    at = datetime.now(UTC)
    request = AWSRequest(method, url, headers=headers)
    request.context["timestamp"] = f"{at:%Y%m%dT%H%M%SZ}"
    auth = S3SigV4Auth(theirs, "s3", "eu-central-1")
    auth.add_auth(request)
    when = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signed = sign(ours, method, url, headers, request.headers["X-Amz-Content-SHA256"], when)
    assert (
        signed["authorization"].partition("Signature=")[2]
        == request.headers["Authorization"].partition("Signature=")[2]
    )
    request = AWSRequest(method, url, headers=headers)
    S3SigV4QueryAuth(theirs, "s3", "eu-central-1", expires=300).add_auth(request)
    when = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    address = presign(ours, method, url, headers, 300, when)
    assert address.partition("X-Amz-Signature=")[2] == request.url.partition("X-Amz-Signature=")[2]
