"""What is live is what was released last, and nothing that was ever live is forgotten."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from tests.code.release.versions import made
from workbench.data.store import Store
from workbench.data.tables import Table
from workbench.errors import EnvironmentFault
from workbench.governance.users import user
from workbench.release import ledger
from workbench.release.ledger import Act


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


def test_an_act_is_done_where_only_the_small_file_could_not_be_written(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.release(store, "payments", "v1", "first")

    def full(*_: object) -> None:
        raise EnvironmentFault("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "write_bytes", full)
        live = ledger.append(store, "payments", Act("v2", "promote", "second"), ledger.live_releases(store, "payments"))
    assert live is not None and live.champion == "v2"
    told = ledger.told(store, "payments")
    assert told is not None and told.champion == "v1", "nobody could be told yet"
    assert ledger.publish(store, "payments") == ledger.told(store, "payments") == live


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
    made(store, "v1")
    ledger.challenge(store, "payments", "v1", "best of a sweep")
    before = dt.datetime.now(dt.UTC)
    ledger.release(store, "payments", "v1", "better on the test week")
    _, row = rows(store)
    assert before <= row.pop("at") <= dt.datetime.now(dt.UTC)
    assert row == {
        "application": "payments",
        "version": "v1",
        "action": "promote",
        "who": user(),
        "why": "better on the test week",
        "config_digest": store.get("models", "v1").manifest["config_digest"],
        "from_alias": "challenger",
        "canary_percent": None,
        "canary_steps": None,
        "step": 2,
    }


def test_the_ledger_is_kept_with_the_store(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    assert ledger.live(Store(store.root), "payments") == "v1"


@pytest.mark.parametrize("name", ["pay'ments", 'pay"ments', "zahlung €", "a/b"])
def test_any_name_of_an_application_is_only_a_name(store: Store, name: str) -> None:
    ledger.release(store, "payments", "v1", "first")
    ledger.release(store, name, "v2", "first")
    assert (ledger.live(store, name), ledger.live(store, "payments")) == ("v2", "v1")


@pytest.mark.parametrize("name", ["payments", "a/b", "../../up"])
def test_the_small_file_says_what_the_table_says_and_stays_in_the_store(store: Store, name: str) -> None:
    assert ledger.told(store, name) is None
    ledger.release(store, name, "v1", "first")
    ledger.append(store, name, Act("v2", "canary", "try", None, 5, (25,)), ledger.live_releases(store, name))
    told = ledger.told(store, name)
    assert told == ledger.live_releases(store, name)
    assert told is not None
    assert (told.champion, told.canary and told.canary.percent, told.step) == ("v1", 5, 2)
    assert ledger.file(store, name).startswith(store.path("tables", "live"))
    assert ".." not in ledger.file(store, name).split("/")


def test_a_file_that_was_lost_or_is_old_says_it_again(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    old = ledger.file(store, "payments")
    content = store.fs.open_input_stream(old).read()
    ledger.release(store, "payments", "v2", "second")
    with store.fs.open_output_stream(old) as stream:
        stream.write(content)
    assert ledger.publish(store, "payments") == ledger.told(store, "payments")
    store.fs.delete_file(old)
    ledger.publish(store, "payments")
    told = ledger.told(store, "payments")
    assert told is not None
    assert told.champion == "v2"


def test_of_two_who_decide_on_the_same_one_writes(store: Store) -> None:
    ledger.release(store, "payments", "v1", "first")
    live = ledger.live_releases(store, "payments")
    assert ledger.append(store, "payments", Act("v2", "promote", "a"), live) is not None
    assert ledger.append(store, "payments", Act("v3", "promote", "b"), live) is None
    assert ledger.live(store, "payments") == "v2"


def test_many_at_once_are_written_one_after_the_other(store: Store) -> None:
    ledger.release(store, "payments", "v0", "first")

    def challenge(number: int) -> None:
        ledger.challenge(Store(store.root), "payments", f"v{number}", "at once")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(challenge, range(1, 9)))
    written = rows(store)
    assert sorted(row["step"] for row in written) == list(range(1, 10))
    assert {row["version"] for row in written} == {f"v{number}" for number in range(9)}
    assert ledger.told(store, "payments") == ledger.live_releases(store, "payments")


def test_a_ledger_of_an_earlier_version_is_read_and_goes_on(store: Store) -> None:
    at = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (2, 1)]
    plain = {"application": "payments", "action": "promote", "who": "me", "why": "then"}
    older = [{**plain, "version": version, "at": when} for version, when in zip(("v2", "v1"), at, strict=True)]
    Table(store, ledger.TABLE).append(pa.Table.from_pylist(older), "older", 1)
    assert ledger.live_releases(store, "payments").promoted == ("v1", "v2")
    ledger.release(store, "payments", "v3", "now")
    assert ledger.live_releases(store, "payments").promoted == ("v1", "v2", "v3")
    assert rows(store)[-1]["step"] == 3
