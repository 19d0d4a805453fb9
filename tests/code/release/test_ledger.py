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
