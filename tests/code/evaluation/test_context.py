"""What stands beside scored rows is what the events and the ledger say of them."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from workbench.config import ColumnConfig, DataConfig, SplitConfig
from workbench.data import labels, snapshots
from workbench.data.labels import TIME
from workbench.data.store import Artifact, Store
from workbench.evaluation import context
from workbench.evaluation.scored import Scored, joined

START = dt.datetime(2018, 4, 1, tzinfo=dt.UTC)
DAY_US = 86_400_000_000
DATA = DataConfig(
    name="x", id="id", event_time="at", entities=["card"],
    columns={"id": ColumnConfig("integer"), "price": ColumnConfig("number"), "cents": ColumnConfig("money")},
    split=SplitConfig(kind="time", exclude_known="card"),
)  # fmt: skip


def at(*days: float) -> pa.Array:
    return pa.array([START + dt.timedelta(days=one) for one in days], TIME)


@pytest.fixture
def validated(store: Store) -> Artifact:
    """Two files; card 7 is seen first in the first, the rows 3 and 4 are scored."""
    table = pa.table(
        {"id": [1, 2, 3, 4, 5], "at": at(0, 2, 5, 9, 9.5), "card": [7, 8, 7, 8, 9], "cents": [10, 20, 35, None, 50]}
    )
    ids, said = pa.array([3, 3, 4, 1]), pa.array([1, 1, 0, 1])
    told = labels.rows(
        "id", ids, said, at(5, 5, 9, 0), at(6, 7, 9, 0), source="s", channel="source",
        scenario=pa.array(["1", "2", None, "3"]), recorded_at=START,
    )  # fmt: skip
    labels.ledger(store, "raw-1").append(told, "test", 1)
    return snapshots.write(store, "validated", "k", table, parents={"raw": "raw-1"}, config={}, rows_per_file=2)


def scored(card: bool = True) -> Scored:
    time_us_N = at(5, 9).cast(pa.int64()).to_numpy()
    card_N = np.array([7, 8]) if card else None
    return Scored("test", np.array([3, 4]), np.array([1, 0]), time_us_N, card_N, {})


def test_amount_age_and_scenario_are_those_of_the_rows(validated: Artifact) -> None:
    found = context.of(validated, DATA, scored(), "cents")
    assert found.amount_N is not None and found.age_us_N is not None and found.scenario_N is not None
    assert found.amount_N[0] == 35
    assert np.isnan(found.amount_N[1])
    assert found.age_us_N.tolist() == [5 * DAY_US, 7 * DAY_US]
    assert found.scenario_N.tolist() == ["2", ""], "what the ledger said last counts"


def test_a_row_that_two_folds_scored_has_its_amount_in_both(validated: Artifact) -> None:
    found = context.of(validated, DATA, joined([scored(), scored().named("next"), scored()]), "cents")
    assert found.amount_N is not None
    np.testing.assert_array_equal(found.amount_N, [35, np.nan] * 3)


def test_of_several_versions_of_a_fact_the_amount_is_the_last_ones(store: Store) -> None:
    """Of the row 3 in one file, of the row 4 in two."""
    table = pa.table({"id": [3, 4, 3, 4], "at": at(5, 9, 5, 9), "card": [7, 8, 7, 8], "cents": [1, 2, 3, 4]})
    labels.ledger(store, "raw-1").append(
        labels.rows("id", pa.array([3]), pa.array([0]), at(5), at(6), source="s", channel="source", recorded_at=START),
        "test", 1,
    )  # fmt: skip
    for rows_per_file in (3, 2):
        key = f"by-{rows_per_file}"
        parents = {"raw": "raw-1"}
        written = snapshots.write(
            store, "validated", key, table, parents=parents, config={}, rows_per_file=rows_per_file
        )
        found = context.of(written, DATA, scored(), "cents").amount_N
        assert found is not None
        assert found.tolist() == [3, 4]


def test_what_is_not_known_is_none(validated: Artifact) -> None:
    found = context.of(validated, DATA, scored(card=False), None)
    assert (found.amount_N, found.age_us_N) == (None, None)


def test_the_amount_is_the_chosen_column_or_the_first_of_money_and_only_that_counts_minor_units() -> None:
    assert context.amount_column(DATA, None) == "cents"
    assert context.amount_column(DATA, "price") == "price"
    assert [context.is_money(DATA, one) for one in ("cents", "price", None)] == [True, False, False]
