"""What is live is what was released last, and nothing that was ever live is forgotten."""

import datetime as dt
import getpass
from typing import Any

import pytest

from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.release import ledger


def rows(store: Store) -> list[dict[str, Any]]:
    """The whole ledger, oldest first."""
    return Table(store, ledger.TABLE).read().sort_by("at").to_pylist()


def test_nothing_is_live_before_the_first_release(store: Store) -> None:
    assert ledger.live(store, "payments") is None


def test_the_newest_release_is_live_and_the_older_ones_stay_written(store: Store) -> None:
    for version in ("v1", "v2", "v1"):
        ledger.release(store, "payments", version, f"try {version}")
    assert ledger.live(store, "payments") == "v1"
    assert [row["version"] for row in rows(store)] == ["v1", "v2", "v1"], "a version that comes back is a new release"


def test_releasing_what_is_live_writes_nothing(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    ledger.release(store, "payments", "v1", "again")
    assert [row["why"] for row in rows(store)] == ["first"]


def test_of_a_version_that_is_withdrawn_the_one_before_it_is_live_again(store: Store) -> None:
    for version in ("v1", "v2", "v3", "v2"):
        ledger.release(store, "payments", version, f"try {version}")
    for version, left in (("v2", "v3"), ("v1", "v3"), ("v3", None)):
        ledger.withdraw(store, "payments", version, "it serves other numbers")
        assert ledger.live(store, "payments") == left
    assert len(rows(store)) == 7, "nothing that was written is gone"
    ledger.release(store, "payments", "v2", "corrected")
    assert ledger.live(store, "payments") == "v2"


def test_withdrawing_what_is_not_released_writes_nothing(store: Store) -> None:
    ledger.withdraw(store, "payments", "v1", "never there")
    ledger.release(store, "payments", "v1", "first")
    ledger.withdraw(store, "credit", "v1", "another application's")
    for _ in range(2):
        ledger.withdraw(store, "payments", "v1", "once")
    assert [row["action"] for row in rows(store)] == ["promote", "withdraw"]


def test_a_version_is_released_until_it_is_withdrawn_whatever_follows_it(store: Store) -> None:
    assert not ledger.is_released(store, "payments", "v1")
    for version in ("v1", "v2"):
        ledger.release(store, "payments", version, "try")
    assert ledger.is_released(store, "payments", "v1")
    ledger.withdraw(store, "payments", "v1", "why")
    assert not ledger.is_released(store, "payments", "v1")


def test_each_application_has_its_own_live_version(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    ledger.release(store, "credit", "v2", "first")
    assert (ledger.live(store, "payments"), ledger.live(store, "credit")) == ("v1", "v2")
    assert ledger.live(store, "smoke") is None


def test_a_release_says_what_went_live_when_by_whom_and_why(store: Store) -> None:
    before = dt.datetime.now(dt.UTC)
    ledger.release(store, "payments", "v1", "better on the test week")
    (row,) = rows(store)
    assert before <= row.pop("at") <= dt.datetime.now(dt.UTC)
    assert row == {
        "application": "payments",
        "version": "v1",
        "action": "promote",
        "who": getpass.getuser(),
        "why": "better on the test week",
    }


def test_the_ledger_is_kept_with_the_store(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    assert ledger.live(Store(store.root), "payments") == "v1"


@pytest.mark.parametrize("name", ["pay'ments", 'pay"ments', "zahlung €", "a/b"])
def test_any_name_of_an_application_is_only_a_name(store: Store, name: str) -> None:
    ledger.release(store, "payments", "v1", "first")
    ledger.release(store, name, "v2", "first")
    assert (ledger.live(store, name), ledger.live(store, "payments")) == ("v2", "v1")
