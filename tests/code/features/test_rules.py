"""Each fault of a definition says key, value, rule and remedy, and all of them are told at once."""

import dataclasses
import math
from typing import Any

import pytest

from tests.code.features.test_definitions import COLUMNS, DATA, defined, one, view
from workbench.config import ColumnConfig, DataConfig, VersionsConfig, ViewConfig
from workbench.errors import ConfigError
from workbench.evaluation import protocol
from workbench.features import reserved
from workbench.features.kinds import KINDS

ALL_COLUMNS = "id, at, card, shop, amount, rate, grade, note"
ALL_KINDS = ", ".join(KINDS)
NULLABLE = {name: dataclasses.replace(column, nulls=True) for name, column in COLUMNS.items()}
NULLS = dataclasses.replace(DATA, columns=NULLABLE)
CARD: dict[str, Any] = {"entity": ["card"], "windows": ["1d"]}
EMPTY = "empty is not set. Say which value {} has where there is nothing, such as empty: 0."
NO_NUMBER = ".empty={} is no finite number. Say which value {} has where there is nothing, such as empty: 0."
TOKEN = "is an entity, which the endpoint knows by a token"


def faults(*views: ViewConfig, data: DataConfig = DATA) -> list[str]:
    with pytest.raises(ConfigError) as error:
        defined(*views, data=data)
    head, *lines = str(error.value).splitlines()
    assert head == "The feature definitions are wrong:"
    return [line.removeprefix("  - ") for line in lines]


def counting(where: str | None = None, **more: Any) -> ViewConfig:
    return view(one("count", where=where), **{**CARD, **more})


class TestViews:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"entity": ["nobody"]}, ".entity=nobody is no entity. Use some of: card, shop."),
            ({"entity": ["card", "amount"]}, ".entity=amount is no entity. Use some of: card, shop."),
            ({"entity": ["card", "card"]}, ".entity=['card', 'card'] names a column twice. Name each once."),
            (
                {"windows": ["1d", "1.5h"]},
                ".windows: '1.5h' is no duration. Write a whole number of s, m, h or d, such as 15m or 30d.",
            ),
            (
                {"delay": "soon"},
                ".delay: 'soon' is no duration. Write a whole number of s, m, h or d, such as 15m or 30d.",
            ),
            ({"windows": ["0s"]}, ".windows: 0s must be longer than 0 and at most 180d."),
            ({"windows": ["181d"]}, ".windows: 181d must be longer than 0 and at most 180d."),
            ({"windows": ["4321h"]}, ".windows: 4321h must be longer than 0 and at most 180d."),
            ({"delay": "181d"}, ".delay: 181d must be at most 180d."),
            (
                {"delay": "1d", "current_row": True},
                ".current_row=true needs delay=0d: a delayed window ends before its row.",
            ),
            ({"windows": []}, ".f.kind=count needs the view's entity and windows."),
            ({"entity": []}, ".f.kind=count needs the view's entity and windows."),
        ],
    )
    def test_what_is_wrong_with_a_view(self, wrong: dict[str, Any], said: str) -> None:
        assert faults(counting(**wrong)) == [f"features.views[v]{said}"]

    def test_the_longest_window_and_delay_and_any_zero_of_a_delay_are_right(self) -> None:
        assert defined(counting(windows=["180d"], delay="180d")).names == ("f_180d",)
        assert defined(counting(delay="0h", current_row=True)).horizon_us == defined(counting()).horizon_us

    def test_no_views_are_no_features(self) -> None:
        assert faults() == ["features.views is empty. Define at least one view, or choose one: features=payments."]

    def test_every_view_has_a_name_of_its_own(self) -> None:
        assert faults(counting(), counting(windows=["2d"])) == [
            "features.views: 2 views are named v. Every view needs a name of its own."
        ]

    def test_a_data_set_without_entities_says_that_it_has_none(self) -> None:
        data = dataclasses.replace(DATA, entities=[])
        assert faults(counting(), data=data) == ["features.views[v].entity=card is no entity. Use some of: none."]


