"""Definitions say which numbers a model gets, in which order, and everything that is wrong with them at once."""

import dataclasses
import json
from typing import Any, ClassVar

import pytest

from workbench.config import ColumnConfig, DataConfig, FeatureConfig, FeaturesConfig, LabelConfig, ViewConfig
from workbench.errors import ConfigError
from workbench.features.definitions import DAY_US, Feature, FeatureSet, known_time_column

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
    view(one("column", "rate", "rate"), one("one_hot", "grade", "grade"), one("ordinal", "grade", "rank")),
    view(one("night", name="night", last_hour=3), one("weekend", name="weekend")),
    view(one("count", name="n"), one("mean", "amount", "mean"), entity="shop", windows_days=[1, 0.5], current_row=True),
    view(one("known_positive_rate", name="risk"), entity="card", windows_days=[30], delay_days=7),
)


class TestExpansion:
    def test_features_are_in_the_order_of_views_features_and_windows(self) -> None:
        assert defined(*FULL).names == (
            "rate", "grade=A", "grade=B", "grade=C", "rank", "night", "weekend",
            "n_1d", "n_0.5d", "mean_1d", "mean_0.5d", "risk_30d",
        )  # fmt: skip

    def test_windows_and_delays_are_in_microseconds(self) -> None:
        features = {feature.name: feature for feature in defined(*FULL).features}
        assert features["n_0.5d"] == Feature(
            "n_0.5d", "count", entity="shop", window_us=DAY_US // 2, delay_us=0, current_row=True
        )
        assert (features["risk_30d"].window_us, features["risk_30d"].delay_us) == (30 * DAY_US, 7 * DAY_US)

    def test_categories_go_to_one_hot_one_by_one_and_to_ordinal_together(self) -> None:
        features = {feature.name: feature for feature in defined(*FULL).features}
        assert [features[name].categories for name in ("grade=B", "rank", "rate")] == [("B",), ("A", "B", "C"), ()]

    def test_a_row_feature_keeps_its_last_hour_and_no_entity(self) -> None:
        features = {feature.name: feature for feature in defined(*FULL).features}
        assert (features["night"].last_hour, features["night"].entity, features["weekend"].window_us) == (3, None, 0)


class TestTheSet:
    def test_entities_are_in_the_order_of_their_first_use_and_hold_all_windowed_features(self) -> None:
        found = defined(*FULL)
        assert found.entities == ("shop", "card")
        parts = [feature for entity in found.entities for feature in found.of_entity(entity)]
        assert sorted([*parts, *found.of_row], key=found.features.index) == list(found.features)

    def test_the_horizon_is_the_longest_delay_plus_window_of_one_feature(self) -> None:
        long = view(one("count", name="long"), entity="card", windows_days=[36])
        assert defined(*FULL).horizon_us == 37 * DAY_US
        assert defined(*FULL, long).horizon_us == 37 * DAY_US
        assert defined(FULL[0]).horizon_us == 0

    def test_there_is_a_zero_for_every_feature(self) -> None:
        assert defined(*FULL).zeros == [0.0] * 12

    def test_the_known_time_is_the_sources_or_the_one_that_ingest_adds(self) -> None:
        assert known_time_column(DATA) == defined(*FULL).known_time == "known_time"
        assert known_time_column(dataclasses.replace(DATA, known_time="booked")) == "booked"

    def test_json_and_back_is_the_same_set_under_the_same_name(self) -> None:
        found = defined(*FULL, version=3)
        again = FeatureSet.from_json(json.loads(json.dumps(found.to_json())))
        assert again == found
        assert again.digest == found.digest

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "other"}, {"kind": "sum"}, {"column": "amount"}, {"entity": "card"}, {"window_us": 1},
            {"delay_us": 1}, {"current_row": False}, {"last_hour": 7}, {"categories": ("A",)},
        ],
    )  # fmt: skip
    def test_whatever_changes_in_a_feature_changes_the_sets_name(self, change: dict[str, Any]) -> None:
        found = defined(FULL[2])
        changed = dataclasses.replace(found.features[0], **change)
        other = dataclasses.replace(found, features=(changed, *found.features[1:]))
        assert other.digest != found.digest

    def test_order_version_and_roles_are_part_of_the_name_and_partitions_are_not(self) -> None:
        found = defined(*FULL)
        others = [
            defined(*reversed(FULL)),
            defined(*FULL, version=2),
            defined(*FULL, data=dataclasses.replace(DATA, known_time="booked")),
        ]
        assert len({found.digest, *(other.digest for other in others)}) == 4
        assert defined(*FULL, partitions=99).digest == found.digest


