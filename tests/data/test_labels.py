"""The ledger answers what was known at a time, and a repeat changes nothing."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from workbench.data import labels
from workbench.data.store import Store

DAY = dt.timedelta(days=1)
START = dt.datetime(2018, 4, 1, tzinfo=dt.UTC)


def rows(*said: tuple[int, int, int], recorded_day: int = 0, channel: str = "source") -> pa.Table:
    """Ledger rows from (id, label, day on which it became known)."""
    return labels.rows(
        "transaction_id",
        pa.array([one[0] for one in said], pa.int64()),
        pa.array([one[1] for one in said], pa.int64()),
        pa.array([START] * len(said)),
        pa.array([START + one[2] * DAY for one in said]),
        source="test",
        channel=channel,
        recorded_at=START + recorded_day * DAY,
    )


def known(store: Store, day: float | None = None) -> dict[int, int]:
    at = None if day is None else START + day * DAY
    newest = labels.newest(labels.read(store, "k", at), "transaction_id")
    return dict(zip(newest["transaction_id"].to_pylist(), newest["label"].to_pylist(), strict=True))


def test_a_label_is_not_known_before_its_known_time(store: Store) -> None:
    labels.ledger(store, "k").append(rows((1, 1, 7), (2, 0, 8)), "ingest", 1)
    assert known(store, 6.999) == {}
    assert known(store, 7) == {1: 1}
    assert known(store, 8) == known(store) == {1: 1, 2: 0}


def test_a_correction_counts_from_the_time_at_which_it_is_known(store: Store) -> None:
    labels.ledger(store, "k").append(rows((1, 1, 7)), "ingest", 1)
    labels.ledger(store, "k").append(rows((1, 0, 20), recorded_day=1, channel="feedback"), "feedback", 1)
    assert known(store, 19) == {1: 1}
    assert known(store, 20) == {1: 0}


def test_of_two_rows_known_at_once_the_later_recorded_counts(store: Store) -> None:
    labels.ledger(store, "k").append(rows((1, 0, 7), recorded_day=9), "b", 1)
    labels.ledger(store, "k").append(rows((1, 1, 7), recorded_day=8), "a", 1)
    assert known(store) == {1: 0}


def test_an_older_known_time_that_is_recorded_later_does_not_win(store: Store) -> None:
    labels.ledger(store, "k").append(rows((1, 1, 9), recorded_day=1), "a", 1)
    labels.ledger(store, "k").append(rows((1, 0, 7), recorded_day=30), "b", 1)
    assert known(store) == {1: 1}


def test_seeding_twice_leaves_every_label_once(store: Store) -> None:
    ledger = labels.ledger(store, "k")
    assert [ledger.append(rows((1, 1, 7), (2, 0, 7)), "ingest-k", 1) for _ in range(3)] == [True, False, False]
    assert labels.read(store, "k").num_rows == 2


def test_rows_of_one_channel_can_be_read_alone(store: Store) -> None:
    labels.ledger(store, "k").append(rows((1, 1, 7)), "a", 1)
    labels.ledger(store, "k").append(rows((2, 1, 7), channel="feedback"), "b", 1)
    assert labels.read(store, "k", channel="feedback")["transaction_id"].to_pylist() == [2]


def test_the_columns_have_the_types_of_the_ledger() -> None:
    found = {field.name: str(field.type) for field in rows((1, 1, 7)).schema}
    time = "timestamp[us, tz=UTC]"
    assert found == {
        "transaction_id": "int64", "label": "int8", "scenario": "string", "source": "string", "channel": "string",
        "event_time": time, "known_time": time, "recorded_at": time,
    }  # fmt: skip


def test_newest_equals_a_plain_loop_on_random_histories() -> None:
    rng = np.random.default_rng(0)
    said = [(int(i), int(v), int(d)) for i, v, d in zip(*rng.integers(0, [[40], [2], [9]], (3, 400)), strict=True)]
    history = pa.concat_tables([rows(one, recorded_day=day) for day, one in enumerate(said)])
    expected: dict[int, tuple[int, int, int]] = {}
    for day, (name, label, known_day) in enumerate(said):
        expected[name] = max(expected.get(name, (-1, -1, -1)), (known_day, day, label))
    newest = labels.newest(history, "transaction_id")
    found = dict(zip(newest["transaction_id"].to_pylist(), newest["label"].to_pylist(), strict=True))
    assert found == {name: label for name, (*_, label) in expected.items()}


@pytest.mark.parametrize("count", [0, 1])
def test_newest_of_hardly_any_rows(count: int) -> None:
    assert labels.newest(rows((1, 1, 7)).slice(0, count), "transaction_id").num_rows == count
