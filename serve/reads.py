"""Reads of the log beside the answering, in threads of their own.

A store that is slow or away keeps the threads that read it. It must not keep those that tell how it is and take acts on
releases, which are the event loop's own (Serve gives it five), nor may those who wait for it fill the replica.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from serve.answers import Refusal

THREADS = 4


class Reads:
    """The threads, and how many reads by single requests wait for them or are under way: `most`, others are refused."""

    def __init__(self, most: int, too_many: Callable[[], Refusal]) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "reads")
        self._most, self._too_many, self._under_way = most, too_many, 0

    async def one(self, read: Callable[..., Any], *asked: Any) -> Any:
        """What a read gives that a single request asks for; raises `Refusal` where too many do."""
        if self._under_way >= self._most:
            raise self._too_many()
        self._under_way += 1
        try:
            return await self.of(read, *asked)
        finally:
            self._under_way -= 1

    async def of(self, read: Callable[..., Any], *asked: Any) -> Any:
        """The same of whoever is counted elsewhere."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, read, *asked)
