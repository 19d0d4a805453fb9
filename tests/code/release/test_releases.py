"""What is live follows from what was done, row by row."""

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest

from workbench.release.releases import Canary, Releases, after, folded

START = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def rows(*said: str) -> list[dict[str, Any]]:
    """Rows from `action version [percent]`, a second apart."""
    found = []
    for number, text in enumerate(said):
        action, version, *percent = text.split()
        at = START + dt.timedelta(seconds=number)
        row = {"action": action, "version": version, "at": at, "canary_steps": [25, 50] if action == "canary" else None}
        found.append({**row, "canary_percent": int(percent[0]) if percent else None})
    return found


def live(*said: str) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Champion, canary and shadows."""
    found = folded(rows(*said))
    return found.champion, found.canary and f"{found.canary.version} {found.canary.percent}", found.shadows


CASES: dict[str, tuple[list[str], tuple[str | None, str | None, tuple[str, ...]]]] = {
    "nothing": ([], (None, None, ())),
    "a challenger gets no traffic": (["challenge v1"], (None, None, ())),
    "a shadow that becomes the canary is no shadow": (
        ["promote v1", "shadow v2", "shadow v3", "canary v2 5"],
        ("v1", "v2 5", ("v3",)),
    ),
    "a canary grows": (["promote v1", "canary v2 5", "advance v2 25"], ("v1", "v2 25", ())),
    "what advances is the canary only": (["promote v1", "canary v2 5", "advance v3 25"], ("v1", "v2 5", ())),
    "a canary that is promoted is no canary": (["promote v1", "canary v2 5", "promote v2"], ("v2", None, ())),
    "a canary that is rolled back leaves the champion": (
        ["promote v1", "canary v2 5", "rollback v2"],
        ("v1", None, ()),
    ),
    "a champion that is rolled back gives way to the one before": (
        ["promote v1", "promote v2", "promote v3", "rollback v3", "rollback v2"],
        ("v1", None, ()),
    ),
    "what was champion before and canary now is rolled back as canary": (
        ["promote v1", "promote v2", "canary v1 5", "rollback v1", "rollback v2"],
        ("v1", None, ()),
    ),
    "the one before, shadow meanwhile, is champion only": (
        ["promote v1", "promote v2", "shadow v1", "rollback v2"],
        ("v1", None, ()),
    ),
    "a shadow that is retired is gone": (["promote v1", "shadow v2", "retire v2"], ("v1", None, ())),
    "no rollback goes back to what was retired": (
        ["promote v1", "promote v2", "promote v3", "retire v2", "rollback v3"],
        ("v1", None, ()),
    ),
    "a champion that is withdrawn gives way": (["promote v1", "promote v2", "withdraw v2"], ("v1", None, ())),
    "a canary that is refused is gone": (["promote v1", "canary v2 5", "refuse v2"], ("v1", None, ())),
    "a champion that is refused gives way": (["promote v1", "promote v2", "refuse v2"], ("v1", None, ())),
    "the last champion that is withdrawn leaves none": (["promote v1", "withdraw v1"], (None, None, ())),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_live(case: str) -> None:
    said, expected = CASES[case]
    assert live(*said) == expected


def test_every_row_is_a_step() -> None:
    said = rows("promote v1", "canary v2 5", "advance v2 25", "rollback v2")
    assert folded(said).step == 4


def test_an_alias_says_what_a_version_is() -> None:
    found = folded(rows("challenge v9", "promote v0", "promote v1", "canary v2 5", "shadow v3"))
    said = [found.alias(version) for version in ("v1", "v2", "v3", "v0", "v9", "v8")]
    assert said == ["champion", "canary", "shadow", "released", "challenger", None]


def test_evidence_counts_from_the_canarys_start_and_from_a_new_champions() -> None:
    said = rows("promote v1", "canary v2 5", "advance v2 25", "canary v2 30", "promote v3")
    starts = [one.canary.since_us for n in range(2, 6) if (one := folded(said[:n])).canary]
    first, promoted = (round((START.timestamp() + seconds) * 1e6) for seconds in (1, 4))
    assert starts == [first, first, first, promoted]


def test_each_share_and_each_new_champion_begins_a_count_of_its_own() -> None:
    said = rows("promote v1", "canary v2 5", "shadow v9", "advance v2 25", "canary v2 30", "promote v3")
    steps = [one.canary.stepped_us for n in range(2, 7) if (one := folded(said[:n])).canary]
    assert steps == [round((START.timestamp() + seconds) * 1e6) for seconds in (1, 1, 3, 4, 5)]


@pytest.mark.parametrize(("percent", "following"), [(5, 25), (25, 50), (30, 50), (50, None)])
def test_the_share_that_follows_is_the_next_larger_step(percent: int, following: int | None) -> None:
    assert Canary("v", percent, (25, 50)).next_percent == following


@pytest.mark.parametrize("said", [[], ["promote v1", "shadow v3", "canary v2 5"], ["challenge v1"]])
def test_the_small_file_holds_all_of_it(said: list[str]) -> None:
    found = folded(rows(*said))
    assert Releases.from_json(found.to_json()) == found


def test_a_small_file_of_earlier_code_is_read() -> None:
    found = folded(rows("promote v1", "canary v2 5"))
    said = json.loads(found.to_json())
    said["canary"]["had"] = 1
    del said["canary"]["stepped_us"]
    assert found.canary
    expected = dataclasses.replace(found, canary=dataclasses.replace(found.canary, stepped_us=0))
    assert Releases.from_json(json.dumps(said).encode()) == expected


def test_one_more_row_is_what_all_rows_are() -> None:
    said = rows("promote v1", "shadow v2", "canary v2 5")
    assert after(folded(said[:2]), said[2]) == folded(said)
