"""The HTTP endpoint: it finds the route, checks the key, parses, asks the service and answers."""

import asyncio
import contextlib
import inspect
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from serve import admin, answers, batch, crowd, decisions, later, live, metrics, openapi, schemas
from serve.access import Access
from serve.answers import Refusal
from serve.crowd import Crowd
from serve.entrance import CAME, Entrance
from serve.explain import Explaining
from serve.metrics import Metrics
from serve.principals import Asked
from serve.reads import Reads
from serve.service import Service
from serve.settings import Settings
from serve.together import Together
from workbench.errors import StateUnavailable
from workbench.governance.keys import proof

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
DECISION = "/v1/decisions/{id}"
AGAIN = "x-score-again"  # "true": an event that was answered is scored once more, as a replay of the past asks
LOOKS = ("/healthz", "/readyz", "/metrics")  # how it is, must be told in a crowd above all
JSON = answers.JSON.encode()
LENGTH = re.compile(rb"[0-9]{1,15}")
log = logging.getLogger("ray.serve")


class Call(NamedTuple):
    """A request that may be answered."""

    request_id: str
    headers: dict[bytes, bytes]
    body: bytes
    name: str  # what the path has in the place of `{id}`
    asked: Asked


class Endpoint:
    """A replica: one service, its routes and their checks."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.access = Access(settings)
        self.crowd = Crowd(settings.max_wait_s, settings.at_once)
        self._under_way = 0  # batches, explanations, and calls that tell labels or corrections
        self.service = Service(settings)
        self.metrics = Metrics(self.service, uuid.uuid4().hex[:8], lambda: self.crowd.outside)
        self.explaining = Explaining(self.service)
        self.together = Together(self.service)
        self.reads = Reads(settings.slow_at_once, self._too_many)
        self.telling = later.OneByOne(self._part)
        self.service.on_decision = self.metrics.decided
        event = schemas.event_type(settings.data)
        self._event = msgspec.json.Decoder(event)
        self._events = msgspec.json.Decoder(schemas.batch_type(event))
        self._labels = msgspec.json.Decoder(schemas.feedback_type(settings.data))
        self._corrections = msgspec.json.Decoder(schemas.corrections_type(settings.data))
        self._release = msgspec.json.Decoder(admin.Release)
        self._openapi = openapi.document(settings.application, settings.data)
        self._routes = {
            "/v1/score": ("POST", self._score),
            "/v1/score:batch": ("POST", self._batch),
            "/v1/explain": ("POST", self._explain),
            "/v1/feedback": ("POST", self._feedback),
            "/v1/corrections": ("POST", self._correct),
            "/v1/admin/releases": ("POST", self._released),
            "/v1/models": ("GET", self._models),
            DECISION: ("GET", self._decision),
            "/metrics": ("GET", self._metrics),
            "/healthz": ("GET", self._health),
            "/readyz": ("GET", self._ready),
            "/openapi.json": ("GET", self._describe),
        }
        Entrance.behind = self

    async def __call__(self, request: Request) -> Response:
        """The answer to any request; every fault has the one shape of errors. It is counted, and logged if wanted."""
        headers, scope = _headers(request.scope), request.scope
        request_id = _request_id(headers)
        route, name = self._route(scope["path"].removeprefix(scope.get("root_path", "")))
        with self.metrics.timed(request.method, route, request_id, scope.get(CAME)) as answered:
            response = await self._response(request, headers, route, name, request_id)
            answered.status = response.status_code
        return response

    async def _response(
        self, request: Request, headers: dict[bytes, bytes], route: str, name: str, request_id: str
    ) -> Response:
        asked = Asked(request_id)
        try:
            said = await self._answer(request, headers, route, name, asked)
            return said if isinstance(said, Response) else answers.answer(said, request_id)
        except Refusal as error:
            refused = error.with_traceback(None)  # which leads back to here: a cycle
        except StateUnavailable as error:
            log.error("request %s: %s", request_id, error)
            refused = Refusal(503, "The feature state cannot be used now; send it again.", retry_after="5")
        except Exception as error:  # noqa: BLE001 - nothing of ours may leave as another shape, or with its details
            log.error("request %s failed: %s", request_id, answers.traced(error))
            refused = Refusal(500, "The request failed here; it was not your fault.")
        self.access.refusals.note(asked, refused)
        return answers.refusal(refused, request_id)

    async def turned_away(self, scope: Scope) -> Response:
        """The answer to a request that would have to wait for too long, when it is its turn to be refused."""
        asked = Asked(_request_id(_headers(scope)))
        route, _ = self._route("/v1/" + scope["path"].rpartition("/v1/")[2])  # Serve has not said its prefix yet
        with self.metrics.timed(scope["method"], route, asked.request_id) as answered:
            await self.crowd.turn(crowd.REFUSAL)
            answered.status = 503
        if self._routes.get(route, ("",))[0] == scope["method"]:
            asked.route = f"{scope['method']} {route}"
        refused = self._too_many()
        self.access.refusals.note(asked, refused)
        return answers.refusal(refused, asked.request_id)

    def _too_many(self) -> Refusal:
        again = f"{self.settings.retry_after_s:g}"
        return Refusal(503, "Too many requests at once; send it again.", retry_after=again)

    def _route(self, path: str) -> tuple[str, str]:
        """The route of a path, as it is described, and what stands in the place of `{id}`."""
        if path in self._routes:
            return path, ""
        before, _, name = path.rpartition("/")
        template = f"{before}/{{id}}"
        return (template, name) if name and template in self._routes else ("", "")

    async def _answer(self, request: Request, headers: dict[bytes, bytes], route: str, name: str, asked: Asked) -> Any:
        method, handler = self._routes.get(route, (None, None))
        if request.method == method:
            asked.route = f"{method} {route}"
        if self.crowd.full and route not in LOOKS and CAME not in request.scope:
            raise self._too_many()
        await self.crowd.turn(crowd.LOOK if route in LOOKS else crowd.ANSWER)
        if handler is None:
            raise Refusal(404, "There is no such route; see /openapi.json.")
        if request.method != method:
            raise Refusal(405, f"Use {method}.", allow=str(method))
        self.access.admit(asked, headers.get(b"authorization", b"").decode("latin-1"))
        body = b"" if method == "GET" else await self._body(request, headers, self._limit(route))
        said = handler(Call(asked.request_id, headers, body, name, asked))
        return await said if inspect.isawaitable(said) else said

    def _limit(self, route: str) -> int:
        return self.settings.max_batch_body_bytes if route.endswith(":batch") else self.settings.max_body_bytes

    async def _body(self, request: Request, headers: dict[bytes, bytes], limit: int) -> bytes:
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != JSON:
            raise Refusal(415, "Send application/json.")
        length = headers.get(b"content-length", b"0")
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

    async def _score(self, call: Call) -> Any:
        again = call.headers.get(AGAIN.encode(), b"false")
        if again not in (b"true", b"false"):
            raise Refusal(422, f"{AGAIN} is wrong.", [{"field": AGAIN, "rule": "true or false"}])
        question = self.service.asked(_decoded(self._event, call.body), call.request_id)
        alone = again == b"true" or self.metrics.in_progress == 1
        answer = self.service.scored(question, again == b"true") if alone else await self.together.scored(question)
        return await self.reads.one(self.service.scored_before, question) if answer is None else answer

    async def _batch(self, call: Call) -> Any:
        with self._slow():
            events = _decoded(self._events, call.body).events
            self.access.charge(call.asked, len(events) - 1)  # each of them counts
            return await batch.scored(self.service, events, call.request_id, self._part, self.reads.of)

    async def _explain(self, call: Call) -> Any:
        with self._slow():
            asked = self.service.asked(_decoded(self._event, call.body), call.request_id)
            return await self.reads.of(self.explaining.explain, asked)

    def _part(self) -> Awaitable[None]:
        """What returns when it is the turn of the next part of something long."""
        return self.crowd.turn(crowd.PART)

    @contextlib.contextmanager
    def _slow(self) -> Iterator[None]:
        """A request that takes many turns, or a thread; raises `Refusal` where too many are under way."""
        if self._under_way >= self.settings.slow_at_once:
            raise self._too_many()
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _feedback(self, call: Call) -> Any:
        return await self._taken_in(_decoded(self._labels, call.body).labels, later.labels)

    async def _correct(self, call: Call) -> Any:
        return await self._taken_in(_decoded(self._corrections, call.body).corrections, later.corrections)

    async def _taken_in(self, told: list[Any], parts: Callable[[Service, list[Any]], later.Parts]) -> Any:
        with self._slow():
            return later.answer(told, await self.telling.taken_in(parts(self.service, told)))

    def _released(self, call: Call) -> Any:
        wanted = _decoded(self._release, call.body)
        return asyncio.to_thread(admin.released, self.settings, self.access.audit, call.asked, wanted)

    def _models(self, _: Call) -> Any:
        return self.reads.one(live.models, self.service)

    async def _decision(self, call: Call) -> Any:
        found = await self.reads.one(decisions.find, self.service, call.name)
        if found is None:
            raise Refusal(404, "No decision is recorded under this id.")
        return found

    async def _metrics(self, call: Call) -> Any:
        text = await asyncio.to_thread(self.metrics.text)
        return answers.answer(text, call.request_id, kind=metrics.CONTENT_TYPE)

    def _health(self, _: Call) -> Any:
        return {"status": "ok"}

    def _ready(self, call: Call) -> Any:
        ready = {"status": "ready", "application": self.settings.application, "settings": self.settings.identity}
        ready["proof"] = proof(self.access.default_digest, ready["settings"], call.request_id)
        models = self.service.models
        live: dict[str, Any] = {"model_version": models.champion.version, "release_step": models.step}
        live |= {"canary": models.canary and models.canary.version, "restart_needed": self.service.follower.waits}
        with self.service.alone:
            return {**ready, **live, "events_in_state": len(self.service.state)}

    def _describe(self, _: Call) -> Any:
        return self._openapi


def _headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers; of several of one name the first. A look at Starlette's own goes through all of them."""
    return dict(reversed(scope["headers"]))


def _request_id(headers: dict[bytes, bytes]) -> str:
    """The client's own id of a request where it is one, else one of ours."""
    said = headers.get(b"x-request-id", b"").decode("latin-1")
    return said if REQUEST_ID.fullmatch(said) else uuid.uuid4().hex[:20]


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
