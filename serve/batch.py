"""Many events in one call, one after the other in the state, a few at a time: one run of the model, one write.

Between the parts others get their turn (`crowd.py`). A part is recorded whole or not at all, so a batch that ends early
(503) is sent again as it is: what was recorded is answered from the log. An event that fails by itself, in its features
or in its score, is no fault of the others, and would fail again: it has its error in its place.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from serve import together
from serve.answers import CODES, Refusal, traced
from serve.models import NoNumber
from serve.service import Question, Service
from serve.together import Answer
from workbench.errors import InputError, StateUnavailable

DECODED = 100  # events that are read and checked before others get a turn
OF_ALL = (Refusal, StateUnavailable)  # faults that are no event's own: the call is refused
OWN = (InputError, NoNumber)  # and those that are, where the log was asked as well
log = logging.getLogger("ray.serve")
Reading = Callable[..., Awaitable[Any]]


async def scored(
    service: Service,
    events: Sequence[msgspec.Struct],
    request_id: str,
    turn: Callable[[], Awaitable[None]],
    read: Reading = asyncio.to_thread,
) -> dict[str, Any]:
    """A result for each event in its order: its decision, or the error where it has none.

    `turn` returns when it is the next part's turn; `read` asks the log beside the event loop. Raises `Refusal` 422 with
    all faults where an event cannot be right; then none is scored.
    """
    service.check_room()
    questions = await _checked(service, events, request_id, turn)
    results: list[Any] = []
    while questions:
        await turn()
        part, questions = _split(service, questions)
        answers = _part(service, part)
        for place, answer in enumerate(answers):
            if answer is None:
                answers[place] = await read(_before, service, part[place])
        results += answers
    return {"request_id": request_id, "results": results}


async def _checked(
    service: Service, events: Sequence[msgspec.Struct], request_id: str, turn: Callable[[], Awaitable[None]]
) -> list[Question]:
    questions, faults, seen_us = list[Question](), list[dict[str, str]](), 0
    for number, event in enumerate(events):
        questions.append(question := service.question(event, f"{request_id}-{number}"))
        faults += service.ahead(question.values, f"$.events[{number}]", seen_us)
        seen_us = max(seen_us, question.values[service.state.feature_set.event_time])
        if number % DECODED == DECODED - 1:
            await turn()
    service.check(faults)
    return questions


def _split(service: Service, questions: list[Question]) -> tuple[list[Question], list[Question]]:
    """The next part, and the rest: events near the state's clock; one that is not is a part by itself."""
    near = itertools.takewhile(lambda one: service.state.near(one.values), questions[: service.state.together])
    count = max(1, len(list(near)))
    return questions[:count], questions[count:]


def _part(service: Service, part: list[Question]) -> list[Answer | None]:
    """The answers of a part; None of an event that is not new: the log has to be asked."""
    answers: list[Answer | None] = [_recent(service, question) for question in part]
    unknown = [place for place, answer in enumerate(answers) if answer is None]
    found = together.or_faults(service, [part[place] for place in unknown], OF_ALL)
    for place, one in zip(unknown, found, strict=True):
        answers[place] = _failed(part[place], one) if isinstance(one, Exception) else one
    return answers


def _recent(service: Service, question: Question) -> Answer | None:
    known = service.answered.recent(question.identity)
    return None if known is None else _or_conflict(lambda: known.to(question.text))


def _before(service: Service, question: Question) -> Answer:
    try:
        return _or_conflict(lambda: service.scored_before(question))
    except OWN as error:
        return _failed(question, error)


def _or_conflict(answer: Callable[[], Answer]) -> Answer:
    """An answer, or the error that stands in its place: another event was answered under this id."""
    try:
        return dict(answer())
    except Refusal as error:
        if error.status != 409:
            raise
        return _error(409, error.message)


def _failed(question: Question, error: Exception) -> Answer:
    """What stands in the place of an answer that could not be made; why is in the log."""
    log.error("request %s failed: %s", question.request_id, traced(error))
    return _error(500, "This event failed here; it was not your fault.")


def _error(status: int, message: str) -> Answer:
    return {"error": {"code": CODES[status], "message": message}}
