"""What is kept and what is computed together are the whole computation, to the last bit."""

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.code.features import oracle, samples
from tests.code.features.oracle import DAY
from tests.code.features.samples import TIME, columns_of
from workbench.features.cut import NOTHING, Cut
from workbench.features.definitions import FeatureSet
from workbench.features.labels import NEVER_US

ALL = oracle.feature_set()
SMALL = samples.small()
SEQUENCES = [oracle.with_sequence(["customer"], "4d", 2), oracle.with_sequence(["shop"], "3d", 4, "1d")]
ROWS = 240
Ledger = pa.Table


def told(ledger: Ledger, events: pa.Table) -> Ledger:
    """The ledger with the times of its events, as the store has it."""
    place = pc.index_in(ledger["id"], events["id"].combine_chunks())
    return ledger.append_column("event_time", events["time"].take(place))


def computed(features: FeatureSet, rows: pa.Table, ledger: Ledger) -> pa.Table:
    """The rows with features and the newest label, as a feature snapshot has them."""
    newest = {one["id"]: one["label"] for one in ledger.sort_by([("known_time", "ascending")]).to_pylist()}
    label = pa.array([newest.get(one) for one in rows["id"].to_pylist()], pa.int8())
    return pa.table({"id": rows["id"], "time": rows["time"], "label": label, **columns_of(features, rows, ledger)})


def updated(features: FeatureSet, cut: Cut, before: pa.Table, rows: pa.Table, ledger: Ledger) -> pa.Table:
    """The earlier features before the cut and those computed of what is read."""
    read = cut.reads(rows)
    return pa.concat_tables([cut.keeps(before), cut.computes(computed(features, read, cut.said(ledger)))]).sort_by("id")


def equal(one: pa.Table, other: pa.Table) -> bool:
    """To the last bit: no feature is NaN, and no zero negative."""
    return bool(one.combine_chunks().equals(other.combine_chunks()))


def part(rows: pa.Table, chosen: Any) -> pa.Table:
    return rows.filter(pa.array(chosen))


