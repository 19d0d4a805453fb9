"""Who acts is told, also where the system has no name for him."""

import getpass
import os
from pathlib import Path

import pytest

from workbench.data.store import Store
from workbench.governance import audit, users
from workbench.jobs import package
from workbench.jobs.job import Job
from workbench.release import ledger
from workloads import door


@pytest.fixture(params=[KeyError, OSError])
def nameless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, store: Store) -> str:
    """What a user is called of whom the system knows a number alone, as in a container; 3.13 raises another error.

    The store stands before: pytest asks for the user's name to make its folder.
    """
    assert store

    def unknown() -> str:
        raise request.param("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", unknown)
    return f"uid {os.getuid()}"


def test_a_user_is_told_by_his_name() -> None:
    assert users.user() == getpass.getuser()


def test_a_user_without_a_name_is_told_by_his_number(nameless: str) -> None:
    assert users.user() == nameless


def test_a_user_without_a_name_can_submit_release_and_be_audited(nameless: str, store: Store, tmp_path: Path) -> None:
    code = package.package([], {}, tmp_path)
    job = Job("train", ["experiment=smoke"], door.composed(["experiment=smoke"]), "d" * 16, code, {})
    assert job.about()["who"].startswith(f"{nameless}@")
    ledger.release(store, "payments", "v1", "first")
    assert ledger.history(store, "payments")[0]["who"] == nameless
    audit.acted(str(tmp_path), 10_000, "release.promote", version="v1")
    assert audit.lines(tmp_path / audit.FOLDER)[-1]["by"] == nameless
