"""The generated benchmark is the published one, row for row, and any other size and seed is repeatable."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from workbench.config import BenchmarkConfig
from workbench.data import benchmark

PUBLISHED = BenchmarkConfig()
SMALL = BenchmarkConfig(customers=200, terminals=300, days=40, radius=12.0)
FIRST_CUSTOMERS = range(20)


def digest_of(*tables: pa.Table) -> str:
    hashed = hashlib.sha256()
    for table in tables:
        for name in table.column_names:
            hashed.update(name.encode() + table[name].combine_chunks().cast(pa.int64()).to_numpy().tobytes())
    return hashed.hexdigest()[:16]


def local(size: BenchmarkConfig) -> tuple[pa.Table, pa.Table]:
    drawn = benchmark.customer_transactions(size, range(size.customers))
    return benchmark.with_frauds(size, benchmark.ordered(drawn))


def published(reference_data: Path) -> pa.Table:
    return pq.read_table(reference_data / "handbook" / "transactions.parquet")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_every_published_row_is_generated_exactly(reference_data: Path) -> None:
    events, labels = benchmark.generate(PUBLISHED)
    theirs = published(reference_data)
    assert events.num_rows == labels.num_rows == theirs.num_rows == 1_754_155
    cents = np.rint(theirs["TX_AMOUNT"].to_numpy() * 100).astype(np.int64)
    pairs = {
        "id": (events["transaction_id"], theirs["TRANSACTION_ID"].to_numpy()),
        "time": (events["event_time"].cast(pa.timestamp("s", "UTC")), theirs["TX_DATETIME"].cast(pa.timestamp("s"))),
        "customer": (events["customer_id"], theirs["CUSTOMER_ID"].to_numpy()),
        "terminal": (events["terminal_id"], theirs["TERMINAL_ID"].to_numpy()),
        "cents": (events["amount_minor"], cents),
        "label": (labels["label"], theirs["TX_FRAUD"].to_numpy()),
        "scenario": (labels["scenario"], theirs["TX_FRAUD_SCENARIO"].to_numpy()),
    }
    wrong = {name: int((ours.to_numpy() != np.asarray(published)).sum()) for name, (ours, published) in pairs.items()}
    assert wrong == dict.fromkeys(pairs, 0)
    assert labels["transaction_id"].equals(events["transaction_id"])


def test_the_first_customers_have_their_published_transactions(reference_data: Path) -> None:
    ours = benchmark.customer_transactions(PUBLISHED, FIRST_CUSTOMERS)
    theirs = published(reference_data).filter(pc.field("CUSTOMER_ID") < len(FIRST_CUSTOMERS))
    order = np.lexsort((ours["second"], ours["customer_id"]))
    theirs = theirs.take(np.lexsort((theirs["TX_TIME_SECONDS"], theirs["CUSTOMER_ID"])))
    assert (ours["second"].to_numpy()[order] == theirs["TX_TIME_SECONDS"].to_numpy()).all()
    assert (ours["terminal_id"].to_numpy()[order] == theirs["TERMINAL_ID"].to_numpy()).all()
    drawn, cents = ours["amount_minor"].to_numpy()[order], np.rint(theirs["TX_AMOUNT"].to_numpy() * 100)
    honest = theirs["TX_FRAUD_SCENARIO"].to_numpy() != 3  # scenario 3 multiplies what was drawn
    assert honest.sum() == 6100
    assert (drawn[honest] == cents[honest]).all()


def test_the_drawn_transactions_of_the_first_customers_never_change() -> None:
    assert digest_of(benchmark.customer_transactions(PUBLISHED, FIRST_CUSTOMERS)) == "c9a0e58d9f7ac8e0"


def test_a_small_benchmark_with_its_frauds_never_changes() -> None:
    assert digest_of(*local(SMALL)) == "9c4a7fa507515e23"


@pytest.mark.usefixtures("ray_session")
def test_generation_in_parallel_equals_generation_in_one_process() -> None:
    assert digest_of(*benchmark.generate(SMALL)) == digest_of(*local(SMALL))


def test_the_order_does_not_depend_on_who_drew_first() -> None:
    parts = [benchmark.customer_transactions(SMALL, ids) for ids in (range(100), range(100, 200))]
    forward, backward = (pa.concat_tables(tables) for tables in (parts, parts[::-1]))
    assert benchmark.ordered(forward).equals(benchmark.ordered(backward))


@pytest.mark.parametrize("seed", [1, 2, 12345])
def test_another_seed_is_repeatable_and_gives_other_data(seed: int) -> None:
    size = dataclasses.replace(SMALL, seed=seed)
    assert digest_of(*local(size)) == digest_of(*local(size)) != digest_of(*local(SMALL))


@pytest.mark.parametrize(("key", "value"), [("customers", 150), ("terminals", 100), ("days", 20)])
def test_size_is_as_configured(key: str, value: int) -> None:
    size = dataclasses.replace(SMALL, **{key: value})
    events, _ = local(size)
    assert pc.max(events["customer_id"]).as_py() < size.customers
    assert pc.max(events["terminal_id"]).as_py() < size.terminals
    last = (pc.max(events["event_time"]).as_py() - pc.min(events["event_time"]).as_py()).days
    assert size.days - 2 <= last < size.days


def test_events_are_in_time_order_with_ids_by_rank() -> None:
    events, _ = local(SMALL)
    assert events["transaction_id"].to_pylist() == list(range(events.num_rows))
    assert (np.diff(events["event_time"].cast(pa.int64()).to_numpy()) >= 0).all()
    assert events.schema.field("event_time").type == pa.timestamp("us", "UTC")


def test_a_row_is_fraud_exactly_when_it_has_a_scenario() -> None:
    events, labels = local(SMALL)
    scenario = labels["scenario"].to_numpy()
    assert (labels["label"].to_numpy() == (scenario > 0)).all()
    assert set(scenario.tolist()) == {0, 1, 2, 3}
    assert events["amount_minor"].to_numpy()[scenario == 0].max() <= benchmark.LARGE_AMOUNT_MINOR


def test_customers_out_of_reach_of_every_terminal_pay_nothing() -> None:
    nowhere = dataclasses.replace(SMALL, radius=0.0)
    assert benchmark.customer_transactions(nowhere, range(5)).num_rows == 0
    assert benchmark.customer_transactions(SMALL, []).num_rows == 0
