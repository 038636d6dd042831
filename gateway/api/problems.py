"""All errors of the API have the same body: what, detail and hint. Only the registry's routes answer as registries do.

raise ProblemError(404, "no such order", "no command about order A-0 was decided", "check the id: case matters")
answer_in_one_shape(app)
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from events.spelling import meant
from runtime.errors import Fault

ADDRESSES = "/docs lists every address and its parameters"

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
#: The first parts of the registry's addresses.
_REGISTRY = frozenset({"subjects", "schemas", "config", "mode", "compatibility", "contexts"})
REGISTRY_TYPE = "application/vnd.schemaregistry.v1+json"
#: Characters of a value that an error repeats; nobody reads a longer one.
_VALUE_MAX = 80


class Problem(BaseModel):
    """The body of an error."""

    what: str
    detail: str
    hint: str


#: The errors of every address in the OpenAPI document.
PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (400, 404, 406, 422, 503)}


class ProblemError(Fault):
    """A fault that a route raises, with the HTTP status of the answer."""

    def __init__(self, status: int, what: str, detail: str, hint: str) -> None:
        super().__init__(what, detail, hint)
        self.status = status


class RegistryResponse(JSONResponse):
    """JSON with the content type of registries."""

    media_type = REGISTRY_TYPE


def answer(status: int, what: str, detail: str, hint: str) -> JSONResponse:
    """The response of an error."""
    return JSONResponse(Problem(what=what, detail=detail, hint=hint).model_dump(), status_code=status)


def is_registry(path: str) -> bool:
    """Whether an address belongs to the registry."""
    return path.removeprefix("/").partition("/")[0] in _REGISTRY


def _allowed(request: Request) -> list[str]:
    """The methods of the address."""
    routes = request.app.routes
    scopes = {method: {**request.scope, "method": "GET" if method == "HEAD" else method} for method in _METHODS}
    found = [m for m in _METHODS if any(route.matches(scopes[m])[0] is Match.FULL for route in routes)]
    return [*found, "OPTIONS"]


def answer_in_one_shape(app: FastAPI) -> None:
    """Handle errors that routes raise, requests that fit no address, and unexpected exceptions."""

    def say(request: Request, status: int, what: str, detail: str, hint: str) -> JSONResponse:
        if is_registry(request.url.path):
            return RegistryResponse({"error_code": status, "message": f"{what}: {detail}"}, status_code=status)
        return answer(status, what, detail, hint)

    @app.exception_handler(ProblemError)
    async def raised(request: Request, error: ProblemError) -> JSONResponse:
        return say(request, error.status, error.what, error.detail, error.hint)

    @app.exception_handler(HTTPException)
    async def no_such_address(request: Request, error: HTTPException) -> Response:
        asked = f"{request.method} {request.url.path:.200}"
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = ", ".join(_allowed(request))
            if request.method == "OPTIONS":
                return Response(status_code=204, headers={"Allow": methods})
            found = say(request, 405, "method not allowed", asked, f"this address takes {methods}")
            found.headers["Allow"] = methods
            return found
        hint = ADDRESSES
        if error.status_code == HTTPStatus.NOT_FOUND:
            near = meant(request.url.path, [address for address in app.openapi()["paths"] if "{" not in address])
            hint = f"did you mean {near}? {ADDRESSES}" if near else ADDRESSES
        found = say(request, error.status_code, HTTPStatus(error.status_code).phrase.lower(), asked, hint)
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(RequestValidationError)
    async def does_not_fit(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(_misfit(one) for one in error.errors())
        return say(request, 422, "the request is not well formed", wrong, _hint(error.errors()))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The server logs the traceback; the client sees only the type of the exception.
        kind = type(error).__name__
        found = say(
            request,
            500,
            "internal error: our code raised an exception",
            kind,
            "the log of the API worker has the details",
        )
        # The server closes the connection. Without this header the client's next request would be lost.
        found.headers["Connection"] = "close"
        return found


def _misfit(error: dict[str, Any]) -> str:
    value = error["input"]
    found = f", found {value:.{_VALUE_MAX}}" if isinstance(value, str) else ""
    return f"{error['loc'][-1]}: {error['msg'].removeprefix('Value error, ')}{found}"


def _hint(errors: Iterable[dict[str, Any]]) -> str:
    """The word that was probably meant, if an error lists the allowed words."""
    for error in errors:
        words = str(error.get("ctx", {}).get("expected", "")).replace(" or ", ", ").replace("'", "").split(", ")
        if near := meant(str(error["input"]), words):
            return f"did you mean {near}?"
    return ADDRESSES
