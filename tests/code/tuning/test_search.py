"""When a sweep ends, and what Optuna is told of trials that are over."""

import copy
import time
from collections.abc import Callable

import numpy as np
import pytest
from ray.tune.search import Searcher

from workbench.config import Config
from workbench.tuning.records import FAILED, FINISHED, STOPPED, Record, best, best_of_each
from workbench.tuning.report import front, importance, importance_picture, parallel_picture, table
from workbench.tuning.search import PROCESS_S, Ends, searcher, study
from workbench.tuning.space import Space, Values
from workloads import door

KEY = "train.xgboost.max_depth"


@pytest.fixture(scope="module")
def default() -> Config:
    return door.composed(["tune=auto"])


@pytest.fixture
def cfg(default: Config) -> Config:
    cfg = copy.deepcopy(default)
    cfg.tune.families, cfg.tune.challenge = ["xgboost", "lightgbm"], False
    both = {"low": 1, "high": 9}
    cfg.tune.space = {"train": {"xgboost": {"max_depth": both}, "lightgbm": {"num_leaves": {"low": 2, "high": 9}}}}
    return cfg


def record(number: int, score: float, status: str = FINISHED, family: str = "xgboost", size: float = 1.0) -> Record:
    values = {"family": family, KEY: number} if family == "xgboost" else {"family": family}
    scores = {} if status == FAILED else {"average_precision": score, "roc_auc": score, "model_bytes": size}
    return Record(f"{number:016x}", values, status, scores, [score], 10, 1.0, float(number))


def test_optuna_learns_from_all_trials_but_those_that_failed(cfg: Config) -> None:
    known = [record(1, 0.5), record(2, 0.4, STOPPED), record(3, 0.0, FAILED)]
    found = study(Space.of(cfg), ["average_precision"], known)
    assert [(one.params, one.value) for one in found.trials] == [
        ({"family": "xgboost", KEY: 1}, 0.5),
        ({"family": "xgboost", KEY: 2}, 0.4),
    ]


def test_the_first_trials_are_the_config_itself_and_the_same_seed_goes_on_alike(cfg: Config) -> None:
    space = Space.of(cfg)
    begin = [{"family": "lightgbm", "train.lightgbm.num_leaves": 8}, {"family": "xgboost", KEY: 3}]

    def drawn() -> list[dict[str, object]]:
        one = searcher(space, cfg.tune, begin, [])
        return [one.suggest(str(number)) for number in range(6)]

    assert (first := drawn())[:2] == begin
    assert first == drawn()
    cfg.tune.seed = 1
    assert drawn()[2:] != first[2:]


def test_for_a_stack_the_families_take_turns_whichever_does_best(cfg: Config) -> None:
    cfg.tune.challenge, cfg.tune.trials, space = True, 12, Space.of(cfg)
    begin = [{"family": "xgboost", KEY: 3}, {"family": "lightgbm", "train.lightgbm.num_leaves": 8}]
    found = tried(searcher(space, cfg.tune, begin, []), 12)
    assert found[:2] == begin
    assert [one["family"] for one in found] == ["xgboost", "lightgbm"] * 6


def test_after_a_restart_those_tried_least_come_first_and_one_that_was_not_begins_as_configured(cfg: Config) -> None:
    cfg.tune.challenge, space = True, Space.of(cfg)
    begin = [{"family": "xgboost", KEY: 3}, {"family": "lightgbm", "train.lightgbm.num_leaves": 8}]
    known = [record(number, 0.5 + number / 100) for number in (1, 2, 3)]
    found = tried(searcher(space, cfg.tune, begin, known), 5)
    assert found[0] == begin[1]
    assert [one["family"] for one in found] == ["lightgbm"] * 3 + ["xgboost", "lightgbm"]
    assert found[3] not in begin, "it was tried"


def test_after_a_restart_the_config_is_tried_where_the_kill_took_that_trial(cfg: Config) -> None:
    begin = [{"family": "lightgbm", "train.lightgbm.num_leaves": 8}, {"family": "xgboost", KEY: 3}]
    for challenge in (False, True):
        cfg.tune.challenge, space = challenge, Space.of(cfg)
        assert begin[1] in tried(searcher(space, cfg.tune, begin, [record(5, 0.5)]), 4)
        assert begin[1] not in tried(searcher(space, cfg.tune, begin[1:], [record(3, 0.5)]), 1)


