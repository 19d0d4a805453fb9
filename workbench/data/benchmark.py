"""The published card-fraud benchmark, generated: any size and seed, and with the published ones row for row the same.

A clean implementation of the process that the Fraud-Detection-Handbook describes (simulated card transactions with
three fraud scenarios). Every customer has random streams of their own, so customers are generated in parallel; the
order of the transactions and the frauds depend on all of them and are one local pass at the end.
"""

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import BenchmarkConfig

if TYPE_CHECKING:
    from ray.data import Dataset

DAY_S = 86_400
LARGE_AMOUNT_MINOR = 22_000  # scenario 1: everything above 220.00 is fraud
TERMINAL_DAYS, TERMINALS_PER_DAY = 28, 2  # scenario 2: compromised terminals
CUSTOMER_DAYS, CUSTOMERS_PER_DAY, AMOUNT_FACTOR = 14, 3, 5  # scenario 3: stolen card details
SEED_STEP = 1_000_003  # distance between the streams of two seeds: more than customers or days ever number

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profiles:
    """Who the customers are (positions on a 100 by 100 square, spending habits) and which terminals each can use."""

    mean_amount: Floats
    transactions_per_day: Floats
    terminals: list[list[int]]


def profiles(size: BenchmarkConfig, ids: Sequence[int]) -> Profiles:
    """The profiles of these customers; the streams are cheap enough to be drawn again wherever they are needed."""
    draws = np.random.RandomState(_seed(size, 0)).random_sample((size.customers, 4))[np.asarray(ids, np.int64)]
    places = np.random.RandomState(_seed(size, 1)).uniform(0, 100, (size.terminals, 2))
    return Profiles(
        5 + 95 * draws[:, 2], 4 * draws[:, 3], [_near(places, xy, size.radius) for xy in 100 * draws[:, :2]]
    )


def customer_transactions(size: BenchmarkConfig, ids: Sequence[int]) -> pa.Table:
    """All transactions of these customers, as drawn: customer_id, second, terminal_id, amount_minor."""
    who = profiles(size, ids)
    nothing = (np.empty(0, np.int64),) * 4
    parts = [nothing] + [
        _transactions(size, customer, mean, per_day, terminals)
        for customer, mean, per_day, terminals in zip(
            ids, who.mean_amount.tolist(), who.transactions_per_day.tolist(), who.terminals, strict=True
        )
    ]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return pa.table(dict(zip(("customer_id", "second", "terminal_id", "amount_minor"), columns, strict=True)))


def generate(size: BenchmarkConfig) -> tuple[pa.Table, pa.Table]:
    """Events and labels of the whole benchmark; needs a running Ray.

    Events: transaction_id, event_time, customer_id, terminal_id, amount_minor. Labels: transaction_id, label, scenario.
    """
    return with_frauds(size, ordered(pa.concat_tables(_blocks(_drawn(size)))))


def ordered(drawn: pa.Table) -> pa.Table:
    """The transactions by time. Rows of one second come in the published order, which is that of an unstable sort.

    NumPy sorts datetime64 by one scalar introsort on every processor (the same order came with AVX-512 and AVX2
    switched off); for int64 it picks a vectorised one where there is AVX2 or AVX-512 and misplaces 119,005 rows of
    the published data, and a stable sort misplaces 118,871.
    """
    drawn = drawn.take(pa.array(np.argsort(drawn["customer_id"].to_numpy(), kind="stable")))  # whoever drew them
    seconds = drawn["second"].to_numpy()
    return drawn.take(pa.array(np.argsort(seconds.astype("datetime64[s]"), kind="quicksort")))