class Case:
    """Random events before and after something changed; the kinds of change are those that files can have."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.rows = oracle.random_events(self.random, ROWS, days=40)
        said = oracle.random_labels(self.random, self.rows)
        self.ledger = told(said, self.rows)
        time = oracle.micros(self.rows["time"])
        border = int(np.quantile(time, self.random.uniform(0.4, 0.95)))
        came = self._came(time, border, seed)
        self.before = part(self.rows, ~came)
        self.came = part(self.rows, came)
        self.gone = self.came.slice(0, 0)
        if seed % 4 == 3:
            self._replace()
        self.ledger_before = part(
            self.ledger, ~pc.is_in(self.ledger["id"], self.came["id"].combine_chunks()).to_numpy()
        )
        if seed % 5 == 4:
            self._relabel()

    def _came(self, time: np.ndarray, border: int, seed: int) -> np.ndarray:
        """The rows of new files: the newest (some share the border's instant), and in some cases a few of any time."""
        late = np.zeros(ROWS, bool)
        late[self.random.choice(ROWS, seed % 3, replace=False)] = True
        tied = self.random.random(ROWS) < 0.5
        return (time > border) | ((time == border) & tied) | late

    def _replace(self) -> None:
        """Some rows are gone, others were other rows of the same id."""
        recent = oracle.micros(self.before["time"]) > 10 * DAY
        chosen = recent & (self.random.random(len(self.before)) < 0.02)
        self.gone = part(self.before, chosen)
        again = part(self.gone, self.random.random(len(self.gone)) < 0.5)
        other = pc.add(again["amount"], 1)
        self.came = pa.concat_tables([self.came, again.set_column(5, "amount", other)])
        self.rows = pa.concat_tables([part(self.before, ~chosen), self.came])

    def _relabel(self) -> None:
        """Some old labels were not known, others were known differently or are taken back."""
        kept = self.random.random(len(self.ledger_before)) > 0.01
        self.ledger_before = part(self.ledger_before, kept)
        turned = self.random.random(len(self.ledger_before)) < 0.01
        label = np.where(turned, 1, self.ledger_before["label"].to_numpy()).astype(np.int8)
        self.ledger_before = self.ledger_before.set_column(1, "label", pa.array(label))

    def cut(self, features: FeatureSet) -> Cut:
        return Cut.of(features, self.came, self.gone, self.ledger_before, self.ledger)


@pytest.mark.parametrize("seeds", [range(start, start + 30) for start in range(0, 120, 30)])
def test_kept_and_computed_rows_are_the_whole_computation_in_120_cases(seeds: range) -> None:
    kept = []
    for seed in seeds:
        features = dataclasses.replace(ALL, features=ALL.of_entity(ALL.entities[seed // 5 % len(ALL.entities)]))
        case = Case(seed)
        before = computed(features, case.before, case.ledger_before)
        whole = computed(features, case.rows, case.ledger).sort_by("id")
        cut = case.cut(features)
        assert equal(updated(features, cut, before, case.rows, case.ledger), whole), seed
        kept.append(len(cut.keeps(before)))
    assert np.median(kept) > ROWS / 4


@pytest.mark.parametrize("seeds", [range(start, start + 15) for start in range(0, 60, 15)])
def test_what_earlier_events_show_is_that_of_the_whole_computation_in_60_cases(seeds: range) -> None:
    kept = []
    for seed in seeds:
        features, case = SEQUENCES[seed % len(SEQUENCES)], Case(seed)
        before = computed(features, case.before, case.ledger_before)
        cut = case.cut(features)
        whole = computed(features, case.rows, case.ledger).sort_by("id")
        assert equal(updated(features, cut, before, case.rows, case.ledger), whole), seed
        kept.append(len(cut.keeps(before)))
    assert np.median(kept) > ROWS / 4


def days(since_us: int) -> float:
    return since_us / DAY


def cut_of(
    came: pa.Table, before: Ledger | None = None, now: Ledger | None = None, gone: pa.Table | None = None
) -> Cut:
    nothing = samples.labels().append_column("event_time", pa.array([], TIME))
    return Cut.of(
        SMALL, came, came.slice(0, 0) if gone is None else gone,
        nothing if before is None else before, nothing if now is None else now,
    )  # fmt: skip


def ledger(*said: tuple[int, int, float]) -> Ledger:
    table = samples.labels(*said)
    return table.append_column("event_time", pa.array([one * DAY for one, *_ in said]).cast(TIME))


class TestCut:
    """Where the cut is: days of the events, whose ids are their days in the ledgers."""

    def test_rows_of_a_new_day_leave_all_earlier_rows_as_they_are(self) -> None:
        cut = cut_of(samples.events((9, 9), (9.5, 9.5)))
        assert (days(cut.since_us), days(cut.read_us)) == (9, 9 - days(SMALL.horizon_us))
        assert cut.why == "rows came"
        assert len(cut.late) == 0

    def test_what_is_known_later_is_computed_itself_and_changes_no_row_before_it_is_known(self) -> None:
        cut = cut_of(samples.events((3, 9), (9.5, 9.5)))
        assert (days(cut.since_us), days(cut.read_us)) == (9, 3 - days(SMALL.horizon_us))
        assert cut.late.to_pylist() == [0]
        assert cut.computes(samples.events((3, 3), (3, 3), (8, 8), (9, 9)))["id"].to_pylist() == [0, 3]

    def test_what_was_known_at_once_and_came_late_changes_all_rows_from_its_time(self) -> None:
        assert days(cut_of(samples.events((3, 3), (9.5, 9.5))).since_us) == 3

    def test_a_row_that_is_gone_changes_all_rows_from_its_time(self) -> None:
        cut = cut_of(samples.events((9, 9)), gone=samples.events((2, 5)))
        assert (days(cut.since_us), cut.why) == (2, "rows are gone")

    @pytest.mark.parametrize(
        "now",
        [
            ledger((2, 1, 4), (5, 0, 6)),  # another label
            ledger((2, 0, 5), (5, 0, 6)),  # known at another time
            ledger((5, 0, 6)),  # none any more
            ledger((2, 0, 4), (2, 1, 30), (5, 0, 6)),  # another one later
        ],
    )
    def test_another_label_changes_all_rows_from_the_time_of_its_event(self, now: Ledger) -> None:
        cut = cut_of(samples.events((9, 9)), ledger((2, 0, 4), (5, 0, 6)), now)
        assert (days(cut.since_us), cut.why) == (2, "labels changed")

    def test_labels_of_rows_that_came_and_their_order_change_nothing_more(self) -> None:
        now = ledger((5, 0, 6), (2, 0, 4), (0, 1, 0), (9, 0, 10))
        came = samples.events((3, 9))
        assert days(cut_of(came, ledger((2, 0, 4), (5, 0, 6)), now).since_us) == 9

    def test_where_nothing_changed_nothing_is_read(self) -> None:
        cut = cut_of(samples.events(), ledger((2, 0, 4)), ledger((2, 0, 4)))
        rows = samples.events((3, 3))
        assert (cut.why, cut.since_us) == (NOTHING, NEVER_US)
        assert (len(cut.reads(rows)), len(cut.computes(rows)), len(cut.keeps(rows))) == (0, 0, 1)
