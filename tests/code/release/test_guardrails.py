"""A canary that keeps what is allowed is left alone however often one looks; one that does not is found soon."""

import math
import re

import numpy as np
import pytest

from workbench.release.guardrails import TIMES, Counts, harm, log_evidence, next_percent
from workbench.release.releases import Canary
from workbench.release.settings import GuardrailsConfig

CFG = GuardrailsConfig()
RUNS, PAIRS = 300, 5000


def found_at(share: float, seed: int, cfg: GuardrailsConfig = CFG) -> list[int]:
    """After how many pairs each run is rolled back, looked at after every 50 at first, then 100; 0: never."""
    random = np.random.default_rng(seed)
    looks = np.concatenate([[50], np.arange(100, PAIRS + 1, 100)])
    seen = np.cumsum(random.random((RUNS, PAIRS)) < share, axis=1)[:, looks - 1]
    counts = ([Counts(int(n), int(k)) for n, k in zip(looks, run, strict=True)] for run in seen)
    return [next((one.pairs for one in run if harm(one, cfg)), 0) for run in counts]


def test_a_canary_at_the_limit_is_rolled_back_in_one_of_a_hundred_runs_at_most() -> None:
    cfg = GuardrailsConfig(alpha=0.3)  # a third of it is this test's, and 300 runs can tell 0.1 from 0.17
    rolled_back = sum(map(bool, found_at(cfg.disagreement, 1, cfg=cfg)))
    assert rolled_back / RUNS <= 0.1 + 3 * math.sqrt(0.09 / RUNS)
    assert sum(map(bool, found_at(CFG.disagreement, 2))) / RUNS <= 0.01


def test_a_canary_below_the_limit_hardly_ever_is() -> None:
    assert sum(map(bool, found_at(0.015, 3))) <= 1


@pytest.mark.parametrize(("share", "within"), [(0.04, 2500), (0.06, 1000), (0.2, 150)])
def test_a_worse_one_is_found_soon(share: float, within: int) -> None:
    found = found_at(share, 4)
    assert sum(0 < at <= within for at in found) / RUNS >= 0.97


def test_the_evidence_is_a_fair_game_at_the_limit_and_a_losing_one_below() -> None:
    """Its mean over all outcomes is 1 at the allowed share, whatever the number of pairs."""
    for pairs in (1, 7, 40):
        for share, mean in ((0.02, 1.0), (0.01, None)):
            chances = [math.comb(pairs, k) * share**k * (1 - share) ** (pairs - k) for k in range(pairs + 1)]
            expected = sum(p * math.exp(log_evidence(pairs, k, 0.02)) for k, p in enumerate(chances))
            assert expected == pytest.approx(mean, rel=1e-9) if mean else expected < 1


@pytest.mark.parametrize("allowed", [1e-6, 0.02, 0.5, 0.99, 0.999999])
def test_evidence_is_a_number_whatever_is_allowed_and_grows_with_what_is_found(allowed: float) -> None:
    told = [log_evidence(1000, found, allowed) for found in range(0, 1001, 50)]
    assert all(math.isfinite(one) for one in told)
    assert told == sorted(told)
    assert log_evidence(0, 0, allowed) == pytest.approx(0)
    assert min(TIMES) > 1


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (Counts(), None),
        (Counts(pairs=1000, differing=20, shifted=50, slow=50, faults=3), None),
        (Counts(faults=4), "4 of its scores failed or were no number; serve.guardrails.faults=3 may."),
        (Counts(pairs=1000, differing=60), "60 of 1,000 decisions differ from the champion's; .*disagreement=0.02"),
        (Counts(pairs=1000, shifted=120), "120 of 1,000 scores are more than 0.2 from .*shifted_share=0.05"),
        (Counts(pairs=1000, slow=120), "120 of 1,000 scores took too long .*slow_share=0.05"),
    ],
)
def test_each_guardrail_says_what_it_saw_and_what_it_allows(counts: Counts, said: str | None) -> None:
    reason = harm(counts, CFG)
    assert (reason is None) == (said is None)
    if said:
        assert re.match(said, str(reason)), reason


def test_counts_of_replicas_add_up() -> None:
    assert Counts(1, 2, 3, 4, 5, 1) + Counts(10, 20, 30, 40, 50, 10) == Counts(11, 22, 33, 44, 55, 11)


@pytest.mark.parametrize(
    ("at_share", "percent", "following"),
    [(999, 5, None), (1000, 5, 25), (999, 25, None), (1000, 25, 50), (9999, 50, None)],
)
def test_a_share_grows_after_its_own_number_of_pairs(at_share: int, percent: int, following: int | None) -> None:
    counts = Counts(pairs=10_000, at_share=at_share)  # most of them of the shares before
    assert next_percent(counts, Canary("v", percent, (25, 50)), CFG) == following
