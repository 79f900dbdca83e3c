"""What the service answers where a request fails: a status and `{error, code, ...}`, the same form everywhere."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from nimbus_tasks.model.errors import NimbusError, RefusedError, TransientError

_Request = Request[Any, Any, Any]
_Response = Response[dict[str, object]]

#: Who can do something about it: `invalid` is about the request, `server` about us.
Code = Literal["rate_limit", "network", "server", "invalid", "auth", "quota", "unknown"]

CHECKSUM_FORM = "must be a SHA-256: 64 hex digits in lower case"


class ApiError(Exception):
    """Ends a request with an error. more: further fields of the answer."""

    def __init__(self, status: int, code: Code, message: str, **more: object) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more
        self.headers: dict[str, str] = {}


class ErrorResponse(Struct):
    """The body of every failed request."""

    error: str
    code: Code


def invalid(message: str, status: int = 400, **more: object) -> ApiError:
    return ApiError(status, "invalid", message, **more)


def not_found(what: str) -> ApiError:
    return ApiError(404, "invalid", f"There is no such {what}")


def answer_api_error(_: _Request, error: ApiError) -> _Response:
    body = {"error": error.message, "code": error.code, **error.more}
    return Response(body, status_code=error.status, media_type="application/json", headers=error.headers)


def answer_http_error(request: _Request, error: HTTPException) -> _Response:
    """Answer what the framework has raised: unknown paths, wrong methods, bodies that are not as declared."""
    message = error.detail
    if isinstance(error, ValidationException) and error.extra:
        message = "; ".join(_described(request, each) for each in error.extra)
    code: Code = "auth" if error.status_code in (401, 403) else "server" if error.status_code >= 500 else "invalid"
    return answer_api_error(request, ApiError(error.status_code, code, message.rstrip(".")))


def answer_our_error(request: _Request, error: NimbusError) -> _Response:
    """Answer what the database or the blob store has raised. Its details are in the log, not in the answer."""
    request.scope["state"]["cause"] = str(error)
    if isinstance(error, RefusedError):
        return answer_api_error(request, ApiError(507, "quota", "The blob store does not take this file"))
    problem = ApiError(503, "network", "The service cannot reach its database, its blob store or Redis: try again")
    problem.headers = {"retry-after": str(round(error.wait or 5) if isinstance(error, TransientError) else 5)}
    return answer_api_error(request, problem)


def answer_any_error(request: _Request, error: Exception) -> _Response:
    request.scope["state"]["cause"] = f"{type(error).__name__}: {error}"
    return answer_api_error(request, ApiError(500, "server", "Something went wrong in the service: see its log"))


def _described(request: _Request, problem: object) -> str:
    """Return one problem of a request in words. Parameters have the names and values that clients know."""
    if not isinstance(problem, dict):
        return str(problem)
    key, message = problem.get("key"), str(problem.get("message", ""))
    message = message[:1].lower() + message[1:]
    if parameter := request.route_handler.parsed_fn_signature.parameters.get(str(key)):
        key = getattr(parameter.kwarg_definition, "query", None) or key
        if values := _values_of(parameter.annotation):
            message = f"must be one of: {', '.join(values)}"
    if "matching regex" in message:
        message = CHECKSUM_FORM if "{64}" in message else "is malformed"
    return f"{key}: {message}" if key else message


def _values_of(annotation: object) -> list[str]:
    """Return the values that a type names, if it names any."""
    if get_origin(annotation) is Literal:
        return [str(value) for value in get_args(annotation) if value]
    return [value for each in get_args(annotation) for value in _values_of(each)]


#: For the application.
HANDLERS = {
    ApiError: answer_api_error,
    HTTPException: answer_http_error,
    NimbusError: answer_our_error,
    Exception: answer_any_error,
}