def with_frauds(size: BenchmarkConfig, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Events and labels after the three scenarios; a later scenario takes over the rows of an earlier one."""
    seconds, amount = table["second"].to_numpy(), table["amount_minor"].to_numpy().copy()
    day = seconds // DAY_S
    scenario = np.where(amount > LARGE_AMOUNT_MINOR, 1, 0).astype(np.int8)
    for rows in _compromised_terminals(size, table["terminal_id"].to_numpy(), day):
        scenario[rows] = 2
    for rows in _stolen_cards(size, table["customer_id"].to_numpy(), day):
        scenario[rows] = 3
        amount[rows] *= AMOUNT_FACTOR
    ids = pa.array(np.arange(table.num_rows, dtype=np.int64))
    start = np.datetime64(dt.date.fromisoformat(size.start), "us")
    times = pa.array(start + seconds.astype("timedelta64[s]"), pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    events = pa.table(
        [ids, times, table["customer_id"], table["terminal_id"], pa.array(amount)],
        ["transaction_id", "event_time", "customer_id", "terminal_id", "amount_minor"],
    )
    labels = {"transaction_id": ids, "label": (scenario > 0).astype(np.int8), "scenario": scenario}
    return events, pa.table(labels)


def _drawn(size: BenchmarkConfig) -> "Dataset":
    import ray.data

    def draw(batch: pa.Table) -> pa.Table:
        return customer_transactions(size, batch["id"].to_pylist())

    chunks = max(2, size.customers // 250)
    return ray.data.range(size.customers, override_num_blocks=chunks).map_batches(draw, batch_format="pyarrow")


def _blocks(data: "Dataset") -> list[pa.Table]:
    import ray

    return list(ray.get(data.to_arrow_refs()))


def _transactions(
    size: BenchmarkConfig, customer: int, mean: float, per_day: float, terminals: list[int]
) -> tuple[Ints, Ints, Ints, Ints]:
    """One customer's transactions. Each draw depends on the one before, so this is a loop and cannot be vectors."""
    numbers = np.random.RandomState(_seed(size, customer))
    choice = random.Random(_seed(size, customer)).choice  # noqa: S311 - a simulation, not a secret
    normal, poisson, uniform = numbers.normal, numbers.poisson, numbers.uniform
    seconds: list[int] = []
    places: list[int] = []
    amounts: list[float] = []
    for day in range(size.days):
        for _ in range(poisson(per_day)):
            second = int(normal(DAY_S / 2, 20_000))
            if not 0 < second < DAY_S:
                continue
            amount = normal(mean, mean / 2)
            if amount < 0:
                amount = uniform(0, 2 * mean)
            if terminals:
                seconds.append(day * DAY_S + second)
                places.append(choice(terminals))
                amounts.append(amount)
    cents = np.rint(np.round(amounts, 2) * 100).astype(np.int64)
    return np.full(len(seconds), customer), np.array(seconds, np.int64), np.array(places, np.int64), cents


def _near(places: Floats, xy: Floats, radius: float) -> list[int]:
    return np.flatnonzero(np.sqrt(((places - xy) ** 2).sum(axis=1)) < radius).tolist()


def _compromised_terminals(size: BenchmarkConfig, terminal: Ints, day: Ints) -> Iterator[Ints]:
    rows_of = _rows_by(terminal, size.terminals)
    for start in range(int(day.max(initial=0))):
        for chosen in _sample(size, start, size.terminals, TERMINALS_PER_DAY):
            yield _within(rows_of[chosen], day, start, TERMINAL_DAYS)


def _stolen_cards(size: BenchmarkConfig, customer: Ints, day: Ints) -> Iterator[Ints]:
    rows_of = _rows_by(customer, size.customers)
    for start in range(int(day.max(initial=0))):
        chosen = _sample(size, start, size.customers, CUSTOMERS_PER_DAY)
        rows = np.sort(np.concatenate([_within(rows_of[one], day, start, CUSTOMER_DAYS) for one in chosen]))
        picked = random.Random(_seed(size, start)).sample(rows.tolist(), k=len(rows) // 3)  # noqa: S311 - as above
        yield np.array(picked, np.int64)


def _rows_by(values: Ints, count: int) -> list[Ints]:
    """For each value from 0 to count the rows that have it, in order."""
    order = np.argsort(values, kind="stable")
    return np.split(order, np.searchsorted(values[order], np.arange(1, count)))


def _within(rows: Ints, day: Ints, start: int, days: int) -> Ints:
    return rows[slice(*np.searchsorted(day[rows], (start, start + days)))]


def _sample(size: BenchmarkConfig, day: int, population: int, count: int) -> list[int]:
    drawn = np.random.RandomState(_seed(size, day)).choice(population, min(count, population), replace=False)
    return drawn.tolist()


def _seed(size: BenchmarkConfig, stream: int) -> int:
    return (size.seed * SEED_STEP + stream) % 2**32
