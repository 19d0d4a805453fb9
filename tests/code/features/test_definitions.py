"""Definitions say which numbers a model gets and in which order; two definitions that differ have two names."""

import dataclasses
import json
from typing import Any

import pytest

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.features.definitions import DAY_US, Feature, FeatureSet, duration_us, known_time_column
from workbench.features.functions import Function
from workbench.features.where import Condition

COLUMNS = {
    "id": ColumnConfig("integer"),
    "at": ColumnConfig("timestamp"),
    "card": ColumnConfig("integer"),
    "shop": ColumnConfig("string"),
    "amount": ColumnConfig("money"),
    "rate": ColumnConfig("number"),
    "grade": ColumnConfig("string", categories=["A", "B", "C"]),
    "note": ColumnConfig("string"),
}
DATA = DataConfig(
    name="x", id="id", event_time="at", entities=["card", "shop"], columns=COLUMNS, label=LabelConfig(delay_days=7)
)


def one(kind: str, column: str | None = None, name: str = "f", **more: Any) -> FeatureConfig:
    return FeatureConfig(name=name, kind=kind, column=column, **more)


def view(*features: FeatureConfig, name: str = "v", **more: Any) -> ViewConfig:
    return ViewConfig(name=name, features=list(features), **more)


def defined(*views: ViewConfig, data: DataConfig = DATA, **more: Any) -> FeatureSet:
    return FeatureSet.of(FeaturesConfig(views=list(views), **more), data)


FULL = (
    view(one("column", "rate", "rate"), one("one_hot", "grade", "grade"), one("ordinal", "grade", "rank"), name="row"),
    view(
        one("night", name="night", last_hour=3),
        one("weekend", name="weekend", zone="Europe/Berlin"),
        one("holiday", name="holiday", holidays=["2026-12-25"]),
        name="calendar",
    ),
    view(
        one("count", name="n", where="amount > 5 and note in (x, y)"),
        one("mean", "amount", "mean", empty=2),
        name="shop", entity=["shop"], windows=["1d", "12h"], current_row=True,
    ),
    view(
        one("known_positive_rate", name="risk", empty=0), name="pair", entity=["card", "shop"], windows=["30d"],
        delay="7d",
    ),
)  # fmt: skip


class TestSequence:
    HISTORY = view(one("previous", name="p", empty=5), name="h", entity=["card"], windows=["2d"], events=2, delay="1h")

    def test_all_other_features_are_shown_of_each_event_wherever_the_view_stands(self) -> None:
        others = [view(one("night", name="n")), view(one("count", name="c"), name="w", entity=["shop"], windows=["3d"])]
        shown = ("n_1_back", "c_3d_1_back", "elapsed_1_back", "n_2_back", "c_3d_2_back", "elapsed_2_back")
        assert defined(*others, self.HISTORY).names == ("n", "c_3d", *shown)
        assert defined(self.HISTORY, *others).names == (*shown, "n", "c_3d")

    def test_columns_say_what_they_show_of_which_event_and_what_stands_where_there_is_none(self) -> None:
        features = defined(view(one("night", name="n")), self.HISTORY)
        said = [(one.base, one.back, one.empty, one.entity) for one in features.features[1:]]
        assert said == [
            ("n", 1, 5, ("card",)),
            (None, 1, -1, ("card",)),
            ("n", 2, 5, ("card",)),
            (None, 2, -1, ("card",)),
        ]

    def test_the_horizon_is_that_of_the_earliest_event(self) -> None:
        others = view(one("count", name="c"), name="w", entity=["shop"], windows=["3d"], delay="2d")
        assert defined(others, self.HISTORY).horizon_us == 7 * DAY_US + DAY_US // 24

    def test_it_is_the_same_from_its_json_and_other_sets_say_nothing_of_it(self) -> None:
        features = defined(*FULL, self.HISTORY)
        assert FeatureSet.from_json(json.loads(json.dumps(features.to_json()))) == features
        assert "back" not in json.dumps(defined(*FULL).to_json())


