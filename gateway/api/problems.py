"""Every error of the API has one body: what, detail and hint. The registry's routes alone answer as registries do.

raise ProblemError(404, "no such order", "no order 'A-0' was placed", "a fresh order is here within a second")
answer_in_one_shape(app)
"""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from runtime.errors import Fault

_ADDRESSES = "/docs lists every address and what it takes"


class Problem(BaseModel):
    """The body of an error."""

    what: str
    detail: str
    hint: str


class ProblemError(Fault):
    """A fault as a route raises it: the client is answered with this HTTP status."""

    def __init__(self, status: int, what: str, detail: str, hint: str) -> None:
        super().__init__(what, detail, hint)
        self.status = status


def answer(status: int, what: str, detail: str, hint: str) -> JSONResponse:
    """An error as it is sent."""
    return JSONResponse(Problem(what=what, detail=detail, hint=hint).model_dump(), status_code=status)


def answer_in_one_shape(app: FastAPI) -> None:
    """What routes raise, what does not fit an address, and what nobody expected."""

    @app.exception_handler(ProblemError)
    async def raised(_request: Request, error: ProblemError) -> JSONResponse:
        return answer(error.status, error.what, error.detail, error.hint)

    @app.exception_handler(HTTPException)
    async def no_such_address(request: Request, error: HTTPException) -> JSONResponse:
        asked = f"{request.method} {request.url.path}"
        found = answer(error.status_code, HTTPStatus(error.status_code).phrase.lower(), asked, _ADDRESSES)
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(RequestValidationError)
    async def does_not_fit(_request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in error.errors())
        return answer(422, "the request is not well formed", wrong, _ADDRESSES)

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, error: Exception) -> JSONResponse:
        # The server writes the trace to its log; a client is told no more of it than its kind.
        return answer(500, "this is a fault of ours", type(error).__name__, "the worker's log has the whole of it")
