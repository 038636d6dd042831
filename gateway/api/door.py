"""Refuses requests that the OpenAPI document does not describe: unreadable addresses, unknown parameters, unknown
formats.

app.add_middleware(Door)                                   # the address itself; HEAD is GET without the body
FastAPI(dependencies=[Depends(understood)])                # parameters and Accept
wanted(request, ("application/json", "text/csv"))          # the format to answer in
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from events.spelling import meant
from gateway.api.problems import ADDRESSES, ProblemError, answer, is_registry

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_QUALITY = re.compile(r"(0(\.\d{0,3})?|1(\.0{0,3})?)", re.ASCII)
#: Content types that registry clients accept; the answer is the same.
_REGISTRY_TYPES = ("application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json")


class Door:
    """Refuses unreadable addresses. Answers HEAD like GET, with the same status and headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        problem = _unreadable(scope.get("raw_path") or b"") or _unreadable(scope["query_string"])
        if problem is None:
            await self._app(scope, receive, send)
        else:
            refusal = answer(400, "the address cannot be read", problem, "write ids in UTF-8, percent-encoded")
            await refusal(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body


def _unreadable(part: bytes) -> str | None:
    """The problem of a path or a query; None if there is none."""
    if bad := _BAD_ESCAPE.search(part):
        found = part[bad.start() : bad.start() + 3].decode("ascii", "replace")
        return f"{found!r} is not a percent-encoding: two hexadecimal digits must follow the %"
    plain = unquote_to_bytes(part)
    if b"\0" in plain:
        return "it contains a NUL character: IDs never contain NUL"
    try:
        plain.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8: {error.reason}"
    return None


def understood(request: Request) -> None:
    """Raise ProblemError if a parameter is unknown or given twice, or if the client accepts none of our formats.

    The registry ignores unknown parameters, because its clients also send those of newer registries.
    """
    if is_registry(request.url.path):
        wanted(request, _REGISTRY_TYPES)
        return
    operation = _operation(request)
    listed = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "query"}
    query = request.scope["query_string"].decode("latin-1")
    given = Counter(name for name, _ in parse_qsl(query, keep_blank_values=True))
    for name, times in given.items():
        if name not in listed:
            near = meant(name, listed)
            takes = f"it takes {', '.join(listed)}" if listed else "it takes none"
            hint = f"did you mean {near}?" if near else ADDRESSES
            raise ProblemError(422, "a parameter is not known", f"{name!r:.200} of {request.url.path}: {takes}", hint)
        if times > 1 and not _takes_several(listed[name]["schema"]):
            detail = f"{name} is given {times} times, so it is unclear which one is meant"
            raise ProblemError(422, "a parameter is given twice", detail, "give it once")
    if offered := operation.get("responses", {}).get("200", {}).get("content"):
        wanted(request, tuple(offered))


def _operation(request: Request) -> dict[str, Any]:
    """The address in the OpenAPI document; empty if it is not listed."""
    app: FastAPI = request.app
    address = getattr(request.scope.get("route"), "path_format", "")
    found: dict[str, Any] = app.openapi()["paths"].get(address.removesuffix(".csv"), {}).get(request.method.lower(), {})
    return found


def _takes_several(schema: dict[str, Any]) -> bool:
    return "array" in {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", ()))}


def wanted(request: Request, offered: Sequence[str]) -> str:
    """The offered content type that the client prefers, the first of equals. Raises ProblemError if it takes none."""
    accept = ", ".join(request.headers.getlist("accept")) or "*/*"
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        kind, *more = (piece.strip() for piece in part.split(";"))
        quality = next((piece[2:] for piece in more if piece[:2].lower() == "q="), "1")
        if not _QUALITY.fullmatch(quality):
            raise ProblemError(400, "the header Accept cannot be read", f"q={quality:.80} in {accept:.200}", ADDRESSES)
        ranges[kind.lower()] = float(quality)

    def liking(offer: str) -> float:
        # The most specific range decides: `text/csv;q=0, */*` means everything except CSV.
        near = (offer, f"{offer.partition('/')[0]}/*", "*/*")
        return next((ranges[one] for one in near if one in ranges), 0.0)

    best = max(offered, key=liking)
    if liking(best) == 0:
        detail = f"Accept is {accept:.200}, and the answer is {' or '.join(offered)}"
        raise ProblemError(406, "no answer in this format", detail, f"send Accept: {offered[0]}, or no Accept")
    return best
