"""A row's part depends on its id, its class and the seed; on nothing else."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import SplitConfig
from workbench.evaluation.split import draws, places, stratified

SPLIT = SplitConfig(kind="stratified", validation_share=0.25, test_share=0.125, seed=3)
IDS = np.array([f"loan-{number}" for number in range(4000)], dtype=object)
LABELS = (np.arange(4000) % 10 == 0).astype(np.int8)


def parts(ids: np.ndarray = IDS, labels: np.ndarray = LABELS, split: SplitConfig = SPLIT) -> list[str]:
    found: list[str] = stratified(ids, labels, split).to_pylist()
    return found


def test_each_class_has_exactly_the_configured_shares() -> None:
    for label, rows in ((0, 3600), (1, 400)):
        of_class = [part for part, one in zip(parts(), LABELS, strict=True) if one == label]
        assert [of_class.count(part) for part in ("test", "valid", "train")] == [rows // 8, rows // 4, rows * 5 // 8]


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_shares_that_give_no_whole_rows_are_rounded_down(good: int, bad: int) -> None:
    labels = np.repeat(np.array([0, 1], np.int8), [good, bad])
    found = parts(IDS[: good + bad], labels)
    assert found.count("test") == good // 8 + bad // 8
    assert found.count("valid") == good // 4 + bad // 4


def test_folds_deal_the_rows_that_do_not_test_evenly_in_each_class() -> None:
    folds = parts(split=dataclasses.replace(SPLIT, folds=4))
    for label, rows in ((0, 3600), (1, 400)):
        of_class = [part for part, one in zip(folds, LABELS, strict=True) if one == label]
        assert [of_class.count(f"fold-{fold}") for fold in range(4)] == pytest.approx([rows * 7 / 32] * 4, abs=1)
    tests = [place for place, part in enumerate(folds) if part == "test"]
    assert tests == [place for place, part in enumerate(parts()) if part == "test"], "the same rows test"


def test_the_order_of_the_rows_does_not_matter() -> None:
    order = np.random.default_rng(0).permutation(len(IDS))
    shuffled, whole = parts(IDS[order], LABELS[order]), parts()
    assert shuffled == [whole[row] for row in order]


def test_one_seed_gives_one_split_and_another_seed_another() -> None:
    other = parts(split=SplitConfig(kind="stratified", validation_share=0.25, test_share=0.125, seed=4))
    assert parts() == parts()
    assert 0.3 < np.mean(np.array(parts()) == np.array(other)) < 0.7  # of independent splits 15/32 agree


def test_the_split_is_the_same_on_every_machine_and_for_ever() -> None:
    ids = np.array(list(range(16)), dtype=object)
    found = parts(ids, np.zeros(16, np.int8))
    assert [place for place, part in enumerate(found) if part == "test"] == [5, 13]
    assert [place for place, part in enumerate(found) if part == "valid"] == [1, 4, 8, 15]


def test_neighbouring_ids_are_spread_over_the_parts() -> None:
    numbered = parts(np.array(list(range(4000)), dtype=object), np.zeros(4000, np.int8))
    for start in range(0, 4000, 500):
        assert 80 < numbered[start : start + 500].count("valid") < 170


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_rows_are_all_training_rows(count: int) -> None:
    assert parts(IDS[:count], np.zeros(count, np.int8)) == ["train"] * count


def test_the_places_of_the_test_part_share_out_all_rows() -> None:
    ids, labels = np.arange(1000).astype(object), (np.arange(1000) % 10 == 0).astype(np.int8)
    parts = [stratified(ids, labels, SplitConfig(kind="stratified", test_share=0.2, test_place=n)) for n in range(5)]
    tested = np.stack([np.array(one.to_pylist()) == "test" for one in parts])
    assert tested.sum(axis=0).tolist() == [1] * 1000, "every row tests once"
    assert [int(labels[rows].sum()) for rows in tested] == [20] * 5
    folds = stratified(ids, labels, SplitConfig(kind="stratified", test_share=0.2, test_place=2, folds=4)).to_pylist()
    assert {one: folds.count(one) for one in set(folds)} == {"test": 200} | {f"fold-{n}": 200 for n in range(4)}


CARDS = np.array([f"card-{number}" for number in np.random.default_rng(0).integers(0, 300, 4000)], dtype=object)


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_places_deal_each_class_to_folds_that_differ_by_one_row_at_most(folds: int) -> None:
    fold = np.floor(places(IDS, LABELS, SPLIT) * folds).astype(int)
    for label in (0, 1):
        sizes = np.bincount(fold[label == LABELS], minlength=folds)
        assert len(sizes) == folds
        assert np.ptp(sizes) <= 1


def test_a_place_depends_on_id_class_and_seed_and_not_on_the_order_of_the_rows() -> None:
    order = np.random.default_rng(1).permutation(4000)
    assert np.array_equal(places(IDS, LABELS, SPLIT)[order], places(IDS[order], LABELS[order], SPLIT))
    other = SplitConfig(kind="stratified", seed=4)
    assert not np.array_equal(places(IDS, LABELS, SPLIT), places(IDS, LABELS, other))


def test_no_group_lies_in_two_parts_or_folds_and_shares_are_about_those_asked_for() -> None:
    found = np.array(stratified(IDS, LABELS, SPLIT, CARDS).to_pylist())
    fold = np.floor(places(IDS, LABELS, SPLIT, CARDS) * 5).astype(int)
    for dealt in (found, fold):
        assert all(len(set(dealt[card == CARDS])) == 1 for card in set(CARDS))
    assert [(found == part).mean() for part in ("test", "valid", "train")] == pytest.approx(
        [0.125, 0.25, 0.625], abs=0.03
    )
    assert np.bincount(fold) / 4000 == pytest.approx(np.full(5, 0.2), abs=0.03)
    for part in ("test", "valid", "train"):
        assert LABELS[found == part].mean() == pytest.approx(0.1, abs=0.03)


def test_folds_of_groups_split_no_group_and_the_same_groups_test() -> None:
    found = np.array(stratified(IDS, LABELS, dataclasses.replace(SPLIT, folds=4), CARDS).to_pylist())
    assert all(len(set(found[card == CARDS])) == 1 for card in set(CARDS))
    assert [(found == f"fold-{fold}").mean() for fold in range(4)] == pytest.approx([0.875 / 4] * 4, abs=0.03)
    whole = np.array(stratified(IDS, LABELS, SPLIT, CARDS).to_pylist())
    assert np.array_equal(found == "test", whole == "test")


def test_rows_of_a_share_are_those_of_every_larger_share_and_spread_over_all_places() -> None:
    draw, place = draws(IDS, 3), places(IDS, LABELS, SPLIT)
    assert [(draw < share).mean() for share in (0.1, 0.5, 1.0)] == pytest.approx([0.1, 0.5, 1.0], abs=0.03)
    assert abs(np.corrcoef(draw, place)[0, 1]) < 0.05
    assert np.array_equal(draw, draws(IDS, 3))
