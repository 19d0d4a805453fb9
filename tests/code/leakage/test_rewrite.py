"""A feature function that sees the future, or what was not known, is named with the rewrite; no other is."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.features.definitions import FeatureSet
from workbench.leakage import functions, rewrite
from workbench.leakage.futures import REWRITES
from workbench.leakage.history import History

ROWS, DAY = 3000, pd.Timedelta(days=1)


def history(ids: str = "int64") -> History:
    random = np.random.default_rng(0)
    seconds = np.sort(random.integers(0, 60 * 86_400, ROWS))
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(seconds // 60 * 60, unit="s")  # with ties
    names = np.arange(ROWS) if ids == "int64" else [f"t{number:05d}" for number in range(ROWS)]
    events = pd.DataFrame({"id": names, "at": times, "known": times, "card": random.integers(0, 30, ROWS)})
    events["amount"] = random.integers(1, 1000, ROWS)
    labels = pd.DataFrame({"id": names, "label": (random.random(ROWS) < 0.1).astype("int8")})
    labels["known_time"] = labels["recorded_at"] = times + 7 * DAY
    tables = (pa.Table.from_pandas(one, preserve_index=False) for one in (events, labels))
    return History(*tables, "id", "at", "known", ("card",))


def from_frames(function: Callable[[pd.DataFrame, pd.DataFrame], pd.Series]) -> functions.FeatureFunction:
    """A feature as somebody writes it in a notebook; the frames are in no order that it could rely on."""

    def compute(events: pa.Table, labels: pa.Table) -> dict[str, np.ndarray]:
        said = labels.to_pandas().sort_values("known_time").drop_duplicates("id", keep="last")
        frame = events.to_pandas().merge(said, on="id", how="left")
        return {"made": function(frame, said).reindex(frame.index).to_numpy(np.float64)}

    return compute


def whole_period_mean(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return frame.groupby("card")["label"].transform("mean").fillna(0)


def centred(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return (
        frame.sort_values(["at", "id"])
        .groupby("card")["amount"]
        .transform(lambda some: some.rolling(5, center=True).mean())
    )


def unshifted_count_of_the_day(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return frame.groupby(["card", frame["at"].dt.date])["id"].transform("size")


def labels_before_they_are_known(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    ordered = frame.sort_values(["at", "id"])
    return ordered.groupby("card")["label"].transform(lambda some: some.fillna(0).shift(1).cumsum()).fillna(0)


def scaled_by_everything(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return (frame["amount"] - frame["amount"].mean()) / frame["amount"].std()


def next_amount(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return frame.sort_values(["at", "id"]).groupby("card")["amount"].shift(-1).fillna(0)


def last_seen_at_the_same_instant(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return frame.groupby(["card", "at"])["id"].transform("size")


def events_before_they_are_known(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    return frame.sort_values(["at", "id"]).groupby("card").cumcount()


def filled_by_class(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
    gap = frame["amount"] % 10 == 0
    return frame["amount"].mask(gap, frame["label"].fillna(0) * 100.0)


LEAKING = {
    whole_period_mean: "labels|events",
    centred: "events deleted after|events altered",
    unshifted_count_of_the_day: "events",
    labels_before_they_are_known: "labels .* not known by",
    scaled_by_everything: "events deleted after",
    next_amount: "events",
    last_seen_at_the_same_instant: "with larger ids at the very instant",
    events_before_they_are_known: "that were not known by",
    filled_by_class: "labels",
}


@pytest.mark.parametrize("function", LEAKING, ids=lambda one: one.__name__)
@pytest.mark.parametrize("ids", ["int64", "string"])
def test_a_function_that_leaks_is_named_with_its_rewrite_and_a_row(function: Callable, ids: str) -> None:
    (found,) = rewrite.changed(from_frames(function), history(ids), cuts=3)
    assert found.leak
    assert found.column == "made"
    assert pd.Series([found.evidence]).str.contains(LEAKING[function]).all(), found.evidence
    assert pd.Series([found.evidence]).str.contains(r" rows up to then changed; row t?\d+: \S+, then \S+").all()


def test_a_function_that_looks_back_is_not_named() -> None:
    def amount_before(frame: pd.DataFrame, _: pd.DataFrame) -> pd.Series:
        known = frame[frame["known"] <= frame["at"]].sort_values(["at", "id"])
        return known.groupby("card")["amount"].shift(1).fillna(0)

    assert rewrite.changed(from_frames(amount_before), history(), cuts=3) == []


def feature_set(**view: str | bool) -> FeatureSet:
    columns = {"id": "integer", "at": "timestamp", "known": "timestamp", "card": "integer", "amount": "money"}
    data = DataConfig(
        name="d", id="id", event_time="at", known_time="known", entities=["card"],
        columns={name: ColumnConfig(kind) for name, kind in columns.items()},
    )  # fmt: skip
    kinds = [
        FeatureConfig("n", "count"),
        FeatureConfig("mean", "mean", "amount", empty=0),
        FeatureConfig("largest", "max", "amount", empty=0),
        FeatureConfig("amounts", "distinct", "amount"),
        FeatureConfig("since", "since_last", empty=-1),
        FeatureConfig("risk", "known_positive_rate", empty=0),
    ]
    views = [ViewConfig("v", entity=["card"], windows=["1d", "7d"], features=kinds, **view)]  # type: ignore[arg-type]
    views.append(
        ViewConfig("row", features=[FeatureConfig("night", "night"), FeatureConfig("amount", "column", "amount")])
    )
    return FeatureSet.of(FeaturesConfig(views=views), data)


@pytest.mark.parametrize("view", [{}, {"current_row": True}, {"delay": "7d"}])
def test_the_products_own_features_do_not_change_by_a_bit(view: dict[str, str | bool]) -> None:
    assert rewrite.changed(functions.of_feature_set(feature_set(**view)), history(), cuts=4) == []


def test_a_product_feature_that_takes_the_label_too_early_is_named() -> None:
    """The same kernel, told that labels are known at once: what a wrong known time does."""
    right = functions.of_feature_set(feature_set())

    def hasty(events: pa.Table, labels: pa.Table) -> dict[str, np.ndarray]:
        early = pa.compute.subtract(labels["known_time"], pa.scalar(7 * 86_400_000_000, pa.duration("us")))
        index = labels.column_names.index("known_time")
        return right(events, labels.set_column(index, "known_time", early))

    found = rewrite.changed(hasty, history(), cuts=4)
    assert {one.column for one in found} == {"risk_1d", "risk_7d"}
    assert all("labels" in one.evidence for one in found)


@pytest.mark.parametrize("words", REWRITES)
def test_a_rewrite_changes_what_came_later_and_nothing_that_was_known(words: str) -> None:
    before = history()
    cut = before.events["at"][ROWS // 2].value
    events, labels = REWRITES[words][0](before, cut, np.random.default_rng(0))
    assert not events.equals(before.events) or not labels.equals(before.labels)
    for old, new, known in ((before.events, events, "known"), (before.labels, labels, "known_time")):
        then = pa.scalar(cut, pa.int64()).cast(old.schema.field(known).type)
        kept = new.filter(pa.compute.less_equal(new[known], then)).slice(
            0, old.filter(pa.compute.less_equal(old[known], then)).num_rows
        )
        assert kept.equals(old.filter(pa.compute.less_equal(old[known], then)))


def test_flipped_labels_say_the_other_class() -> None:
    before = history()
    _, labels = REWRITES["labels flipped that were not known by"][0](before, 0, np.random.default_rng(0))
    assert pa.compute.add(labels["label"], before.labels["label"]).unique().to_pylist() == [1]


def test_a_sample_keeps_whole_histories() -> None:
    some = history().sample(limit=600)
    cards = set(some.events["card"].to_pylist())
    assert 400 <= some.events.num_rows <= 700
    assert some.events.num_rows == sum(card in cards for card in history().events["card"].to_pylist())
    assert set(some.labels["id"].to_pylist()) == set(some.events["id"].to_pylist())
