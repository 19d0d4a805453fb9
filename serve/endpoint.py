"""The HTTP endpoint: it finds the route, checks the key, parses, asks the service and answers."""

import asyncio
import inspect
import logging
import re
import uuid
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from serve import admin, answers, openapi, schemas
from serve.access import Access
from serve.answers import Refusal
from serve.principals import Asked
from serve.service import Service, Settings
from workbench.errors import StateUnavailable
from workbench.governance.keys import proof

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
LENGTH = re.compile(r"[0-9]{1,15}")
log = logging.getLogger("ray.serve")


class Endpoint:
    """A replica: one service, its routes and their checks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.access = Access(settings)
        self.service = Service(settings)
        self._event = msgspec.json.Decoder(schemas.event_type(settings.data))
        self._labels = msgspec.json.Decoder(schemas.feedback_type(settings.data))
        self._corrections = msgspec.json.Decoder(schemas.corrections_type(settings.data))
        self._release = msgspec.json.Decoder(admin.Release)
        self._openapi = openapi.document(settings.application, settings.data)
        self._routes = {
            "/v1/score": ("POST", self._score),
            "/v1/feedback": ("POST", self._feedback),
            "/v1/corrections": ("POST", self._correct),
            "/v1/admin/releases": ("POST", self._released),
            "/healthz": ("GET", self._health),
            "/readyz": ("GET", self._ready),
            "/openapi.json": ("GET", self._describe),
        }

    async def __call__(self, request: Request) -> Response:
        """The answer to any request; every fault has the one shape of errors."""
        said = request.headers.get("x-request-id", "")
        request_id = said if REQUEST_ID.fullmatch(said) else uuid.uuid4().hex[:20]
        asked = Asked(request_id)
        try:
            return answers.answer(await self._answer(request, asked), request_id)
        except Refusal as error:
            refused = error
        except StateUnavailable as error:
            log.error("request %s: %s", request_id, error)
            refused = Refusal(503, "The feature state cannot be used now; send it again.", retry_after="5")
        except Exception as error:  # noqa: BLE001 - nothing of ours may leave as another shape, or with its details
            log.error("request %s failed: %s", request_id, answers.traced(error))
            refused = Refusal(500, "The request failed here; it was not your fault.")
        self.access.refusals.note(asked, refused)
        return answers.refusal(refused, request_id)

    async def _answer(self, request: Request, asked: Asked) -> Any:
        path = request.scope["path"]
        method, handler = self._routes.get(path, (None, None))
        if handler is None:
            raise Refusal(404, "There is no such route; see /openapi.json.")
        if request.method != method:
            raise Refusal(405, f"Use {method}.", allow=str(method))
        asked.route = f"{method} {path}"
        self.access.admit(asked, request.headers.get("authorization"))
        said = handler(b"" if method == "GET" else await self._body(request), asked)
        return await said if inspect.isawaitable(said) else said

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != answers.JSON:
            raise Refusal(415, "Send application/json.")
        limit = self.settings.max_body_bytes
        length = request.headers.get("content-length", "0")
        if not LENGTH.fullmatch(length):
            raise Refusal(400, "The content-length is no number of bytes.")
        if int(length) > limit:
            raise Refusal(413, f"The body may have {limit} bytes.")
        try:
            async with asyncio.timeout(self.settings.access.body_timeout_s):
                return await _within(request, limit)
        except TimeoutError:
            raise Refusal(408, "The body came too slowly.", connection="close") from None
        except ClientDisconnect:
            raise Refusal(400, "The body was cut off.") from None

    def _score(self, body: bytes, asked: Asked) -> Any:
        return self.service.score(_decoded(self._event, body), asked.request_id)

    def _released(self, body: bytes, asked: Asked) -> Any:
        wanted = _decoded(self._release, body)
        return asyncio.to_thread(admin.released, self.settings, self.access.audit, asked, wanted)

    def _feedback(self, body: bytes, _: Asked) -> Any:
        return self.service.learn(_decoded(self._labels, body).labels)

    def _correct(self, body: bytes, _: Asked) -> Any:
        return self.service.correct(_decoded(self._corrections, body).corrections)

    def _health(self, *_: Any) -> Any:
        return {"status": "ok"}

    def _ready(self, _: bytes, asked: Asked) -> Any:
        ready = {"status": "ready", "application": self.settings.application, "settings": self.settings.identity}
        ready["proof"] = proof(self.access.default_digest, ready["settings"], asked.request_id)
        models = self.service.models
        live = {"model_version": models.champion.version, "release_step": models.step}
        return {**ready, **live, "events_in_state": len(self.service.state)}

    def _describe(self, *_: Any) -> Any:
        return self._openapi


async def _within(request: Request, limit: int) -> bytes:
    """The whole body; never more of it in memory than its limit and one part."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise Refusal(413, f"The body may have {limit} bytes.")
    return bytes(body)


def _decoded(decoder: msgspec.json.Decoder, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise answers.invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, "The body is not JSON.") from None
