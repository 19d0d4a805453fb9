"""Every planted leak is named by the check that is for it, on real tables; nothing honest is."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tests.code.leakage.planted import PLANTS, SETS, audited, loaded
from workbench.leakage.audit import audit
from workbench.leakage.findings import Finding
from workbench.leakage.table import Audited

RATE, LIMIT = 0.01, 200_000


def leaks(table: Audited, *accept: str) -> list[Finding]:
    return [one for one in audit(table, RATE, LIMIT, accept) if one.leak]


def named(found: list[Finding], column: str, check: str) -> bool:
    return any(one.column == column and re.search(check, one.check) for one in found)


def planted(kind: str, name: str, folder: Path | None) -> list[Finding]:
    frame, label_N = loaded(name, folder)
    frame = frame.drop(columns="split", errors="ignore")
    return leaks(audited(PLANTS[kind][0](frame, label_N, np.random.default_rng(1)), label_N))


def test_there_are_many_kinds() -> None:
    assert len(PLANTS) == 21


@pytest.mark.parametrize("kind", PLANTS)
class TestAPlantedLeak:
    def test_is_named_in_the_loans_that_ship(self, kind: str) -> None:
        found = planted(kind, "lending_club", None)
        assert named(found, "planted", PLANTS[kind][1])
        assert {one.column for one in found} == {"planted"}, "and nothing else is blamed"

    @pytest.mark.parametrize("name", ["credit_data", "german"])
    def test_is_named_in_other_loans(self, kind: str, name: str, reference_data: Path) -> None:
        if (name, kind) == ("german", "noised group mean"):
            pytest.skip("83 groups of a thousand rows do not show it beyond chance")
        found = planted(kind, name, reference_data)
        assert named(found, "planted", PLANTS[kind][1])
        assert {one.column for one in found} == {"planted"}

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["adult", "uci_default", "elec2"])
    def test_is_named_in_large_tables(self, kind: str, name: str, reference_data: Path) -> None:
        assert named(planted(kind, name, reference_data), "planted", PLANTS[kind][1])


MANY = [
    "lending_club",
    "credit_data",
    *(pytest.param(one, marks=pytest.mark.slow) for one in ("adult", "uci_default", "elec2")),
]


@pytest.mark.parametrize("name", MANY)
def test_all_leaks_are_named_where_there_are_many_at_once(name: str, request: pytest.FixtureRequest) -> None:
    folder = None if name == "lending_club" else request.getfixturevalue("reference_data")
    frame, label_N = loaded(name, folder)
    whole = frame = frame.drop(columns="split", errors="ignore")
    for place, kind in enumerate(kinds := [one for one in PLANTS if one != "train mean"]):
        found = PLANTS[kind][0](frame, label_N, np.random.default_rng(place))
        whole = whole.assign(**{f"leak {kind}": found["planted"]})
        if "shop" in found:
            whole = whole.assign(**{f"shop {kind}": found["shop"]})
    assert {one.column for one in leaks(audited(whole, label_N))} == {f"leak {kind}" for kind in kinds}


class TestAnHonestTable:
    def test_that_ships_is_left_alone(self) -> None:
        assert audit(audited(*loaded("lending_club")), RATE, LIMIT) == []

    @pytest.mark.parametrize("name", SETS)
    def test_that_is_published_is_left_alone(self, name: str, reference_data: Path) -> None:
        found = audit(audited(*loaded(name, reference_data)), RATE, LIMIT)
        assert [one for one in found if one.leak] == []
        assert {one.check for one in found} <= {"copied rows"}, "a few equal rows are a note"

    def test_may_have_columns_that_are_nearly_perfect_where_others_say_the_same(self) -> None:
        for load in (datasets.load_breast_cancer, datasets.load_iris, datasets.load_wine):
            data = load(as_frame=True)
            order = np.random.default_rng(0).permutation(len(data.target))
            label_N = (data.target.to_numpy()[order] == 0).astype(np.int64)
            assert leaks(audited(data.data.iloc[order].reset_index(drop=True), label_N)) == []

    def test_may_have_a_value_that_equals_a_class_mean_by_chance(self) -> None:
        """With one decimal in all values, the mean of a class is such a value in one table of a few hundred."""
        steps_N = np.repeat(np.arange(-40, 41), 5) / 10  # symmetric: the mean of class 0 is the value 50
        value_N, label_N = np.append(50 + steps_N, 50 + steps_N[:60]), np.repeat([0, 1], [405, 60])
        order = np.random.default_rng(0).permutation(465)
        table = audited(pd.DataFrame({"value": value_N[order].round(1)}), label_N[order])
        assert table.columns[0].value_N[label_N[order] == 0].mean() == pytest.approx(50.0, abs=1e-12)
        assert leaks(table) == []

    def test_may_have_one_strong_column(self) -> None:
        """A solo AUC of .95 is no leak, even where no other column says anything."""
        random = np.random.default_rng(0)
        label_N = (random.random(20_000) < 0.05).astype(np.int64)
        frame = pd.DataFrame({"strong": random.normal(2.33 * label_N), "other": random.normal(size=20_000)})
        assert leaks(audited(frame, label_N)) == []

    @pytest.mark.parametrize("dealt", ["rows", "who"])
    def test_is_refused_less_often_than_the_rate_allows(self, dealt: str) -> None:
        """With labels that mean nothing, groups, parts and times: at most 1 of 40 tables, of which .4 may be."""
        frame, label_N = loaded("lending_club")
        roles = {"split": "random"} if dealt == "rows" else {"split": "entity", "group": "who"}
        refused = 0
        for seed in range(40):
            random = np.random.default_rng(seed)
            rows = np.sort(random.choice(len(frame), 400, replace=False))
            some = frame.iloc[rows].assign(who=random.integers(0, 70, 400), shop=random.integers(0, 9, 400))
            drawn = random.random(400)[np.arange(400) if dealt == "rows" else some["who"]]
            some["split"] = np.where(drawn < 0.3, "test", "train")
            some["time"] = np.sort(random.integers(0, 90 * 86_400_000_000, 400))
            label = random.permutation(label_N)[rows]
            refused += bool(leaks(audited(some, label, ("who", "shop"), **roles)))
        assert refused <= 1


@pytest.mark.parametrize("digits", [0, 2, 6])
@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.finfo(np.float64).max])
class TestAnInfiniteNumber:
    def test_is_no_leak(self, odd: float, digits: int) -> None:
        frame, label_N = loaded("lending_club")
        random = np.random.default_rng(0)
        honest = random.normal(1000, 300, len(frame)).round(digits)
        honest[[5, 50, 500]] = odd
        frame = frame.assign(honest=honest, split=np.where(random.random(len(frame)) < 0.3, "test", "train"))
        assert leaks(audited(frame.assign(time=np.arange(len(frame))), label_N, split="random")) == []

    def test_hides_no_leak_and_is_one_where_it_tells_the_label(self, odd: float, digits: int) -> None:
        frame, label_N = loaded("lending_club")
        value = np.random.default_rng(0).normal(1000, 300, len(frame)).round(digits)
        copy = np.where(label_N == 1, value + 10_000, value)
        copy[[5, 50, 500]] = odd
        frame = frame.assign(copy=copy, ratio=np.where((label_N == 1) & (value > 1000), odd, value))
        found = leaks(audited(frame, label_N))
        assert {one.column for one in found} == {"copy", "ratio"}
        shown = "-inf" if odd < 0 else "inf"
        assert any(one.evidence.startswith(f"{shown} in ") for one in found if one.column == "ratio")


def test_a_column_that_a_person_accepted_is_a_note() -> None:
    frame, label_N = loaded("lending_club")
    table = audited(frame.assign(planted=label_N), label_N)
    assert leaks(table, "planted") == []
    assert [one.column for one in audit(table, RATE, LIMIT, ("planted",))] == ["planted"]


def test_a_file_that_is_sorted_by_its_label_is_a_leak() -> None:
    frame, label_N = loaded("lending_club")
    order = np.argsort(label_N, kind="stable")
    assert named(leaks(audited(frame.iloc[order].reset_index(drop=True), label_N[order])), "(row order)", "order tells")


def test_what_a_leak_says_has_numbers_and_a_remedy() -> None:
    (found,) = planted("class mean", "lending_club", None)
    pattern = (
        r"\d+\.\d+, exactly the mean of its class, in (\d+) rows, \1 of them of class 0 \(94\.8% of all rows are\)"
    )
    assert re.fullmatch(pattern, found.evidence)
    assert found.remedy == "Drop it, or show that it is known before the outcome (then leakcheck.accept=[planted])."