def test_a_family_that_fails_does_not_catch_up_after_a_restart(cfg: Config) -> None:
    cfg.tune.challenge, space = True, Space.of(cfg)
    search, found = searcher(space, cfg.tune, [], [record(number, 0.5) for number in range(1, 9)]), []
    for number in range(4):
        found.append(search.suggest(str(number))["family"])
        search.on_trial_complete(str(number), error=found[-1] == "lightgbm")
    assert found == ["lightgbm", "xgboost", "lightgbm", "xgboost"]


def test_a_family_of_which_nothing_is_drawn_is_tried_once(cfg: Config) -> None:
    cfg.tune.challenge = True
    del cfg.tune.space["train"]["lightgbm"]
    found = tried(searcher(Space.of(cfg), cfg.tune, [], []), 4)
    assert [one["family"] for one in found] == ["xgboost", "lightgbm", "xgboost", "xgboost"]
    cfg.tune.space = {}
    search = searcher(Space.of(cfg), cfg.tune, [], [])
    assert [one["family"] for one in tried(search, 2)] == ["xgboost", "lightgbm"]
    assert search.suggest("more") == Searcher.FINISHED


def test_each_family_of_a_stack_learns_from_its_own_trials(cfg: Config) -> None:
    cfg.tune.challenge, cfg.tune.trials, space = True, 80, Space.of(cfg)
    leaves = "train.lightgbm.num_leaves"
    search = searcher(space, cfg.tune, [], [])
    found = tried(search, 80, lambda one: 0.5 + 0.04 * one[KEY] if KEY in one else 0.1 + 0.01 * one[leaves])
    late = [one[leaves] for one in found[40:] if leaves in one]
    assert np.mean(late) > 7, "of 2 to 9 the most is best, though all are far below the other family"


def tried(
    search: Searcher, trials: int, score: Callable[[Values], float] = lambda one: float(KEY in one)
) -> list[Values]:
    """What is drawn for so many trials, one after the other."""
    found = []
    for number in range(trials):
        found.append(search.suggest(str(number)))
        search.on_trial_complete(str(number), {"average_precision": score(found[-1])})
    return found


def test_a_sweep_ends_where_nothing_gets_better(cfg: Config) -> None:
    cfg.tune.plateau_trials, cfg.tune.plateau_gain = 2, 0.01
    ends = Ends(cfg.tune, None, [record(1, 0.5)])
    for trial, score, over in [("a", 0.52, False), ("b", 0.525, False), ("c", 0.4, True)]:
        result = {"finished": True, "average_precision": score, "seconds": 1, "config": {"family": "xgboost"}}
        ends(trial, result)
        ends(trial, {**result, "done": True})  # as Tune tells it once more
        assert ends.stop_all() == over
    assert ends.why == "no gain of 0.01 in 2 trials"


def test_for_a_stack_a_family_that_gets_better_counts_though_another_is_ahead(cfg: Config) -> None:
    cfg.tune.plateau_trials, cfg.tune.plateau_gain, cfg.tune.challenge = 2, 0.01, True
    ends = Ends(cfg.tune, None, [record(1, 0.9), record(2, 0.5, family="lightgbm")])
    for score, over in [(0.4, False), (0.52, False), (0.525, False), (0.4, True)]:
        ends.see("lightgbm", score, 1)
        assert ends.stop_all() == over


def test_a_sweep_ends_before_its_time_so_that_what_follows_has_some(cfg: Config) -> None:
    cfg.tune.time_budget_s, cfg.tune.plateau_trials = 100.0, None
    assert not Ends(cfg.tune, time.monotonic() + 30, []).stop_all()
    assert not Ends(cfg.tune, time.monotonic() + 3, []).stop_all(), "without a finished trial nothing follows"
    assert Ends(cfg.tune, time.monotonic() + 3, [record(1, 0.5)]).stop_all()
    cfg.tune.challenge = True
    ends = Ends(cfg.tune, time.monotonic() + 30, [])
    assert not ends.stop_all()
    ends("t", {"finished": True, "average_precision": 0.5, "seconds": 40.0, "config": {"family": "xgboost"}})
    assert ends.stop_all(), "a fit of 40 s is still to be made"
    assert "tune.time_budget_s=100 is used up" in ends.why