class TestExpansion:
    FEATURES = {feature.name: feature for feature in defined(*FULL).features}  # noqa: RUF012

    def test_features_are_in_the_order_of_views_features_and_windows(self) -> None:
        assert defined(*FULL).names == (
            "rate", "grade=A", "grade=B", "grade=C", "rank", "night", "weekend", "holiday",
            "n_1d", "n_12h", "mean_1d", "mean_12h", "risk_30d",
        )  # fmt: skip

    def test_windows_and_delays_are_in_microseconds(self) -> None:
        assert self.FEATURES["mean_12h"] == Feature(
            "mean_12h", "mean", "amount", ("shop",), window_us=DAY_US // 2, current_row=True, empty=2.0
        )
        assert (self.FEATURES["risk_30d"].window_us, self.FEATURES["risk_30d"].delay_us) == (30 * DAY_US, 7 * DAY_US)

    @pytest.mark.parametrize(
        ("text", "us"), [("0d", 0), ("90s", 90_000_000), ("15m", 900_000_000), ("1h", DAY_US // 24), ("7d", 7 * DAY_US)]
    )
    def test_a_duration_is_a_whole_number_of_a_unit(self, text: str, us: int) -> None:
        assert duration_us(text) == us

    @pytest.mark.parametrize("text", ["", "d", "7", "-1d", "1.5h", "1 d", "1w", "1d12h", "1D", "1d\n"])
    def test_nothing_else_is_a_duration(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no duration"):
            duration_us(text)

    def test_categories_go_to_one_hot_one_by_one_and_to_ordinal_together(self) -> None:
        assert [self.FEATURES[name].categories for name in ("grade=B", "rank", "rate")] == [("B",), ("A", "B", "C"), ()]

    def test_a_row_feature_keeps_its_calendar_and_no_entity(self) -> None:
        assert (self.FEATURES["night"].last_hour, self.FEATURES["night"].entity) == (3, ())
        assert (self.FEATURES["weekend"].zone, self.FEATURES["weekend"].window_us) == ("Europe/Berlin", 0)
        assert self.FEATURES["holiday"].holidays == ("2026-12-25",)

    def test_a_filter_is_parsed_and_nulls_count_where_they_are_said_to_be_zero(self) -> None:
        assert self.FEATURES["n_1d"].where == (Condition("amount", ">", 5), Condition("note", "in", ("x", "y")))
        counted = [
            defined(view(one("sum", "amount", nulls=nulls), entity=["card"], windows=["1d"])).features[0].nulls_count
            for nulls in (None, "skip", "zero")
        ]
        assert counted == [False, False, True]


class TestTheSet:
    def test_entities_are_in_the_order_of_their_first_use_and_hold_all_windowed_features(self) -> None:
        found = defined(*FULL)
        assert found.entities == (("shop",), ("card", "shop"))
        parts = [feature for entity in found.entities for feature in found.of_entity(entity)]
        assert sorted([*parts, *found.of_row], key=found.features.index) == list(found.features)

    def test_the_horizon_is_the_longest_delay_plus_window_of_one_feature(self) -> None:
        long = view(one("count", name="long"), name="long", entity=["card"], windows=["36d"])
        assert defined(*FULL).horizon_us == 37 * DAY_US
        assert defined(*FULL, long).horizon_us == 37 * DAY_US
        assert defined(FULL[0]).horizon_us == 0

    def test_an_event_that_is_late_by_the_horizon_looks_back_that_far_once_more(self) -> None:
        assert defined(*FULL).memory_us == 74 * DAY_US

    def test_an_event_needs_the_columns_of_all_roles_features_filters_and_entities_and_no_other(self) -> None:
        assert defined(*FULL).columns == {"id", "at", "card", "shop", "amount", "rate", "grade", "note"}
        assert defined(FULL[1]).columns == {"id", "at"}

    def test_there_is_a_zero_for_every_feature(self) -> None:
        assert defined(*FULL).zeros == [0.0] * 13

    def test_the_known_time_is_the_sources_or_the_one_that_ingest_adds(self) -> None:
        assert known_time_column(DATA) == defined(*FULL).known_time == "known_time"
        assert known_time_column(dataclasses.replace(DATA, known_time="booked")) == "booked"

    def test_json_and_back_is_the_same_set_under_the_same_name(self) -> None:
        found = defined(*FULL, version=3)
        again = FeatureSet.from_json(json.loads(json.dumps(found.to_json())))
        assert again == found
        assert again.digest == found.digest

    CHANGES: dict[str, Any] = {  # noqa: RUF012
        "name": "other", "kind": "sum", "column": "rate", "entity": ("card",), "window_us": 1, "delay_us": 1,
        "current_row": False, "where": (Condition("amount", ">", 6),), "empty": 1.0, "nulls_count": True,
        "last_hour": 7, "categories": ("A",), "zone": "Europe/Berlin", "holidays": ("2026-12-25",),
        "table": "x", "function": Function("x:y", (), ""), "base": "x", "back": 1,
    }  # fmt: skip

    def test_whatever_changes_in_a_feature_changes_the_sets_name(self) -> None:
        assert set(self.CHANGES) == {field.name for field in dataclasses.fields(Feature)}
        found = defined(FULL[2])
        for key, value in self.CHANGES.items():
            changed = dataclasses.replace(found.features[0], **{key: value})
            other = dataclasses.replace(found, features=(changed, *found.features[1:]))
            assert other.digest != found.digest, key

    def test_order_version_and_roles_are_part_of_the_name(self) -> None:
        found = defined(*FULL)
        others = [
            defined(*reversed(FULL)),
            defined(*FULL, version=2),
            defined(*FULL, data=dataclasses.replace(DATA, known_time="booked")),
        ]
        assert len({found.digest, *(other.digest for other in others)}) == 4

    def test_two_ways_to_write_one_filter_are_one_set(self) -> None:
        texts = ("amount>5 and note in (x,y)", "amount > 5  and  note in ('x', \"y\")")
        sets = [defined(view(one("count", where=text), entity=["card"], windows=["1d"])) for text in texts]
        assert sets[0].digest == sets[1].digest
