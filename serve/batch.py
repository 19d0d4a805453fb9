"""Many events in one call, one after the other in the state, a few at a time: one run of the model, one write.

Between the parts others get their turn (`crowd.py`). A part is recorded whole or not at all, so a batch that ends early
(503) is sent again as it is: what was recorded is answered from the log.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from serve import together
from serve.answers import CODES, Refusal
from serve.service import Question, Service

DECODED = 100  # events that are read and checked before others get a turn


async def scored(
    service: Service, events: Sequence[msgspec.Struct], request_id: str, turn: Callable[[], Awaitable[None]]
) -> dict[str, Any]:
    """A result for each event in its order: its decision, or the error where another event was answered by its id.

    `turn` returns when it is the next part's turn. Raises `Refusal` 422 with all faults where an event cannot be right;
    then none is scored.
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
                answers[place] = await asyncio.to_thread(_before, service, part[place])
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


def _part(service: Service, part: list[Question]) -> list[dict[str, Any] | None]:
    """The answers of a part; None of an event that is not new: the log has to be asked."""
    answers: list[dict[str, Any] | None] = [_recent(service, question) for question in part]
    unknown = [place for place, answer in enumerate(answers) if answer is None]
    for place, answer in zip(unknown, together.scored(service, [part[place] for place in unknown]), strict=True):
        answers[place] = answer
    return answers


def _recent(service: Service, question: Question) -> dict[str, Any] | None:
    known = service.answered.recent(question.identity)
    return None if known is None else _or_error(lambda: known.to(question.text))


def _before(service: Service, question: Question) -> dict[str, Any]:
    return _or_error(lambda: service.scored_before(question))


def _or_error(answer: Any) -> dict[str, Any]:
    """An answer, or the error that stands in its place: another event was answered under this id."""
    try:
        return dict(answer())
    except Refusal as error:
        if error.status != 409:
            raise
        return {"error": {"code": CODES[error.status], "message": error.message}}
