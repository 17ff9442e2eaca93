"""The sandbox over HTTP, as a Starlette application: the three endpoints of the service, and a page for a person.

Imported by `server` alone, because the import is expensive. Decides nothing about uploads: that is `service`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from syncd.sandbox import page
from syncd.sandbox.contract import bad
from syncd.sandbox.form import FormReader
from syncd.sandbox.service import Answer, Service
from syncd.sandbox.switches import Switches, shown

PREFIX: Final = "/serve/api/v1"
JSON_LIMIT: Final = 65_536
"""Bytes of a JSON body."""

HangUp = Callable[[Scope], None]


class LostAnswer(Response):
    """Closes the connection instead of answering."""

    def __init__(self, hang_up: HangUp) -> None:
        super().__init__()
        self._hang_up = hang_up

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- nothing is sent
        """Hang up, and wait until the server has noticed: it would answer with a 500 otherwise."""
        self._hang_up(scope)
        while (await receive())["type"] != "http.disconnect":
            pass


class Endpoints:
    """What each address does."""

    def __init__(self, service: Service, hang_up: HangUp) -> None:
        self._service = service
        self._hang_up = hang_up

    async def upload(self, request: Request) -> Response:
        """POST /upload_img: the body is read to its end in any case, then judged as a whole."""
        rejection = self._service.admit_upload(request.headers.get("authorization"))
        most = 0 if rejection is not None else self._service.switches.batch_cap
        form = FormReader(request.headers.get("content-type", ""), self._service.incoming, most)
        try:
            async for chunk in request.stream():
                if rejection is None:
                    form.write(chunk)
            if rejection is not None:
                return await self._answer(self._service.reject(rejection))
            return await self._answer(await asyncio.to_thread(self._service.upload, form))
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            form.discard()

    async def search(self, request: Request) -> Response:
        """POST /search."""
        rejection = self._service.admit_search(request.headers.get("authorization"))
        body = await read_json(request)
        if rejection is not None:
            return await self._answer(self._service.failure(rejection))
        if body is None:
            return await self._answer(self._service.failure(bad("The body must be JSON of at most 64 KB.")))
        return await self._answer(await asyncio.to_thread(self._service.search, body))

    async def namespaces(self, request: Request) -> Response:
        """GET /list_unique_ids."""
        rejection = self._service.admit_search(request.headers.get("authorization"))
        answer = self._service.namespaces() if rejection is None else self._service.failure(rejection)
        return await self._answer(answer)

    async def page(self, request: Request) -> Response:
        """GET /: the page for a person."""
        asked = request.query_params.get("page", "1")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
        holdings = self._service.holdings()
        text = await asyncio.to_thread(page.render, holdings, number, str(request.base_url))
        return HTMLResponse(text, headers=page.HEADERS)

    async def style(self, _request: Request) -> Response:
        """GET /sandbox/style.css."""
        return Response(page.STYLE, media_type="text/css", headers=page.HEADERS)

    async def image(self, request: Request) -> Response:
        """GET /sandbox/images/ID: the bytes as they came, with the type that their content has, and nothing else."""
        found = self._service.image(request.path_params["image_id"])
        if found is None or not found[1].is_file():
            raise HTTPException(404)
        image, path = found
        headers = {**page.HEADERS, "Content-Security-Policy": "default-src 'none'; sandbox"}
        return FileResponse(path, media_type=image.type.mime, headers=headers)

    async def switches(self, request: Request) -> Response:
        """GET and POST /sandbox/switches: a JSON object of the switches to change. The answer shows them all."""
        if request.method == "POST":
            if not is_from_here(request):
                return JSONResponse({"problems": ["this page does not take orders from other sites"]}, 403)
            body = await read_json(request)
            changed = self._change(body)
            if not isinstance(changed, Switches):
                return JSONResponse({"problems": changed}, 400, headers=page.HEADERS)
        return JSONResponse(shown(self._service.switches), headers=page.HEADERS)

    def _change(self, body: bytes | None) -> Switches | tuple[str, ...]:
        try:
            wanted = json.loads(body or b"")
        except (ValueError, RecursionError):
            wanted = None
        if not isinstance(wanted, dict):
            return ("the body must be a JSON object, sent with Content-Type: application/json",)
        return self._service.change_switches(wanted)

    async def _answer(self, answer: Answer) -> Response:
        await asyncio.sleep(self._service.switches.latency)
        if answer.lost:
            return LostAnswer(self._hang_up)
        if answer.broken:
            return HTMLResponse("<html><h1>503 Service Temporarily Unavailable</h1></html>", 503)
        return JSONResponse(answer.envelope, answer.status)


def make_app(service: Service, hosts: frozenset[str], hang_up: HangUp) -> ASGIApp:
    """Make the application. `hosts` are the only Host headers that it answers (DNS rebinding: FAULTS.md section 7)."""
    does = Endpoints(service, hang_up)
    app = Starlette(
        routes=[
            Route(f"{PREFIX}/upload_img", does.upload, methods=["POST"]),
            Route(f"{PREFIX}/search", does.search, methods=["POST"]),
            Route(f"{PREFIX}/list_unique_ids", does.namespaces, methods=["GET"]),
            Route("/", does.page, methods=["GET"]),
            Route("/sandbox/style.css", does.style, methods=["GET"]),
            Route("/sandbox/images/{image_id}", does.image, methods=["GET"]),
            Route("/sandbox/switches", does.switches, methods=["GET", "POST"]),
        ],
        exception_handlers={404: not_there, 405: not_there},
    )

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        named = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(named) == 1 and named[0] in hosts:
            await app(scope, receive, send)
        else:
            refusal = PlainTextResponse("The sandbox answers only to its own address.\n", 403, headers=page.HEADERS)
            await refusal(scope, receive, send)

    return guarded


def not_there(request: Request, error: Exception) -> Response:
    """Answer for an address or a method that does not exist, as the service does."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    message = f"No static resource {request.url.path.removeprefix(PREFIX)[:200]}."
    return JSONResponse({"code": f"0{status}", "msg": message, "success": False, "failed": True}, status)


def is_from_here(request: Request) -> bool:
    """Tell whether a change was asked for by this page or by no page: browsers name the origin of what they send."""
    origin = request.headers.get("origin")
    same = origin is None or origin == f"http://{request.headers['host']}"
    return same and request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


async def read_json(request: Request) -> bytes | None:
    """Read a body to its end. None when it is not called JSON, or too long."""
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= JSON_LIMIT:
            body += chunk
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return bytes(body) if kind == "application/json" and len(body) <= JSON_LIMIT else None
