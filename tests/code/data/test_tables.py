"""An append is applied once, however often it is tried."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.errors import EnvironmentFault

ROWS = pa.table({"id": [1, 2], "name": pa.array(["a", "b"], pa.large_string())})


def test_a_repeated_transaction_changes_nothing(store: Store) -> None:
    table = Table(store, "labels/x")
    assert [table.append(ROWS, "ingest", 1), table.append(ROWS, "ingest", 1)] == [True, False]
    assert table.read().num_rows == 2


def test_other_transactions_add_their_rows(store: Store) -> None:
    table = Table(store, "labels/x")
    applied = [table.append(ROWS, "ingest", 1), table.append(ROWS, "ingest", 2), table.append(ROWS, "other", 1)]
    assert applied == [True, True, True]
    assert table.read(["id"], pc.field("id") == 2).num_rows == 3


def test_large_strings_fit_a_table_of_strings(store: Store) -> None:
    table = Table(store, "labels/x")
    table.append(ROWS, "large", 1)
    table.append(ROWS.cast(pa.schema([("id", pa.int64()), ("name", pa.string())])), "plain", 1)
    assert table.read().schema.field("name").type == pa.string()


def test_reading_before_the_first_append_says_what_to_do(store: Store) -> None:
    table = Table(store, "labels/none")
    assert not table.exists()
    with pytest.raises(EnvironmentFault, match="does not exist yet"):
        table.read()
