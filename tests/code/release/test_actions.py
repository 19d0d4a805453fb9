"""What is asked wrongly is told at once and changes nothing; what is asked rightly is live."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.code.release.versions import made
from workbench.data.store import Store
from workbench.errors import ConfigError
from workbench.release import ledger
from workbench.release.actions import act
from workbench.release.releases import Releases


def fill(store: Store) -> Store:
    """Versions v1 to v9; v1 was champion before v2 is, v3 is a shadow."""
    made(store, *(f"v{number}" for number in range(1, 10)))
    for action, version in (("promote", "v1"), ("promote", "v2"), ("shadow", "v3")):
        do(store, action, version)
    return store


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One for all that is refused."""
    return fill(Store(str(tmp_path_factory.mktemp("unchanged") / "store")))


def do(store: Store, action: str, version: str | None, reason: str | None = "a test", **more: Any) -> Releases:
    return act(store, "payments", action, version, reason, **more)


def refused(store: Store, *asked: Any, **more: Any) -> list[str]:
    """The faults; and the ledger is as before."""
    before = ledger.live_releases(store, "payments")
    with pytest.raises(ConfigError) as caught:
        do(store, *asked, **more)
    assert ledger.live_releases(store, "payments") == before
    heading, *faults = str(caught.value).split("\n  - ")
    assert heading == "Nothing is done with payments:"
    return faults


def test_a_life_of_releases(filled: Store) -> None:
    live = do(filled, "canary", "v3", canary_percent=5, canary_steps=[1, 5, 25, 50])
    assert live.canary is not None
    assert (live.canary.version, live.canary.percent, live.canary.steps, live.shadows) == ("v3", 5, (25, 50), ())
    assert do(filled, "promote", "v3").promoted == ("v1", "v2", "v3")
    assert do(filled, "rollback", None).champion == "v2"
    assert do(filled, "rollback", "v2").champion == "v1"
    told = [(row["action"], row["version"], row["from_alias"]) for row in ledger.history(filled, "payments")][3:]
    rolled = [("rollback", "v3", "champion"), ("rollback", "v2", "champion")]
    assert told == [("canary", "v3", "shadow"), ("promote", "v3", "canary"), *rolled]


def test_a_canary_begins_with_the_first_step_where_no_percent_is_said(filled: Store) -> None:
    live = do(filled, "canary", "v4", canary_steps=[2, 10])
    assert live.canary
    assert (live.canary.percent, live.canary.next_percent) == (2, 10)


def test_a_rollback_without_a_version_is_the_canarys_where_there_is_one(filled: Store) -> None:
    do(filled, "canary", "v4", canary_percent=5)
    live = do(filled, "rollback", None)
    assert (live.champion, live.canary) == ("v2", None)


def test_who_is_written(filled: Store) -> None:
    do(filled, "retire", "v3", who="a client")
    row = ledger.history(filled, "payments")[-1]
    assert (row["who"], row["why"]) == ("a client", "a test")


FAULTS: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "unknown action": (("deploy", "v4"), {}, "release.action=deploy is unknown. Use one of: shadow, canary, promote,"),
    "unknown version": (("promote", "v77"), {}, "release.version=v77 is no version in "),
    "no version": (("promote", None), {}, "release.version is not set, and release.action=promote is of one."),
    "no reason": (("promote", "v4", None), {}, "release.reason is not set"),
    "blank reason": (("promote", "v4", "  "), {}, "release.reason is not set"),
    "champion again": (("promote", "v2"), {}, "release.version=v2 is the champion of payments: it cannot be promoted"),
    "canary of the champion": (
        ("canary", "v2"),
        {"canary_percent": 5},
        "release.version=v2 is the champion of payments: it cannot be a canary",
    ),
    "shadow of the champion": (("shadow", "v2"), {}, "it cannot be a shadow. Name another version."),
    "shadow twice": (("shadow", "v3"), {}, "release.version=v3 is shadow already"),
    "champion retired": (("retire", "v2"), {}, "it cannot be retired. Promote another, or roll it back."),
    "nothing to retire": (("retire", "v7"), {}, "release.version=v7 is not released: there is nothing to retire."),
    "rollback of a shadow": (("rollback", "v3"), {}, "release.version=v3 is neither canary nor champion"),
    "no percent": (("canary", "v4"), {}, "release.canary_percent is not set, and there are no steps"),
    "percent 0": (("canary", "v4"), {"canary_percent": 0}, "release.canary_percent=0 must be from 1 to 100"),
    "percent 101": (("canary", "v4"), {"canary_percent": 101}, "release.canary_percent=101 must be from 1 to 100"),
    "steps that fall": (
        ("canary", "v4"),
        {"canary_steps": [5, 1]},
        "release.canary_steps=[5, 1] must ascend, each from 1 to 100",
    ),
    "percent of a promotion": (
        ("promote", "v4"),
        {"canary_percent": 5},
        "release.canary_percent=5 says nothing of release.action=promote. Leave it out.",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_told_and_nothing_is_done(unchanged: Store, case: str) -> None:
    asked, more, said = FAULTS[case]
    (fault,) = refused(unchanged, *asked, **more)
    assert said in fault


def test_a_fourth_shadow_and_a_second_canary_are_refused(filled: Store) -> None:
    for version in ("v4", "v5"):
        do(filled, "shadow", version)
    (fault,) = refused(filled, "shadow", "v6")
    assert fault == "v3, v4, v5 are shadows already, and 3 are allowed. Retire one of them first."
    do(filled, "canary", "v6", canary_percent=5)
    (fault,) = refused(filled, "canary", "v7", canary_percent=5)
    assert fault == "v6 is the canary already. Promote, roll back or retire it first."
    live = do(filled, "canary", "v6", canary_percent=40)
    assert live.canary
    assert live.canary.percent == 40


def test_the_first_champion_has_nothing_to_go_back_to_and_nothing_stands_beside_none(store: Store) -> None:
    made(store, "v1")
    assert refused(store, "rollback", None) == ["Nothing of payments is live: there is nothing to roll back."]
    (fault,) = refused(store, "shadow", "v1")
    assert fault == "payments has no champion to stand beside. Use release.action=promote."
    do(store, "promote", "v1")
    (fault,) = refused(store, "rollback", None)
    assert fault == "v1 is the first champion of payments: there is nothing to go back to."


@pytest.mark.parametrize("action", ["promote", "shadow", "canary"])
def test_a_version_that_failed_its_parity_gate_does_not_go_live(filled: Store, action: str) -> None:
    more = {"canary_percent": 5} if action == "canary" else {}
    figures = {"application": "payments", "model_version": "v4", "rows": 1, "control": True, "missing": 0}
    report = filled.stage("parity", "p1").commit({}, {}, {**figures, "differing": 3})
    (fault,) = refused(filled, action, "v4", **more)
    assert fault == f"release.version=v4 failed its parity gate: {report.uri}. Run workloads.parity again."
    filled.stage("parity", "p2").commit({}, {}, {**figures, "differing": 0})
    do(filled, action, "v4", **more)


def test_all_faults_are_told_at_once(unchanged: Store) -> None:
    faults = refused(unchanged, "canary", "v77", None, canary_percent=500, canary_steps=[5, 5])
    assert len(faults) == 4


def test_of_four_who_ask_for_a_shadow_at_once_two_find_room(filled: Store) -> None:
    def ask(version: str) -> bool:
        try:
            do(Store(filled.root), "shadow", version)
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        taken = list(threads.map(ask, ("v4", "v5", "v6", "v7")))
    assert sum(taken) == 2
    assert len(ledger.live_releases(filled, "payments").shadows) == 3
