"""A package holds all that scores a version elsewhere, and is opened only when it is ours and whole."""

import dataclasses
import datetime as dt
import os
from pathlib import Path

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serve import package
from serve.service import Service
from serve.settings import Settings
from tests.serve.small import DATA, settings
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.errors import InputError, StoreError
from workbench.governance.keys import Keys

DAY_US = 86_400_000_000
UNTIL_US = 1_534_291_200_000_000  # 2018-08-15


@pytest.fixture
def with_history(tmp_path: Path) -> Settings:
    """A version whose state begins with one customer's event of each of the last forty days."""
    store = Store(str(tmp_path / "store"))
    given = dataclasses.replace(settings(store, tmp_path), history_until_us=UNTIL_US, validated_key="events")
    days = range(1, 41)
    times = pa.array([UNTIL_US - day * DAY_US for day in days], pa.int64()).cast(labels.TIME)
    rows = pa.table(
        {
            "id": pa.array(days, pa.int64()),
            "time": times,
            "known_time": times,
            "customer": pa.array([596] * 40, pa.int64()),
            "amount": pa.array([100] * 40, pa.int64()),
        }
    )
    snapshots.write(store, "validated", "events", rows, parents={}, config={})
    told = labels.rows(
        "id", rows["id"], pa.array([1] * 40, pa.int8()), rows["time"], rows["time"],
        source="test", channel="source", recorded_at=dt.datetime.now(dt.UTC),
    )  # fmt: skip
    labels.ledger(store, "raw").append(told, "labels", 1)
    return given


def packed(given: Settings, folder: Path) -> Path:
    package.write(folder, Store(given.store), given, Keys(os.environ["WORKBENCH_KEYS"]).signing())
    return folder


def opened(folder: Path, work: Path) -> Settings:
    found = package.opened(folder, Keys(os.environ["WORKBENCH_KEYS"]).verifying(), work)
    return package.placed(found, None, str(work / "journal"), os.environ["WORKBENCH_KEYS"])


def test_what_is_opened_elsewhere_has_the_same_state_and_scores(with_history: Settings, tmp_path: Path) -> None:
    there = opened(packed(with_history, tmp_path / "model"), tmp_path / "work")
    event = {"id": 99, "time": UNTIL_US, "customer": 596, "amount": 7}
    here, elsewhere = Service(with_history), Service(there)
    tokenised = {**event, "customer": here.token("customer", 596)}
    assert len(elsewhere.state) > 0
    assert elsewhere.state.placed(dict(tokenised)) == here.state.placed(dict(tokenised))
    assert elsewhere.bundle.version == here.bundle.version


def test_only_what_the_features_look_back_at_is_packed(with_history: Settings, tmp_path: Path) -> None:
    folder = packed(with_history, tmp_path / "model")
    rows = snapshots.read(Store(str(folder / "store")).get("validated", "events"))
    memory_us = Service(with_history).bundle.feature_set.memory_us
    assert 0 < rows.num_rows < 40
    assert rows["time"].cast(pa.int64()).to_numpy().min() >= UNTIL_US - memory_us
    assert labels.read(Store(str(folder / "store")), "raw").num_rows == rows.num_rows


def test_a_package_holds_no_secret_and_no_path_of_the_host_that_made_it(tmp_path: Path) -> None:
    given = settings(Store(str(tmp_path / "store")), tmp_path)
    said = (packed(given, tmp_path / "model") / "package.json").read_text()
    assert str(tmp_path) not in said
    assert given.api_key_digest not in said
    assert given.keys_folder not in said


def test_the_same_settings_have_the_same_key_wherever_they_are(tmp_path: Path) -> None:
    given, key = settings(Store(str(tmp_path / "store")), tmp_path), Ed25519PrivateKey.generate().public_key()
    moved = dataclasses.replace(given, store="/elsewhere", journal="/other")
    assert package.key(moved, key) == package.key(given, key)
    assert package.key(dataclasses.replace(given, data=dataclasses.replace(DATA, name="o")), key) != package.key(
        given, key
    )


def test_no_package_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no package .*Give the host the model\.tar\.gz"):
        opened(tmp_path, tmp_path / "work")


def test_a_package_of_another_key_is_not_parsed(tmp_path: Path) -> None:
    folder = packed(settings(Store(str(tmp_path / "store")), tmp_path), tmp_path / "model")
    (folder / "package.json").write_text("{not json")
    with pytest.raises(StoreError, match=r"not signed .* WORKBENCH_VERIFYING_KEY"):
        opened(folder, tmp_path / "work")
    with pytest.raises(StoreError, match="not signed"):
        package.opened(folder, Ed25519PrivateKey.generate().public_key(), tmp_path / "work")


@pytest.mark.parametrize("planted", ["store/models/v1/model.onnx", "store/more"])
def test_a_file_that_was_altered_or_added_is_named(tmp_path: Path, planted: str) -> None:
    folder = packed(settings(Store(str(tmp_path / "store")), tmp_path), tmp_path / "model")
    (folder / planted).write_bytes(b"x")
    with pytest.raises(StoreError, match=rf"{planted} differs from what was signed"):
        opened(folder, tmp_path / "work")
