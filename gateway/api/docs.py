"""The API's own description: `/openapi.json`, and `/docs`, a page to read and try it.

The page loads everything from here, so it works without a network; its policy forbids the browser anything else.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse

#: The page has inline scripts and styles; everything else comes from this server.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)

File = Literal["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"]


def docs_router(app: FastAPI) -> APIRouter:
    """The routes; the document does not list them."""
    router = APIRouter(include_in_schema=False)
    folder = Path(str(files("fastapi_swagger.resources")))

    @router.get("/openapi.json")
    def document() -> dict[str, Any]:
        found = app.openapi()
        for operation in (one for address in found["paths"].values() for one in address.values()):
            # The page lists summaries; FastAPI would make them from the names of functions.
            operation["summary"] = operation.get("description", operation["summary"]).partition("\n\n")[0]
        return found

    @router.get("/docs")
    def page() -> HTMLResponse:
        found = get_swagger_ui_html(
            # Relative addresses, so that a proxy may serve this below a path.
            openapi_url="openapi.json",
            title=f"{app.title}: the API",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="docs/favicon-32x32.png",
            # Without this the page calls a validator on another host.
            swagger_ui_parameters={"validatorUrl": None, "displayRequestDuration": True},
        )
        found.headers["Content-Security-Policy"] = _POLICY
        return found

    @router.get("/docs/{name}")
    def file(name: File) -> FileResponse:
        return FileResponse(folder / name)

    return router
