"""Coroutines, also where a loop runs already: Jupyter runs every cell by one, and a thread has one at most."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def result(work: Coroutine[Any, Any, T], run: Callable[[Coroutine[Any, Any, T]], T] = asyncio.run) -> T:
    """What the coroutine returns, by `run` (asyncio's, uvloop's); on a thread of its own where a loop runs in this one.

    >>> async def answer() -> int:
    ...     return 42
    >>> result(answer())
    42
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run(work)
    with ThreadPoolExecutor(1, "awaited") as thread:
        return thread.submit(run, work).result()
