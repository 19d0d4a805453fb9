"""Each pair is counted once, whoever recorded it and whenever it is looked for."""

import datetime as dt
import shutil
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from workbench.data.store import Store
from workbench.feedback import prediction_log
from workbench.feedback.prediction_log import PREDICTIONS, TIME
from workbench.release.evidence import Evidence
from workbench.release.guardrails import Counts, next_percent
from workbench.release.releases import Canary, Releases, after
from workbench.release.settings import GuardrailsConfig

SINCE = 1_000_000
CANARY = Canary("new", 5, (), SINCE)
PAIR: dict[str, Any] = {
    "received_at": SINCE, "score": 0.5, "flagged": False, "model_version": "new", "alias": "canary", "scored_us": 100,
    "other_version": "old", "other_score": 0.5, "other_flagged": False, "other_us": 100,
}  # fmt: skip
BY_CHAMPION = {"alias": "champion", "model_version": "old", "other_version": "new"}
ALONE = {"received_at": SINCE, "score": 0.5, "flagged": False, "model_version": "old"}


def logged(store: Store, *rows: dict[str, Any]) -> None:
    """Records of one segment, as the compactor writes them."""
    times = ("event_time", "received_at")
    schema = pa.schema([pa.field(one.name, TIME) if one.name in times else one for one in PREDICTIONS])
    table = prediction_log.predictions(store, "log")
    table.append(pa.Table.from_pylist(list(rows), schema), f"predictions-{dt.datetime.now()}", 1, widen=True)


@pytest.fixture
def evidence(store: Store) -> Evidence:
    return Evidence(store, "log", GuardrailsConfig())


def test_there_is_none_before_there_is_a_log(evidence: Evidence) -> None:
    assert evidence.of(CANARY) == Counts()


CASES: dict[str, tuple[dict[str, Any], Counts]] = {
    "a pair that agrees": ({}, Counts(1)),
    "decisions that differ": ({"flagged": True}, Counts(1, differing=1)),
    "scores apart": ({"score": 0.71}, Counts(1, shifted=1)),
    "scores apart, the other way": ({"other_score": 0.8}, Counts(1, shifted=1)),
    "scores near": ({"score": 0.69}, Counts(1)),
    "slow": ({"scored_us": 1301}, Counts(1, slow=1)),
    "as slow as allowed": ({"scored_us": 1300}, Counts(1)),
    "a slow champion": ({"other_us": 9000}, Counts(1)),
    "slow, beside a champion that answers": ({**BY_CHAMPION, "other_us": 1301}, Counts(1, slow=1)),
    "a fault": (
        {**BY_CHAMPION, "other_score": None, "other_flagged": None, "other_us": None, "other_fault": "NoNumber"},
        Counts(faults=1),
    ),
    "another canary's": ({"model_version": "newer"}, Counts()),
    "before it began": ({"received_at": SINCE - 1}, Counts()),
}


@pytest.mark.parametrize("case", CASES)
def test_what_counts(store: Store, evidence: Evidence, case: str) -> None:
    changed, expected = CASES[case]
    logged(store, {**PAIR, **changed}, ALONE)
    assert evidence.of(CANARY) == replace(expected, at_share=expected.pairs)


def test_what_was_counted_is_not_counted_again_and_what_is_new_is(store: Store, evidence: Evidence) -> None:
    seen = []
    for number in (3, 2, 0):
        logged(store, *[PAIR] * number, ALONE)
        seen += [evidence.of(CANARY), evidence.of(CANARY)]
    assert [one.pairs for one in seen] == [3, 3, 5, 5, 5, 5]


def test_another_canary_is_counted_from_its_own_start(store: Store, evidence: Evidence) -> None:
    logged(store, PAIR, {**PAIR, "model_version": "newer", "received_at": SINCE + 1})
    assert evidence.of(CANARY).pairs == 1
    assert evidence.of(Canary("newer", 5, (), SINCE)).pairs == 1
    assert evidence.of(Canary("newer", 5, (), SINCE + 2)).pairs == 0


def test_a_table_that_was_written_anew_is_counted_anew(store: Store, evidence: Evidence) -> None:
    logged(store, PAIR, PAIR)
    assert evidence.of(CANARY).pairs == 2
    shutil.rmtree(prediction_log.predictions(store, "log").uri)
    logged(store, PAIR)
    assert evidence.of(CANARY).pairs == 1


def test_a_log_of_a_version_without_pairs_has_none(store: Store, evidence: Evidence) -> None:
    prediction_log.predictions(store, "log").append(pa.table({"id": ["1"]}), "older", 1)
    assert evidence.of(CANARY) == Counts()
    logged(store, PAIR)
    assert evidence.of(CANARY) == Counts(1, at_share=1)


def test_pairs_of_a_share_are_those_since_it_began_and_all_count_as_evidence(store: Store, evidence: Evidence) -> None:
    logged(store, PAIR, PAIR, {**PAIR, "received_at": SINCE + 5}, {**PAIR, "received_at": SINCE + 7})
    seen = [evidence.of(replace(CANARY, stepped_us=stepped)) for stepped in (SINCE, SINCE + 5, SINCE + 6, SINCE + 8)]
    assert [(one.pairs, one.at_share) for one in seen] == [(4, 4), (4, 2), (4, 1), (4, 0)]
    logged(store, {**PAIR, "received_at": SINCE + 3}, {**PAIR, "received_at": SINCE + 9})
    newest = evidence.of(replace(CANARY, stepped_us=SINCE + 8))
    assert (newest.pairs, newest.at_share) == (6, 1), "one of the two that arrived later is of the share before"


def test_what_arrives_at_once_brings_a_canary_one_share_on_and_no_further(store: Store, evidence: Evidence) -> None:
    """The compactor catches up after the store was away: six shares' worth of pairs, all of them of the first share."""
    cfg, canary, percents = GuardrailsConfig(pairs_per_step=10), Canary("new", 1, (5, 25, 50), SINCE, SINCE), []
    logged(store, *[PAIR] * 60)
    for look in range(1, 7):
        counts = evidence.of(canary)
        percents.append(next_percent(counts, canary, cfg))
        at = dt.datetime.fromtimestamp((SINCE + 100 * look) / 1e6, dt.UTC)
        advance = {"action": "advance", "version": "new", "canary_percent": percents[-1], "at": at}
        if percents[-1]:
            canary = after(Releases(promoted=("old",), canary=canary), advance).canary or canary
        if look == 3:
            logged(store, *[{**PAIR, "received_at": SINCE + 350}] * 10)
    assert percents == [5, None, None, 25, None, None]
