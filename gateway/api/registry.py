"""The contracts as a read-only Confluent schema registry.

    kcat -b BROKER -C -t ledger.orders -s value=avro -r http://127.0.0.1:8085

Served at the root, as such clients expect. The ids are the fixed ones of `schemas/ids.json`, which every record has.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import Response

from gateway.api.problems import RegistryResponse
from gateway.sending.json_reading import BadJsonError, read_json
from schemas.registry import COMPATIBILITY, Subject, Subjects

#: Part of a list; limit -1 means to its end.
Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=-1)]
#: Only deleted ones; nothing is ever deleted.
DeletedOnly = Annotated[bool, Query(alias="deletedOnly")]


_T = TypeVar("_T")


class RegistryError(Exception):
    """A registry's own error: HTTP status, `error_code`, `message`."""

    def __init__(self, status: int, error_code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message


def answer_error(_request: Request, error: Exception) -> Response:
    """The error in the form of registries."""
    assert isinstance(error, RegistryError)
    return RegistryResponse({"error_code": error.error_code, "message": error.message}, status_code=error.status)


def registry_router(subjects: Subjects) -> APIRouter:
    """Routes of the registry's read side."""
    router = APIRouter(tags=["schema registry"], default_response_class=RegistryResponse)

    def with_id(schema_id: int) -> list[Subject]:
        found = subjects.of_id(schema_id)
        if not found:
            raise RegistryError(404, 40403, f"Schema {schema_id} not found")
        return found

    def versions_of(subject: str) -> list[int]:
        try:
            return subjects.versions(subject)
        except KeyError:
            raise RegistryError(404, 40401, f"Subject '{subject}' not found.") from None

    def version_of(subject: str, version: str) -> Subject:
        known = versions_of(subject)
        if version in ("latest", "-1"):
            return subjects.find(subject)
        if not version.isascii() or not version.isdigit() or int(version) < 1:
            raise RegistryError(
                422,
                42202,
                f"The specified version '{version}' is not a valid version id. Allowed values are between "
                '[1, 2^31-1] and the string "latest"',
            )
        if int(version) not in known:
            raise RegistryError(404, 40402, f"Version {version} not found.")
        return subjects.find(subject, int(version))

    def with_schema(subject: str, body: dict[str, Any]) -> Subject | None:
        """The version of the subject with exactly the schema in the body."""
        try:
            wanted = read_json(body["schema"].encode("utf-8", "surrogatepass"))
        except (KeyError, AttributeError, BadJsonError):
            raise RegistryError(422, 42201, 'Invalid schema: the body is {"schema": "…"}') from None
        versions = (subjects.find(subject, version) for version in versions_of(subject))
        return next((found for found in versions if found.contract.schema == wanted), None)

    @router.get("/schemas/types")
    def schema_types() -> list[str]:
        return ["AVRO"]

    @router.get("/schemas/ids/{schema_id}")
    def schema_by_id(
        schema_id: int, *, fetch_max_id: Annotated[bool, Query(alias="fetchMaxId")] = False
    ) -> dict[str, str | int]:
        found = _compact(with_id(schema_id)[0])
        return {"schema": found, "maxId": subjects.max_id()} if fetch_max_id else {"schema": found}

    @router.get("/schemas/ids/{schema_id}/schema")
    def bare_schema_by_id(schema_id: int) -> RegistryResponse:
        return RegistryResponse(with_id(schema_id)[0].contract.schema)

    @router.get("/schemas/ids/{schema_id}/subjects")
    def subjects_of_id(schema_id: int) -> list[str]:
        return [subject.name for subject in with_id(schema_id)]

    @router.get("/schemas/ids/{schema_id}/versions")
    def versions_of_id(schema_id: int) -> list[dict[str, Any]]:
        return [{"subject": subject.name, "version": subject.version} for subject in with_id(schema_id)]

    @router.get("/subjects")
    def subject_names(
        *,
        prefix: Annotated[str, Query(alias="subjectPrefix")] = "",
        offset: Offset = 0,
        limit: Limit = -1,
        deleted_only: DeletedOnly = False,
    ) -> list[str]:
        names = [name for name in subjects.names() if name.startswith(prefix.removeprefix(":*:"))]
        return [] if deleted_only else _cut(names, offset, limit)

    @router.get("/subjects/{subject}/versions")
    def versions(
        subject: str, *, offset: Offset = 0, limit: Limit = -1, deleted_only: DeletedOnly = False
    ) -> list[int]:
        known = versions_of(subject)
        return [] if deleted_only else _cut(known, offset, limit)

    @router.get("/subjects/{subject}/versions/{version}")
    def schema_version(subject: str, version: str) -> dict[str, Any]:
        return _version(version_of(subject, version))

    @router.get("/subjects/{subject}/versions/{version}/schema")
    def bare_schema_version(subject: str, version: str) -> RegistryResponse:
        return RegistryResponse(version_of(subject, version).contract.schema)

    @router.post("/subjects/{subject}")
    def look_up(subject: str, body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """The version of a subject with exactly this schema: a producer finds the id without registering."""
        found = with_schema(subject, body)
        if found is None:
            raise RegistryError(404, 40403, "Schema not found")
        return _version(found)

    @router.post("/subjects/{subject}/versions")
    def register(subject: str, body: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """The id of a known schema. A serializer with default settings sends this with its first record."""
        found = with_schema(subject, body)
        if found is None:
            raise RegistryError(422, 42205, f"Subject {subject} is in read-only mode: contracts come with the product")
        return {"id": found.contract.schema_id}

    _add_config(router, versions_of)
    return router


def _add_config(router: APIRouter, versions_of: Callable[[str], list[int]]) -> None:
    @router.get("/config")
    def compatibility() -> dict[str, str]:
        return {"compatibilityLevel": COMPATIBILITY}

    @router.get("/config/{subject}")
    def compatibility_of(subject: str) -> dict[str, str]:
        versions_of(subject)
        return {"compatibilityLevel": COMPATIBILITY}

    @router.get("/mode")
    def mode() -> dict[str, str]:
        return {"mode": "READONLY"}

    @router.get("/mode/{subject}")
    def mode_of(subject: str) -> dict[str, str]:
        versions_of(subject)
        return {"mode": "READONLY"}


def _cut(found: list[_T], offset: int, limit: int) -> list[_T]:
    return found[offset : None if limit < 0 else offset + limit]


def _version(subject: Subject) -> dict[str, Any]:
    return {
        "subject": subject.name,
        "version": subject.version,
        "id": subject.contract.schema_id,
        "schema": _compact(subject),
    }


def _compact(subject: Subject) -> str:
    return json.dumps(subject.contract.schema, separators=(",", ":"))
