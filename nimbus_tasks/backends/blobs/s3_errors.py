"""What an S3 service says went wrong: its codes, and the errors that they mean.

Source: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from nimbus_tasks.model.errors import RefusedError, StoreError, TooMuchError, TransientError

if TYPE_CHECKING:
    from nimbus_tasks.backends.http import Http
    from nimbus_tasks.backends.http.response import Response

#: Bytes of an error that are read: no service sends more.
_LONGEST = 64 * 1024
#: Codes worth a retry, also with a status that is not.
_PASSING = frozenset(
    {
        *("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "ServiceUnavailable"),
        *("InternalError", "OperationAborted", "ConditionalRequestConflict", "NoSuchUpload", "IncompleteBody"),
        *("BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "InvalidPart"),
    }
)
#: Codes about the store as a whole, and what to do.
_FINAL = {
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "ExpiredToken": "AWS_SESSION_TOKEN has expired: get new credentials.",
    "TokenRefreshRequired": "AWS_SESSION_TOKEN has expired: get new credentials.",
    "InvalidToken": "Check AWS_SESSION_TOKEN: does it belong to AWS_ACCESS_KEY_ID?",
    "InvalidAccessKeyId": "Check AWS_ACCESS_KEY_ID: the service does not know it.",
    "SignatureDoesNotMatch": "Check AWS_SECRET_ACCESS_KEY and AWS_REGION.",
    "AuthorizationHeaderMalformed": "Check AWS_REGION.",
    "IllegalLocationConstraintException": "Check AWS_REGION.",
    "PermanentRedirect": "Check AWS_REGION and the endpoint.",
    "NoSuchBucket": "Make the bucket, or correct its name.",
    "InvalidBucketName": "Correct the name of the bucket.",
    "AccessDenied": "Allow the access key to list, read, write and delete in this bucket.",
    "AllAccessDisabled": "Ask the service: it has disabled this bucket.",
    "AccountProblem": "Ask the service: there is a problem with the account.",
    "NotSignedUp": "Ask the service: the account has no S3.",
    "QuotaExceeded": "Make room in the bucket.",
    "XMinioStorageFull": "Make room on the server.",
}


def failure(http: Http, bucket: str, response: Response) -> StoreError:
    """Return the error that an unsuccessful response means."""
    document = _error(response.body)
    code, message = _text(document, "Code"), _text(document, "Message")
    if not code:
        return _without_code(http, bucket, response)
    summary = f"{http.host} answered {response.status} ({http.plain(f'{code}: {message}')})"
    if code == "RequestTimeTooSkewed":
        return StoreError(f"{summary}: this machine's clock{_skew(response)} is wrong.", _FINAL[code])
    if code in _PASSING or response.status in (408, 425, 429) or response.status >= 500:
        return TransientError.after(response.retry_after, f"{summary}.")
    if code == "EntityTooLarge" or response.status == 413:
        return TooMuchError(f"{summary}: too large.")
    if code in _FINAL or 300 <= response.status < 400 or response.status in (401, 403):
        region = http.plain(_text(document, "Region"))
        summary += f": bucket `{bucket}`{f', region {region}' if region else ''}."
        return StoreError(summary, _FINAL.get(code, "Check the endpoint, the credentials and AWS_REGION."))
    return RefusedError(f"{summary}.")


def document(http: Http, response: Response) -> Element:
    """Return the XML of a good answer, without namespaces.

    Raises:
        TransientError: it is not XML, or reports a failure after the status.
    """
    root = _parsed(response.body)
    if root is None:
        raise TransientError(f"{http.host} answered {response.status} with an unexpected response.")
    if root.tag == "Error":
        code, message = _text(root, "Code"), _text(root, "Message")
        raise TransientError(f"{http.host} answered {response.status} ({http.plain(f'{code}: {message}')}).")
    return root


def _without_code(http: Http, bucket: str, response: Response) -> StoreError:
    """Return the error of a response without a document: to HEAD, or of a proxy."""
    if response.status == 404:
        return StoreError(f"{http.host} answered 404: bucket `{bucket}`.", _FINAL["NoSuchBucket"])
    if response.status == 400:  # the response to HEAD after which AWS gives no reason
        return StoreError(f"{http.host} answered 400: bucket `{bucket}`.", "Check the credentials and AWS_REGION.")
    return http.failure(response, hint=_FINAL["AccessDenied"])


def _skew(response: Response) -> str:
    """Return by how much the clocks differ, where the response has the server's time."""
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return ""
    ahead = time.time() - theirs
    minutes = round(abs(ahead) / 60)
    return f" ({minutes:,} minutes {'ahead of' if ahead > 0 else 'behind'} the server's)" if minutes else ""


def _error(body: bytes) -> Element | None:
    root = _parsed(body) if len(body) <= _LONGEST else None
    if root is None or root.tag == "Error":
        return root
    return root.find("Error")  # as some services wrap it


def _parsed(body: bytes) -> Element | None:
    try:
        root: Element = defusedxml.ElementTree.fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, RecursionError):
        return None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root


def _text(element: Element | None, name: str) -> str:
    return (element.findtext(name) or "").strip() if element is not None else ""