class TestFaults:
    DAY: ClassVar[dict[str, Any]] = {"windows_days": [1]}
    CARD: ClassVar[dict[str, Any]] = {"entity": "card", **DAY}

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (view(one("count"), entity="nobody", **DAY), "entity=nobody is no entity. Use one of: card, shop."),
            (view(one("count"), **CARD, current_row=True, delay_days=1), "current_row=true needs delay_days=0"),
            (view(one("count"), entity="card", windows_days=[1, 0]), "windows_days=[1, 0] must be longer than 0 days"),
            (view(one("count"), **CARD, delay_days=-1), "delay_days=-1 at least 0"),
            (view(one("median", "amount")), "features.views[v].f.kind=median is unknown. Use one of: column, ordinal"),
            (view(one("count"), entity="card"), "f.kind=count needs the view's entity and windows_days"),
            (view(one("count"), **DAY), "f.kind=count needs the view's entity and windows_days"),
            (view(one("column")), "f.column=None names no column of the data"),
            (view(one("column", "price")), "f.column=price names no column of the data. Use one of: id, at"),
            (view(one("sum", "rate"), **CARD), "f.column=rate is of type number; sum takes integer or money"),
            (view(one("column", "grade")), "f.column=grade is of type string; column takes integer or number or money"),
            (view(one("one_hot", "amount")), "f.column=amount is of type money; one_hot takes string"),
            (view(one("ordinal", "note")), "Declare data.columns.note.categories"),
            (view(one("night", last_hour=24)), "f.last_hour=24 is no hour. Use a number from 0 to 23"),
            (view(one("count"), entity="card", windows_days=[float("nan")]), "windows_days=[nan] must be longer than"),
            (view(one("count"), entity="card", windows_days=[1e9]), "all shorter than 36500"),
        ],
    )  # fmt: skip
    def test_each_fault_says_key_value_and_rule(self, wrong: ViewConfig, said: str) -> None:
        with pytest.raises(ConfigError) as error:
            defined(wrong)
        lines = str(error.value).splitlines()
        assert len(lines) == 2, lines
        assert said in lines[1]

    @pytest.mark.parametrize("wrong", [one("column", "card"), one("ordinal", "shop"), one("one_hot", "shop")])
    def test_an_entity_is_no_value_because_the_endpoint_sees_its_token(self, wrong: FeatureConfig) -> None:
        columns = {**COLUMNS, "shop": ColumnConfig("string", categories=["a", "b"])}
        with pytest.raises(ConfigError) as error:
            defined(view(wrong), data=dataclasses.replace(DATA, columns=columns))
        said = f"features.views[v].f.column={wrong.column} is one of data.entities: the endpoint sees a keyed token"
        assert said in str(error.value)
        assert f"Use a view with entity={wrong.column}" in str(error.value)

    @pytest.mark.parametrize(
        ("views", "name"),
        [
            ([view(one("count", name="n"), entity="card", windows_days=[7, 1, 7])], "n_7d"),
            ([view(one("count", name="n"), entity="card", windows_days=[7, 7.0000001])], "n_7d"),
            ([view(one("count", name="n"), one("night", name="n_7d"), entity="card", windows_days=[7])], "n_7d"),
            ([view(one("one_hot", "grade", "g")), view(one("weekend", name="g=B"), name="w")], "g=B"),
        ],
    )
    def test_no_two_inputs_have_one_name_however_they_come_by_it(self, views: list[ViewConfig], name: str) -> None:
        with pytest.raises(ConfigError) as error:
            defined(*views)
        assert str(error.value).splitlines()[1:] == [
            f"  - features: the name {name} is used 2 times. Every feature needs a name of its own."
        ]

    def test_two_views_may_use_one_word_for_inputs_of_different_names(self) -> None:
        both = [view(one("count", name="n"), entity="card", windows_days=[days], name=f"{days}") for days in (1, 7)]
        assert defined(*both).names == ("n_1d", "n_7d")

    def test_all_faults_come_in_one_error(self) -> None:
        wrong = view(one("sum", "rate", "a"), one("median", name="b"), one("ordinal", "shop", "c"), entity="nobody")
        with pytest.raises(ConfigError) as error:
            defined(wrong, view(one("night", name="c"), name="w"))
        lines = str(error.value).splitlines()[1:]
        assert [line.partition("features")[2].partition("=")[0] for line in lines] == [
            ".views[v].entity",
            ".views[v].a.kind",
            ".views[v].a.column",
            ".views[v].b.kind",
            ".views[v].c.column",
            ": the name c is used 2 times. Every feature needs a name of its own.",
        ]

    def test_no_views_are_no_features(self) -> None:
        with pytest.raises(ConfigError, match=r"features.views is empty"):
            defined()

    def test_a_data_set_without_entities_says_that_it_has_none(self) -> None:
        with pytest.raises(ConfigError, match=r"entity=card is no entity\. Use one of: none"):
            defined(view(entity="card"), data=dataclasses.replace(DATA, entities=[]))