class TestFeatures:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            (one("median", "amount"), f".kind=median is unknown. Use one of: {ALL_KINDS}."),
            (one("sum"), f".column=None names no column of the data. Use one of: {ALL_COLUMNS}."),
            (one("sum", "price"), f".column=price names no column of the data. Use one of: {ALL_COLUMNS}."),
            (one("count", "amount"), ".column=amount is not used by count. Leave it out."),
            (one("weekend", "amount"), ".column=amount is not used by weekend. Leave it out."),
            (one("sum", "rate"), ".column=rate is of type number; sum takes integer or money."),
            (one("min", "note", empty=0), ".column=note is of type string; min takes integer or number or money."),
            (
                one("distinct", "at"),
                ".column=at is of type timestamp; distinct takes integer or number or money or string.",
            ),
            (one("column", "grade"), ".column=grade is of type string; column takes integer or number or money."),
            (one("one_hot", "amount"), ".column=amount is of type money; one_hot takes string."),
            (one("ordinal", "note"), ".column=note has no categories. Declare data.columns.note.categories."),
            (one("sum", "amount", nulls="drop"), ".nulls=drop is unknown. Use skip or zero."),
            (
                one("distinct", "note", nulls="zero"),
                ".nulls=zero counts a null as the number 0, and note is of type string. Use skip.",
            ),
            (
                one("distinct", "card", nulls="zero"),
                ".nulls=zero counts a null as the number 0, and card is an entity, which the endpoint knows by a token."
                " Use skip.",
            ),
            (one("sum", "amount", empty=math.nan), NO_NUMBER.format("nan", "sum")),
            (one("mean", "amount", empty=math.inf), NO_NUMBER.format("inf", "mean")),
            (one("column", "rate", empty=-math.inf), NO_NUMBER.format("-inf", "column")),
            (one("share", empty=0), ".where is not set: share is the part of the window's events that meet it."),
            (
                one("night", where="amount > 1"),
                ".where=amount > 1 filters a window's events, and night has no window. Leave it out.",
            ),
            (one("night", last_hour=24), ".last_hour=24 is no hour. Use 0 to 23."),
            (one("night", last_hour=-1), ".last_hour=-1 is no hour. Use 0 to 23."),
            (one("hour", zone="Berlin"), ".zone=Berlin is no time zone. Use a name such as Europe/Berlin."),
            (one("holiday"), ".holidays is empty. List dates such as 2026-12-25."),
            (
                one("holiday", holidays=["2026-12-25", "25.12.2026"]),
                ".holidays: 25.12.2026 is no date. Use the form 2026-12-25.",
            ),
        ],
    )
    def test_what_is_wrong_with_a_feature(self, wrong: Any, said: str) -> None:
        assert faults(view(wrong, **CARD)) == [f"features.views[v].f{said}"]

    @pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.empty and name != "lookup"])
    def test_a_kind_without_a_natural_value_says_its_empty(self, kind: str) -> None:
        column = "amount" if KINDS[kind].column else None
        where = "amount > 1" if kind == "share" else None
        assert faults(view(one(kind, column, where=where), **CARD)) == [f"features.views[v].f.{EMPTY.format(kind)}"]
        assert defined(view(one(kind, column, where=where, empty=0), **CARD)).names == ("f_1d",)

    def test_a_column_that_may_be_null_needs_a_word_on_nulls_or_a_value_instead(self) -> None:
        both = view(one("sum", "amount", "a"), one("column", "rate", "b"), one("distinct", "shop", "c"), **CARD)
        say = "may be null. Say skip (left out)"
        assert faults(both, data=NULLS) == [
            f"features.views[v].a.nulls is not set, and amount {say} or zero (counts as 0).",
            f"features.views[v].b.{EMPTY.format('column')}",
            f"features.views[v].c.nulls is not set, and shop {say}.",
        ]
        said = view(
            one("sum", "amount", "a", nulls="skip"), one("column", "rate", "b", empty=0),
            one("distinct", "shop", "c", nulls="skip"), one("ordinal", "grade", "d"), one("one_hot", "grade", "e"),
            **CARD,
        )  # fmt: skip
        assert len(defined(said, data=NULLS).names) == 7

    @pytest.mark.parametrize("wrong", [one("column", "card"), one("ordinal", "shop"), one("max", "card", empty=0)])
    def test_an_entity_is_no_value_because_the_endpoint_sees_its_token(self, wrong: Any) -> None:
        columns = {**COLUMNS, "shop": ColumnConfig("string", categories=["a", "b"])}
        assert faults(view(wrong, **CARD), data=dataclasses.replace(DATA, columns=columns)) == [
            f"features.views[v].f.column={wrong.column} {TOKEN} only: its value can be no feature."
            " Use distinct, or another column."
        ]

    def test_how_many_different_entities_there_were_may_be_counted(self) -> None:
        assert defined(view(one("distinct", "shop"), **CARD)).names == ("f_1d",)

    def test_a_filter_compares_no_entity(self) -> None:
        for text, column in (("card == 7", "card"), ("shop in (a, b)", "shop")):
            assert faults(counting(text)) == [
                f"features.views[v].f.where compares {column}, {TOKEN.removeprefix('is ')}. Use another column."
            ]

    def test_a_fault_of_a_filter_is_told_as_where_says_it(self) -> None:
        assert faults(counting("amount > 1 and rate")) == [
            "features.views[v].f.where is no condition at 'rate'. Write COLUMN > NUMBER, or COLUMN in (A, B)."
        ]


