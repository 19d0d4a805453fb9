"""A coroutine gives its result wherever it is asked for."""

import asyncio

import pytest
import uvloop

from workbench import awaited


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def fault() -> int:
    raise ValueError("no answer")


def test_a_coroutine_gives_its_result_by_either_loop() -> None:
    assert awaited.result(answer()) == 42
    assert awaited.result(answer(), uvloop.run) == 42


async def test_it_does_so_where_a_loop_runs_already_as_in_a_notebook() -> None:
    assert awaited.result(answer()) == 42
    assert awaited.result(answer(), uvloop.run) == 42
    with pytest.raises(ValueError, match="no answer"):
        awaited.result(fault())