def test_a_trial_that_is_not_over_counts_as_long_as_it_has_taken(cfg: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg.tune.time_budget_s, cfg.tune.plateau_trials, cfg.tune.challenge = 100.0, None, True
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    ends = Ends(cfg.tune, None, [record(1, 0.5)], setup_s=8)
    before = ends.reserve_s()
    ends.begun("a", "random_forest")
    monkeypatch.setattr(time, "monotonic", lambda: 1020.0)
    assert ends.reserve_s() == before + 20 + PROCESS_S
    ends.over("a")
    assert ends.reserve_s() == before


def test_what_follows_is_reckoned_by_what_came_before_and_by_the_fits_of_a_trial(cfg: Config) -> None:
    cfg.tune.time_budget_s, cfg.tune.challenge = 120.0, True

    def reserve_s(seconds: float, setup_s: float, share: float) -> float:
        ends = Ends(cfg.tune, None, [], setup_s, share)
        ends.see("xgboost", 0.5, seconds)
        return ends.reserve_s() - PROCESS_S

    assert reserve_s(10, 1, 1) == 10 + 24, "a fifth of the budget at least"
    assert reserve_s(10, 8, 1) == 10 + 32, "four times the setup"
    assert reserve_s(10, 60, 1) == 10 + 40, "a third of the budget at most: data may have been made as well"
    assert reserve_s(10, 1, 0.2) == 5 + 24, "one fit of five, but with a process of its own"
    assert reserve_s(100, 8, 1) == 80 - PROCESS_S, "a third is left for trials"


def test_only_a_finished_trial_wins_and_the_best_of_each_family_is_found() -> None:
    known = [record(1, 0.5), record(2, 0.9, STOPPED), record(3, 0.6), record(4, 0.7, family="lightgbm")]
    assert best(known) == known[3]
    assert best_of_each(known) == {"lightgbm": known[3], "xgboost": known[2]}
    assert best([record(1, 0.9, STOPPED)]) is None


def test_of_equal_trials_the_same_one_wins_in_whatever_order_they_ended() -> None:
    by_name, smaller = [record(1, 0.5), record(2, 0.5)], [record(1, 0.5, size=10), record(2, 0.5, size=20)]
    assert best(by_name) == best(by_name[::-1]) == by_name[1]
    assert best(smaller) == best(smaller[::-1]) == smaller[0]


def test_the_front_holds_what_no_other_beats(cfg: Config) -> None:
    known = [record(1, 0.5, size=10), record(2, 0.6, size=20), record(3, 0.4, size=10), record(4, 0.9, STOPPED)]
    assert front(known, ["average_precision", "model_bytes"]) == known[:2]


def test_what_decides_the_score_is_what_mattered_and_the_pictures_show_it(cfg: Config) -> None:
    cfg.tune.space["train"]["xgboost"]["subsample"] = {"low": 0.1, "high": 1.0}
    known = [record(n, 0.1 * n) for n in range(1, 9)]
    for number, one in enumerate(known):
        one.values["train.xgboost.subsample"] = 0.5 + 0.1 * (number % 2)
    space = Space.of(cfg)
    found = importance(space, known, "xgboost")
    assert found[KEY] > 0.8 > 0.2 > found["train.xgboost.subsample"]
    assert importance(space, known[:3], "xgboost") == {}, "three trials say nothing"
    picture = importance_picture({"xgboost": found, "lightgbm": {}}).decode()
    assert "max_depth" in picture
    assert "lightgbm" not in picture
    lines = parallel_picture(space, known).decode()
    assert "average precision" in lines
    assert "1 to 8" in lines
    assert table(known, ["average_precision"])["average_precision"].to_pylist() == [0.1 * n for n in range(1, 9)]
