"""Every kind of feature has a sentence, and a sentence says what the definition says."""

import dataclasses

import pytest

from tests.code.features.test_lookups import defined
from workbench.features import words
from workbench.features.definitions import DAY_US, Feature, FeatureSet
from workbench.features.kinds import KINDS, ROW, WINDOWED
from workbench.features.where import Condition

NAMES = FeatureSet((), "id", "time", "known_time")
LARGE = (Condition("amount", ">", 22000.0), Condition("channel", "in", ("web", "app")))


def windowed(kind: str, **keys: object) -> Feature:
    return Feature("f", kind, "amount", ("card",), **{"window_us": 7 * DAY_US} | keys)  # type: ignore[arg-type]


def test_every_kind_has_a_sentence() -> None:
    assert (words.ROW.keys(), words.WINDOWED.keys()) == (ROW.keys(), WINDOWED.keys())
    for kind in KINDS:
        said = words.definition(Feature("f", kind, "amount", ("card",), categories=("a", "b")))
        assert said[0] == said[0].upper()
        assert said.endswith(".")
        assert "{" not in said


SAME = "with the same card in the 7 days"


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (windowed("count", current_row=True), f"Number of events {SAME} up to the row, itself included."),
        (windowed("mean", empty=-1.0), f"Mean amount of the events {SAME} before the row; -1 where there is none."),
        (windowed("known_positive_count", delay_us=DAY_US),
         f"Number of events known to be positive {SAME} that ended 1 day before the row."),
        (windowed("known_positive_count", current_row=True),
         f"Number of events known to be positive {SAME} before the row."),
        (windowed("known_positive_rate", current_row=True),
         f"Share, known to be positive, of the events {SAME} up to the row, itself included; 0 where there is none."),
        (windowed("count", where=LARGE),
         f"Number of events where amount > 22000.0 and channel in (web, app) {SAME} before the row."),
        (windowed("previous", base="speed_1d", back=2),
         f"Speed_1d as it was at the 2nd newest earlier event {SAME} before the row; 0 where there is none."),
        (windowed("previous", back=1, empty=-1.0),
         f"Seconds since the newest earlier event {SAME} before the row; -1 where there is none."),
        (Feature("f", "one_hot", "state", categories=("TX",)), "1 where state is TX, else 0."),
        (Feature("f", "night", zone="Asia/Tokyo"), "1 while the hour is at most 6 (Asia/Tokyo), else 0."),
    ],
)  # fmt: skip
def test_a_definition_is_said_in_words(feature: Feature, said: str) -> None:
    assert words.definition(feature) == said


def test_a_window_is_said_in_its_largest_whole_unit() -> None:
    spans = [words.span(minutes * 60_000_000) for minutes in (15, 60, 90, 1440)]
    assert spans == ["15 minutes", "1 hour", "90 minutes", "1 day"]


def test_sources_are_all_columns_that_it_is_made_from() -> None:
    assert words.sources(windowed("known_positive_rate", where=LARGE), NAMES) == [
        "amount", "card", "channel", "time", "label",
    ]  # fmt: skip
    assert words.sources(Feature("f", "column", "amount"), NAMES) == ["amount"]
    assert words.sources(Feature("f", "hour"), NAMES) == ["time"]


def test_the_sources_of_an_earlier_feature_are_those_of_the_feature_and_its_entity() -> None:
    shown = windowed("known_positive_rate", where=LARGE)
    earlier = Feature("f_1_back", "previous", entity=("shop",), base="f", back=1)
    assert words.sources(earlier, dataclasses.replace(NAMES, features=(shown, earlier))) == [
        "amount", "card", "channel", "time", "label", "shop",
    ]  # fmt: skip


def test_the_sources_of_a_lookup_are_its_table_s_column_and_key() -> None:
    features = defined()
    assert words.sources(features.features[0], features) == ["shops.risk", "shop", "area", "time"]
