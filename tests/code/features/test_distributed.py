"""The distributed computation finds what brute force finds, at a million rows of late, corrected and deleted facts."""

import numpy as np
import pyarrow as pa
import pytest

from tests.code.features import oracle, pairs
from tests.code.features.samples import columns_of
from workbench.config import FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.data.versions import Versions
from workbench.features import distributed
from workbench.features.definitions import FeatureSet
from workbench.features.labels import PositiveIntervals
from workbench.features.offline import AGGREGATES

VERSIONS = Versions("id", "known_time", "operation", "delete")
ROWS = 1_000_000
DAYS = 30


def with_operations(table: pa.Table) -> pa.Table:
    """The deletions as a data set tells them."""
    said = np.where(table["gone"].to_numpy(zero_copy_only=False), "delete", "say")
    return table.append_column("operation", pa.array(said))


def facts(random: np.random.Generator, rows: int) -> pa.Table:
    """So many rows, versions of three quarters as many events; some repeat an id and its known time and say else.

    Customers and shops have some dozen rows each, and most of a customer's are in one shop.
    """
    events = oracle.random_events(random, rows * 3 // 4 - rows // 100, days=DAYS)
    more = oracle.corrected(random, events, days=DAYS).slice(0, rows - rows // 100)
    again = more.take(random.integers(0, len(more), rows - len(more)))
    amount = pa.array(random.integers(0, 2**24, len(again)))
    again = again.set_column(again.schema.get_field_index("amount"), "amount", amount)
    table = pa.concat_tables([more, again])
    customer = table["customer"].fill_null(0).to_numpy()
    shop = np.where(random.random(rows) < 0.7, customer, random.integers(0, customer.max() + 1, rows))
    named = pa.array(np.char.add("shop ", shop.astype(str)))
    return table.set_column(table.schema.get_field_index("shop"), "shop", named)


def features(*sorts: tuple[str, list[str], bool, str, str]) -> FeatureSet:
    """Every kind that looks back, per (name, entity, current row, delay, window)."""
    views = [
        ViewConfig(name, entity, [window], delay, current, [
            FeatureConfig(**{**vars(one), "name": f"{name}_{one.name}"}) for one in oracle.definitions()
        ])
        for name, entity, current, delay, window in sorts
    ]  # fmt: skip
    return FeatureSet.of(FeaturesConfig(views=views), oracle.DATA)


def distributed_numbers(
    store: Store, names: FeatureSet, table: pa.Table, said: pa.Table, rows_per_file: int
) -> pa.Table:
    """The product's own numbers, ordered by id, from a snapshot of the versions in their order."""
    source = snapshots.write(
        store, "validated", "facts", with_operations(table), parents={}, config={}, rows_per_file=rows_per_file
    )
    kept = ["id", *(distributed.PREFIX + name for name in names.names)]
    stage, positives = store.stage("features", "facts"), PositiveIntervals.of(said, "id")
    chain = distributed.chain(source, names, positives, {}, lambda block: block.select(kept), VERSIONS)
    done = stage.commit({}, {}, {}, chain.write(stage))
    return snapshots.read(done).sort_by("id")


def wrong(names: FeatureSet, found: pa.Table, ids: np.ndarray, expected: dict[str, np.ndarray]) -> dict[str, int]:
    """How many numbers of each feature differ."""
    order = np.argsort(ids)
    assert np.array_equal(found["id"].to_numpy(), ids[order]), "every event once, and no other"
    differs = {n: found[distributed.PREFIX + n].to_numpy() != expected[n][order] for n in names.names}
    return {name: int(some.sum()) for name, some in differs.items() if some.any()}


@pytest.mark.parametrize("seed", range(20))
def test_all_pairs_at_once_are_one_row_against_all_others(seed: int) -> None:
    random = np.random.default_rng(seed)
    table, names = facts(random, 120), oracle.feature_set()
    said = oracle.random_labels(random, table)
    ids, found = pairs.compute(names, table, said)
    listed = {int(one): {name: float(values[at]) for name, values in found.items()} for at, one in enumerate(ids)}
    assert listed == oracle.compute(names, table, said)


@pytest.mark.parametrize("entity", ["customer", "shop"])
@pytest.mark.usefixtures("ray_session")
def test_a_sequence_shows_what_the_passes_of_all_entities_have_computed(store: Store, entity: str) -> None:
    random, names = np.random.default_rng(1), oracle.with_sequence([entity], of=["now_count_36h", "late_risk_36h"])
    table = oracle.random_events(random, 3000, days=60, shops=40)
    said = oracle.random_labels(random, table)
    source = snapshots.write(store, "validated", "facts", table, parents={}, config={}, rows_per_file=500)
    stage, kept = store.stage("features", "facts"), ["id", *(distributed.PREFIX + name for name in names.names)]
    chain = distributed.chain(source, names, PositiveIntervals.of(said, "id"), {}, lambda rows: rows.select(kept))
    found = snapshots.read(stage.commit({}, {}, {}, chain.write(stage))).sort_by("id")
    assert wrong(names, found, table["id"].to_numpy(), columns_of(names, table, said)) == {}
    assert len(np.unique(found[distributed.PREFIX + "elapsed_3_back"].to_numpy())) > 5, "there is something to compare"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_a_million_rows_of_ties_late_repeated_corrected_and_deleted_facts(store: Store) -> None:
    random = np.random.default_rng(0)
    names = features(
        ("now", ["customer"], True, "0d", "5d"),
        ("late", ["shop"], False, "2d", "36h"),
        ("pair", ["customer", "shop"], False, "0d", "9d"),
    )
    assert {one.kind for one in names.features} == set(AGGREGATES)
    table = facts(random, ROWS)
    said = oracle.random_labels(random, table)
    found = distributed_numbers(store, names, table, said, ROWS // 10)
    ids, expected = pairs.compute(names, pairs.begun(table), said)
    assert wrong(names, found, ids, expected) == {}
    versions = VERSIONS.counts(with_operations(table))
    assert versions["events"] == len(found)
    assert min(versions.values()) > ROWS // 50
    assert sum(versions.values()) == ROWS
