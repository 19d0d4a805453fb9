"""A snapshot beyond `driver_rows` is audited on samples, and what the whole table shows they show too."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.config import ColumnConfig, DataConfig, LabelConfig, LeakcheckConfig, SplitConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.leakage import later
from workbench.leakage.audit import audit
from workbench.leakage.findings import Finding
from workbench.leakage.snapshot import Snapshot
from workbench.leakage.table import Audited

ROWS, DAY_US = 12_000, 86_400_000_000


def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame({
        "id": np.arange(ROWS), "at": np.arange(ROWS) * 7_000_000, "card": random.integers(0, 900, ROWS).astype(str),
        "label": random.random(ROWS) < 0.2, "amount": random.gamma(2, 40, ROWS), "score": random.normal(size=ROWS),
        "hour": random.integers(0, 24, ROWS) * 1.0,
    })  # fmt: skip


def snapshot(store: Store, rows: pd.DataFrame, limit: int, kind: str = "time", **check: object) -> Snapshot:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    for index, name, type_ in ((1, "at", pa.timestamp("us", "UTC")), (3, "label", pa.int8())):
        table = table.set_column(index, name, table[name].cast(type_))
    artifact = snapshots.write(store, "features", "f1", table, parents={}, config={}, rows_per_file=2500)
    columns = {"id": ColumnConfig("integer"), "at": ColumnConfig("timestamp"), "card": ColumnConfig("string")}
    data = DataConfig(
        name="t", id="id", event_time="at", entities=["card"], columns=columns, label=LabelConfig(delay_days=0),
        split=SplitConfig(kind=kind),
    )  # fmt: skip
    names = [name for name in rows.columns if name not in ("id", "at", "card", "label", "part")]
    return Snapshot(artifact, data, names, LeakcheckConfig(driver_rows=limit, **check))  # type: ignore[arg-type]


def sampled(store: Store, rows: pd.DataFrame, **keys: str) -> tuple[Audited, list[Finding]]:
    table, count, positives = snapshot(store, rows, 3000, **keys).audited()
    assert (count, positives) == (len(rows), int(rows["label"].sum())), "all rows are counted"
    assert all(len(one.label_N) <= 3000 for one in (table, table.kept["card"])), "but few are held"
    return table, [one for one in audit(table, 0.01, 200_000) if one.leak]


def test_what_fits_is_held_whole(store: Store) -> None:
    table, count, _ = snapshot(store, frame(), ROWS).audited()
    assert (len(table.label_N), count, table.kept) == (ROWS, ROWS, {})
    assert np.array_equal(table.columns[0].value_N, frame()["amount"])


def test_a_clean_one_is_left_alone(store: Store) -> None:
    assert sampled(store, frame())[1] == []


def test_an_entity_s_rows_are_together_and_show_its_statistic(store: Store) -> None:
    rows = frame()
    table, found = sampled(store, rows.assign(rate=rows.groupby("card")["label"].transform("mean")))
    held = table.kept["card"].column("card").coded[1]
    assert sorted(np.bincount(held))[:3] == sorted(rows[rows["card"].isin(texts(table))].groupby("card").size())[:3]
    assert ("label statistic with the row itself", "rate") in {(one.check, one.column) for one in found}


def texts(table: Audited) -> set[str]:
    column = table.kept["card"].column("card")
    return {(column.categories or ())[int(code)] for code in column.value_N}


def test_equal_rows_are_together_and_counted_at_their_share(store: Store) -> None:
    rows = frame()
    twice = pd.concat([rows, rows.sample(1200, random_state=1)]).reset_index(drop=True)
    twice["id"] = np.arange(len(twice))
    twice["part"] = np.random.default_rng(2).choice(["train", "test"], len(twice))
    _, found = sampled(store, twice, kind="stratified")
    (copies,) = [one for one in found if one.check == "copied rows"]
    share = float(copies.evidence.split("(")[1].split("%")[0])
    assert 6 < share < 12, "1,200 pairs of which half lie on both sides, of 13,200 rows: 9 %"
    assert "of a sample of" in copies.evidence


def test_rows_that_are_alike_by_chance_are_not_copies_in_a_sample_either(store: Store) -> None:
    rows = frame().drop(columns=["amount", "score"]).assign(kind=np.arange(ROWS) % 3 * 1.0)
    rows["part"] = np.random.default_rng(2).choice(["train", "test"], ROWS)
    assert sampled(store, rows, kind="stratified")[1] == []


def grouped(store: Store, dealt: str, **check: object) -> tuple[Audited, list[Finding]]:
    """Customers with a risk each, in parts by the hash of one column; a code that names them."""
    random = np.random.default_rng(0)
    card, risk = random.integers(0, 200, ROWS), random.choice([0.02, 0.6], 200)
    rows = frame().assign(card=card.astype(str), label=random.random(ROWS) < risk[card])
    rows["code"] = random.permutation(200)[card] * 1.0
    by = rows["card"].astype(int) if dealt == "card" else rows["id"]
    rows["part"] = np.where(random.random(ROWS)[by] < 0.7, "train", "test")
    one = snapshot(store, rows, ROWS, kind="stratified", **check)
    one.data.split.group = "card"
    table, _, _ = one.audited()
    return table, audit(table, 0.01, 200_000)


def test_what_remembers_a_customer_is_a_note_where_whole_customers_were_dealt(store: Store) -> None:
    table, found = grouped(store, "card")
    assert (table.split, [one.name for one in table.parted]) == ("entity", ["card"])
    assert [(one.check, one.column, one.leak) for one in found] == [
        ("remembers, and does not carry over", "code", False)
    ]


def test_customers_on_both_sides_are_a_leak_where_whole_ones_should_have_been_dealt(store: Store) -> None:
    _, found = grouped(store, "id")
    assert [(one.check, one.column) for one in found if one.leak] == [("entities in several parts", "card")]


def test_the_claim_of_a_person_goes_before_that_of_the_data_set(store: Store) -> None:
    table, found = grouped(store, "card", split="random")
    assert (table.split, table.parted) == ("random", ())
    assert {(one.check, one.column) for one in found if one.leak} == {
        ("remembers, and does not carry over", "code"),
        ("power gone in the test part", "code"),
    }


def test_the_first_rows_in_time_are_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later, "LIMIT", 2000)
    rows = frame()
    following = np.append(rows["label"].to_numpy()[1:], False) * 1.0
    _, found = sampled(store, rows.assign(following=following))
    assert [one.evidence for one in found if one.column == "following"] == ["by (all rows): equals the next label"]