HISTORY: dict[str, Any] = {**CARD, "name": "h", "events": 2}


class TestSequences:
    @pytest.mark.parametrize(
        ("wrong", "more", "said"),
        [
            ({}, {"entity": []}, ".kind=previous needs the view's entity and windows."),
            ({}, {"windows": []}, ".kind=previous needs the view's entity and windows."),
            (
                {}, {"windows": ["1d", "2d"]},
                ".kind=previous looks through one window, and the view has 1d, 2d. Keep one of them.",
            ),
            (
                {}, {"events": None},
                ".kind=previous needs the view's events, which are None. Use 1 to 100, such as 6.",
            ),
            ({}, {"events": 0}, ".kind=previous needs the view's events, which are 0. Use 1 to 100, such as 6."),
            ({}, {"events": 101}, ".kind=previous needs the view's events, which are 101. Use 1 to 100, such as 6."),
            ({"of": []}, {}, ".of is empty. Name the features that are shown, or leave it out: all others are."),
            ({"of": ["n", "n"]}, {}, ".of=['n', 'n'] names a feature twice. Name each once."),
            (
                {"of": ["n", "m"]}, {},
                ".of=m is no feature of the set that a sequence can show. Use some of: n, g=A, g=B, g=C, c_1d.",
            ),
            (
                {"of": ["n_1_back"]}, {},
                ".of=n_1_back is no feature of the set that a sequence can show. Use some of: n, g=A, g=B, g=C, c_1d.",
            ),
            ({"column": "amount"}, {}, ".column=amount is not used by previous. Leave it out."),
            ({"where": "amount > 1"}, {}, ".where=amount > 1 is not used by previous. Leave it out."),
            ({"nulls": "skip"}, {}, ".nulls=skip is not used by previous. Leave it out."),
            ({"empty": math.nan}, {}, NO_NUMBER.format("nan", "previous")),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_sequence(self, wrong: dict[str, Any], more: dict[str, Any], said: str) -> None:
        shown = view(one("night", name="n"), one("one_hot", "grade", "g"), one("count", name="c"), **CARD)
        history = view(one("previous", name="p", **wrong), **{**HISTORY, **more})
        assert faults(shown, history) == [f"features.views[h].p{said}"]

    def test_a_set_has_one_sequence(self) -> None:
        one_of = view(one("previous", name="p"), one("previous", name="q"), **HISTORY)
        assert faults(counting(), one_of) == [
            "features.views: h.p, h.q are of kind previous, and a set has one sequence. Keep one of them."
        ]

    def test_a_number_of_events_is_for_a_sequence_only(self) -> None:
        assert faults(counting(events=3)) == [
            "features.views[v].events=3 is not used: the view has no feature of kind previous. Leave it out."
        ]

    def test_what_it_shows_is_said_nowhere_else(self) -> None:
        assert faults(view(one("night", of=["n"]))) == [
            "features.views[v].f.of=['n'] is not used by night. Leave it out."
        ]

    def test_a_feature_may_not_be_called_like_a_column_of_the_sequence(self) -> None:
        taken = view(one("night", name="n"), one("night", name="elapsed_2_back"), one("previous", name="p"), **HISTORY)
        assert faults(taken) == [
            "features: the name elapsed_2_back is used 2 times. Every feature needs a name of its own."
        ]

    def test_events_that_are_corrected_have_none(self) -> None:
        data = dataclasses.replace(DATA, versions=VersionsConfig())
        assert faults(counting(), view(one("previous", name="p"), **HISTORY), data=data) == [
            "features.views[h].p.kind=previous shows events as they were asked, and data.versions says that they are"
            " corrected. Leave the feature out, or use features=payments."
        ]


class TestNames:
    @pytest.mark.parametrize(
        ("views", "name"),
        [
            ([view(one("count", name="n"), entity=["card"], windows=["7d", "1d", "7d"])], "n_7d"),
            ([view(one("count", name="n"), one("night", name="n_7d"), entity=["card"], windows=["7d"])], "n_7d"),
            ([view(one("one_hot", "grade", "g")), view(one("weekend", name="g=B"), name="w")], "g=B"),
        ],
    )
    def test_no_two_inputs_have_one_name_however_they_come_by_it(self, views: list[ViewConfig], name: str) -> None:
        assert faults(*views) == [f"features: the name {name} is used 2 times. Every feature needs a name of its own."]

    def test_two_views_may_use_one_word_for_inputs_of_different_names(self) -> None:
        both = [counting(name=window, windows=[window]) for window in ("1d", "24h")]
        assert defined(*both).names == ("f_1d", "f_24h")


def test_all_faults_come_in_one_error() -> None:
    wrong = view(
        one("sum", "rate", "a", nulls="drop", where="price > 1"), one("median", name="b"),
        one("ordinal", "shop", "c", zone="here", last_hour=99), entity=["nobody"], windows=["1w"], delay="9",
    )  # fmt: skip
    assert [line.partition("[v]")[2].partition("=")[0].partition(" ")[0] for line in faults(wrong)] == [
        ".entity", ".delay:", ".windows:", ".a.column", ".a.nulls", ".a.where", ".b.kind",
        ".c.column", ".c.column", ".c.zone", ".c.last_hour",
    ]  # fmt: skip


class TestReserved:
    def test_one_fault_names_all_that_the_snapshot_has_columns_for(self) -> None:
        names = ["score", "card", "label", "fine", "known_time", "part"]
        (said,) = faults(view(*(one("column", "amount", name) for name in names)))
        assert said.startswith("features: card, known_time, label, part, score cannot be the name of a feature: ")
        assert "id, at, known_time, card, shop, label, label_known_time, part, place, draw, score." in said
        assert said.endswith("Rename the feature, such as card_value.")

    def test_a_name_counts_with_its_window_or_category(self) -> None:
        row = view(one("one_hot", "grade", "label"), name="row")
        assert "label_1d" in defined(counting(), view(one("count", name="label"), name="w", **CARD), row).names

    def test_a_column_that_is_no_role_may_name_a_feature(self) -> None:
        assert defined(view(one("column", "amount", "amount"))).names == ("amount",)

    def test_all_that_a_stratified_snapshot_adds_is_reserved(self) -> None:
        assert {protocol.PLACE, protocol.DRAW} <= set(reserved.ADDED)
