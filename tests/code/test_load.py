"""The load tool sends what is due when it is due, and what had to wait for a stall is in its figures."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp.web
import numpy as np
import pytest

from benchmarks import load, load_picture
from workbench.errors import InputError

STALL_S = 0.3


@pytest.fixture
async def stalling() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers nothing while it looks at its first request, and then all at once; every third is a 503."""
    got: list[bytes] = []
    open_again = asyncio.Event()

    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        got.append(await request.read())
        if len(got) == 1:
            await asyncio.sleep(STALL_S)
            open_again.set()
        await open_again.wait()
        return aiohttp.web.Response(status=503 if request.headers["authorization"] != "Bearer k" else 200)

    app = aiohttp.web.Application()
    app.router.add_post("/score", answer)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    yield f"http://127.0.0.1:{address[1]}/score", got
    await runner.cleanup()


async def test_what_waited_for_a_stall_counts_from_when_it_was_due_even_on_one_connection(
    stalling: tuple[str, list[bytes]],
) -> None:
    url, got = stalling
    due = load.due_times(100, 0.2, "even")
    seen = await load.replayed(url, "k", [b"a", b"b", b"c"], due, connections=1)
    assert got == [b"abc"[n % 3 : n % 3 + 1] for n in range(20)]
    assert seen.counts == {200: 20}
    assert (seen.done_N >= STALL_S * 0.99).all(), "none was answered in the stall"
    assert (seen.latency_ms >= (STALL_S * 0.99 - due) * 1000).all(), "each has its part of it"
    assert (seen.sent_N >= due).all()


async def test_a_request_without_an_answer_is_counted_and_ends_nothing() -> None:
    seen = await load.replayed("http://127.0.0.1:9/score", "k", [b"a"], load.due_times(1000, 0.005, "even"))
    assert seen.counts == {0: 5}


def test_due_times_are_even_or_those_of_independent_customers() -> None:
    assert load.due_times(4, 1, "even").tolist() == [0, 0.25, 0.5, 0.75]
    gaps = np.diff(load.due_times(200, 100, "poisson"))
    assert (gaps > 0).all()
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05), "as of an exponential distribution"
    assert load.due_times(200, 1, "poisson").tolist() == load.due_times(200, 1, "poisson").tolist()
    with pytest.raises(InputError, match="Raise one"):
        load.due_times(0.1, 1, "even")


def seen(count: int = 500) -> load.Seen:
    due = load.due_times(100, count / 100, "even")
    took = np.linspace(0.001, 0.02, count)
    status = np.where(np.arange(count) % 10 == 9, 503, 200)
    return load.Seen(due, due + 0.0005, due + took, status)


def test_figures_and_rows_are_those_of_the_latencies_since_due() -> None:
    p50, p99, answered = load.rows(100, seen())
    assert (p50.ours, p50.peer) == (pytest.approx(10.5, rel=0.01), 5.0)
    assert (p99.ours, p99.peer) == (pytest.approx(19.81, rel=0.01), 15.0)
    assert (answered.ours, answered.peer) == (450, 500)
    assert "p99 19.81" in load.told(seen())
    assert "{200: 450, 503: 50}" in load.told(seen())


@pytest.mark.parametrize("count", [1, 2, 500])
def test_the_picture_has_both_panels_and_every_status(count: int) -> None:
    drawn = load_picture.svg(seen(count)).decode()
    for text in ("answered within", "over time, by status", "since it was due", *(["any other"] if count > 9 else [])):
        assert text in drawn
