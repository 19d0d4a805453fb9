"""The HTTP endpoint: it finds the route, checks the key, parses, asks the service and answers."""

import hashlib
import hmac
import logging
import re
import uuid
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from serve import answers, openapi, schemas
from serve.answers import Refusal
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
        self.service = Service(settings)
        self._event = msgspec.json.Decoder(schemas.event_type(settings.data))
        self._labels = msgspec.json.Decoder(schemas.feedback_type(settings.data))
        self._corrections = msgspec.json.Decoder(schemas.corrections_type(settings.data))
        self._openapi = openapi.document(settings.application, settings.data)
        self._routes = {
            "/v1/score": ("POST", self._score),
            "/v1/feedback": ("POST", self._feedback),
            "/v1/corrections": ("POST", self._correct),
            "/healthz": ("GET", self._health),
            "/readyz": ("GET", self._ready),
            "/openapi.json": ("GET", self._describe),
        }

    async def __call__(self, request: Request) -> Response:
        """The answer to any request; every fault has the one shape of errors."""
        said = request.headers.get("x-request-id", "")
        request_id = said if REQUEST_ID.fullmatch(said) else uuid.uuid4().hex[:20]
        try:
            return answers.answer(await self._answer(request, request_id), request_id)
        except Refusal as error:
            return answers.refusal(error, request_id)
        except StateUnavailable as error:
            log.error("request %s: %s", request_id, error)
            refusal = Refusal(503, "The feature state cannot be used now; send it again.", retry_after="5")
            return answers.refusal(refusal, request_id)
        except Exception as error:  # noqa: BLE001 - nothing of ours may leave as another shape, or with its details
            log.error("request %s failed: %s", request_id, answers.traced(error))
            return answers.refusal(Refusal(500, "The request failed here; it was not your fault."), request_id)

    async def _answer(self, request: Request, request_id: str) -> Any:
        method, handler = self._routes.get(request.scope["path"], (None, None))
        if handler is None:
            raise Refusal(404, "There is no such route; see /openapi.json.")
        if request.method != method:
            raise Refusal(405, f"Use {method}.", allow=str(method))
        if method == "GET":
            return handler(b"", request_id)
        self._check_key(request)
        return handler(await self._body(request), request_id)

    def _check_key(self, request: Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        found = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(found, self.settings.api_key_digest):
            raise Refusal(401, "Send the API key as `Authorization: Bearer wb_...`.", www_authenticate="Bearer")

    async def _body(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != answers.JSON:
            raise Refusal(415, "Send application/json.")
        limit = self.settings.max_body_bytes
        length = request.headers.get("content-length", "0")
        if not LENGTH.fullmatch(length):
            raise Refusal(400, "The content-length is no number of bytes.")
        if int(length) > limit:
            raise Refusal(413, f"The body may have {limit} bytes.")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise Refusal(413, f"The body may have {limit} bytes.")
        return bytes(body)

    def _score(self, body: bytes, request_id: str) -> Any:
        return self.service.score(_decoded(self._event, body), request_id)

    def _feedback(self, body: bytes, _: str) -> Any:
        return self.service.learn(_decoded(self._labels, body).labels)

    def _correct(self, body: bytes, _: str) -> Any:
        return self.service.correct(_decoded(self._corrections, body).corrections)

    def _health(self, *_: Any) -> Any:
        return {"status": "ok"}

    def _ready(self, _: bytes, request_id: str) -> Any:
        ready = {"status": "ready", "application": self.settings.application, "settings": self.settings.identity}
        ready["proof"] = proof(self.settings.api_key_digest, ready["settings"], request_id)
        models = self.service.models
        live = {"model_version": models.champion.version, "release_step": models.step}
        return {**ready, **live, "events_in_state": len(self.service.state)}

    def _describe(self, *_: Any) -> Any:
        return self._openapi


def _decoded(decoder: msgspec.json.Decoder, body: bytes) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise answers.invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal(400, "The body is not JSON.") from None
