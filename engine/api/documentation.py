"""The contract for people and programs: `/openapi.json`, and `/docs`, which shows it.

The page is Swagger UI, from the files that the package offapi carries. It asks no other host for
anything: a header has the browser refuse that, too.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import orjson
from aiohttp import web

from engine.api.openapi import Section, document
from engine.commands.problem import Problem
from engine.commands.services import Services
from engine.http.dispatcher import OpenRoute
from engine.http.operation import Text, operation

OPENAPI = "/openapi.json"
DOCS = "/docs"

ASKED_EACH_TIME = "no-cache"
KEPT_FOR_EVER = "public, max-age=31536000, immutable"
"""For what has the hash of its content in its name."""

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

STYLE = """
.swagger-ui .response-col_links { display: none; }
.swagger-ui .info { margin: 2rem 0 1rem; }
.swagger-ui .info li { margin: 0.4em 0; max-width: 62rem; }
.swagger-ui .scheme-container { padding: 1rem 0; }
.swagger-ui .responses-inner h4 { margin: 1rem 0 0.5rem; }
.swagger-ui .markdown ul { margin: 0.3em 0; }
"""

START = """\
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    filter: true,
    docExpansion: "list",
    defaultModelRendering: "example",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    persistAuthorization: false,
    validatorUrl: null,
  });
});
"""

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Leal transaction engine</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{style}">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the contract is at <a href="/openapi.json">/openapi.json</a>.
</noscript>
<script src="{bundle}"></script>
<script src="{start}"></script>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What is served at one path, plain and compressed."""

    body: bytes
    compressed: bytes
    content_type: str
    cached: str
    etag: str


class Documentation:
    """The pages by path, made when the first of them is asked for."""

    def __init__(self, sections: Callable[[], tuple[Section, ...]]) -> None:
        """`sections` returns what is documented; it is called when a page is asked for."""
        self._sections = sections
        read = operation(
            "readContract",
            summary="This document",
            answer_example=(Text("application/json", {"openapi": "3.1.0"}, "object"),),
            other_answers={304: None},
        )
        browse = operation(
            "browseContract",
            summary="This document, to be read in a browser",
            answer_example=(Text("text/html", "<!DOCTYPE html>"),),
            other_answers={304: None},
        )
        asset = operation(
            "readAsset",
            summary="A part of the page at /docs",
            answer_example=(Text("text/javascript", "…"), Text("text/css", "…")),
            other_answers={304: None},
            problems=("not_found",),
        )
        self.routes = (
            OpenRoute("GET", OPENAPI, read(self._show)),
            OpenRoute("GET", DOCS, browse(self._show)),
            OpenRoute("GET", DOCS + "/{asset}", asset(self._show)),
        )

    async def _show(self, _services: Services, request: web.BaseRequest) -> web.Response:
        """Answer with the page of the path, or with 304 where the client has it already."""
        pages = await asyncio.to_thread(getattr, self, "pages")
        page = pages.get(request.path)
        if page is None:
            raise Problem("not_found", "No page of the documentation has this path.")
        headers = {
            "Cache-Control": page.cached,
            "ETag": f'"{page.etag}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
        }
        if page.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = page.body
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            body = page.compressed
        headers["Content-Type"] = f"{page.content_type}; charset=utf-8"
        return web.Response(body=body, headers=headers)

    @cached_property
    def pages(self) -> dict[str, Page]:
        """Every page by its path. The first look takes a moment: take it in a thread."""
        folder = _swagger_folder()
        assets = {
            "style": ((folder / "swagger_style.css").read_bytes() + STYLE.encode(), "text/css"),
            "bundle": ((folder / "swagger_bundle.js").read_bytes(), "text/javascript"),
            "start": (START.encode(), "text/javascript"),
        }
        pages = {}
        places = {}
        for name, (body, content_type) in assets.items():
            page = _page(body, content_type, KEPT_FOR_EVER)
            places[name] = f"{DOCS}/{page.etag[:16]}.{content_type.partition('/')[2]}"
            pages[places[name]] = page
        pages[DOCS] = _page(PAGE.format(**places).encode(), "text/html")
        pages[OPENAPI] = _page(orjson.dumps(document(self._sections())), "application/json")
        return pages


def _page(body: bytes, content_type: str, cached: str = ASKED_EACH_TIME) -> Page:
    compressed = gzip.compress(body, mtime=0)
    return Page(body, compressed, content_type, cached, sha256(body).hexdigest())


def _swagger_folder() -> Path:
    """Return where offapi keeps its files; it is not imported, for it would read all of them."""
    found = find_spec("offapi")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "offapi is not installed, which carries Swagger UI", name="offapi"
        )
    return Path(found.origin).parent
