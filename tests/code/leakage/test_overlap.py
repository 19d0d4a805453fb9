"""What parts share is told: copied rows, entities of a split that claims to part them, and times."""

import numpy as np
import pandas as pd
import pytest

from tests.code.leakage.planted import audited, loaded
from workbench.leakage import overlap
from workbench.leakage.table import Audited


def parted(share: float) -> tuple[pd.DataFrame, np.ndarray]:
    """The loans in two parts, and a share of the training rows copied into the test part."""
    frame, label_N = loaded("lending_club")
    random = np.random.default_rng(0)
    frame = frame.assign(split=np.where(random.random(len(frame)) < 0.3, "test", "train"))
    train = np.flatnonzero((frame["split"] == "train").to_numpy())
    rows = random.choice(train, int(share * len(frame)), replace=False)
    copied = frame.iloc[rows].assign(split="test")
    return pd.concat([frame, copied], ignore_index=True), np.append(label_N, label_N[rows])


def entities(split: str, overlapping: bool) -> Audited:
    frame, label_N = loaded("lending_club")
    half = np.arange(len(frame)) % 2
    who = np.arange(len(frame)) // 4 * (1 if overlapping else 2) + (0 if overlapping else half)
    return audited(frame.assign(who=who, split=np.where(half, "test", "train")), label_N, ("who",), split=split)


class TestCopiedRows:
    def test_are_a_leak_from_one_in_a_hundred_on(self) -> None:
        (found,) = overlap.copies(audited(*parted(0.03)))
        assert found.leak
        assert found.evidence == "590 rows (5.81%) have an equal one in another part"

    def test_are_a_note_where_they_are_few(self) -> None:
        (found,) = overlap.copies(audited(*parted(0.002)))
        assert not found.leak

    def test_are_found_without_parts_too(self) -> None:
        frame, label_N = parted(0.03)
        (found,) = overlap.copies(audited(frame.drop(columns="split"), label_N))
        assert found.leak

    def test_are_none_in_the_loans(self) -> None:
        assert list(overlap.copies(audited(*loaded("lending_club")))) == []

    def test_are_coincidences_where_rows_have_little_to_tell_them_apart(self) -> None:
        random = np.random.default_rng(0)
        frame = pd.DataFrame({name: random.integers(0, 8, 3000) for name in "abcd"})
        (found,) = overlap.copies(audited(frame, random.integers(0, 2, 3000)))
        assert not found.leak

    def test_count_a_missing_value_as_equal_to_another(self) -> None:
        frame = pd.DataFrame({"a": [np.nan, 1.0, np.nan, 2.0], "b": [0.0, 3.0, -0.0, 4.0]})
        (found,) = overlap.copies(audited(frame, np.array([0, 1, 0, 1])))
        assert found.evidence.startswith("1 rows")


class TestEntitiesInSeveralParts:
    def test_are_a_leak_where_the_split_claims_to_part_them(self) -> None:
        (found,) = overlap.shared_entities(entities("entity", overlapping=True))
        assert found.leak
        assert found.evidence == "2,464 of 2,465 values occur in more than one part"

    def test_are_a_note_where_it_does_not(self) -> None:
        (found,) = overlap.shared_entities(entities("random", overlapping=True))
        assert not found.leak

    @pytest.mark.parametrize(
        ("group", "leaks"), [("who", [("who", True), ("shop", False)]), ("shop", [("who", False), ("shop", True)])]
    )
    def test_are_a_leak_of_the_group_alone_where_rows_were_dealt_by_it(
        self, group: str, leaks: list[tuple[str, bool]]
    ) -> None:
        frame, label_N = loaded("lending_club")
        row = np.arange(len(frame))
        frame = frame.assign(who=row // 4, shop=row // 6, split=np.where(row % 2, "test", "train"))
        table = audited(frame, label_N, ("who", "shop"), split="entity", group=group)
        assert [(one.column, one.leak) for one in overlap.shared_entities(table)] == leaks

    @pytest.mark.parametrize(("split", "overlapping"), [("entity", False), ("time", True)])
    def test_are_nothing_where_they_are_parted_or_come_back_later(self, split: str, overlapping: bool) -> None:
        assert list(overlap.shared_entities(entities(split, overlapping))) == []


@pytest.mark.parametrize(("cut", "leaks"), [(0, 0), (500, 1)])
def test_parts_of_a_split_by_time_that_overlap_are_a_leak(cut: int, leaks: int) -> None:
    frame, label_N = loaded("lending_club")
    time = np.arange(len(frame))
    part = np.where((time < 5000) | ((time > 6000) & (time <= 6000 + cut)), "train", "test")
    found = list(overlap.mixed_times(audited(frame.assign(time=time, split=part), label_N)))
    assert len(found) == leaks
