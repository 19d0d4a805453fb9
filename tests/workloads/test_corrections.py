"""Corrected and deleted facts, from the file and over HTTP: what was served is what is computed again offline."""

import copy
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow.compute as pc
import pytest

from serve import schemas
from serve.service import Service
from serve.settings import Settings
from tests.code.features import oracle
from tests.serve import small
from tests.workloads.test_versions import config, facts, text
from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.data.versions import Versions
from workbench.features.definitions import FeatureSet
from workbench.features.parity import Parity
from workbench.feedback import prediction_log
from workloads import ingest, parity, replay, validate
from workloads.endpoint.given import history_until

START = "1970-01-07"
Action = tuple[int, int, str, Any]  # when in us, what comes first of one time, what it is, its body


@pytest.fixture(scope="module")
def validated(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A data set of versions whose first days are an endpoint's history."""
    cfg = config(tmp_path_factory.mktemp("corrections"), facts(5))
    cfg.replay.start, cfg.replay.days = START, 30
    cfg.serve.application, cfg.keys.folder = "small", os.environ["WORKBENCH_KEYS"]
    cfg.data.split.kind = "time"
    validate.run(cfg)
    return cfg


@pytest.fixture
def cfg(validated: Config, tmp_path: Path) -> Config:
    """The same with a store of its own, so that no test sees another's log."""
    cfg = copy.deepcopy(validated)
    cfg.storage.root = shutil.copytree(validated.storage.root, str(tmp_path / "store"))
    return cfg


@pytest.fixture
def given(cfg: Config, tmp_path: Path) -> Settings:
    bare = small.settings(Store(cfg.storage.root), tmp_path, cfg.data, FeatureSet.of(cfg.features, cfg.data))
    keys = {"raw_key": ingest.key(cfg), "validated_key": validate.key(cfg)}
    return dataclasses.replace(bare, **keys, history_until_us=history_until(cfg))


def actions(cfg: Config, seed: int = 0) -> list[Action]:
    """Events as they are replayed, what is said of them later, and some labels, in the order in which it is known."""
    random, versions = np.random.default_rng(seed), Versions.of(cfg.data)
    assert versions
    events = replay.events_of(cfg)
    found: list[Action] = []
    for row, body in zip(oracle.plain(events), replay.bodies(cfg, events), strict=True):
        sent = max(row["time"], row["known_time"])
        found.append((sent, 2, "score", json.loads(body)))
        if random.random() < 0.5:
            known = sent + 1 + int(random.integers(0, 8)) * oracle.DAY // 2
            said = {"id": row["id"], "label": int(random.integers(0, 2)), "known_time": text(known)}
            found.append((known, 0, "label", said))
    rows = snapshots.read(validate.run(cfg))
    asked = pc.is_in(rows["id"], value_set=events["id"].combine_chunks())
    for identity, row, known in versions.corrections(rows.filter(asked)):
        version = row and {name: row[name] for name in ("customer", "shop", "amount")} | {"time": text(row["time"])}
        found.append((known, 1, "correct", {"id": identity, "known_time": text(known), "event": version}))
    return sorted(found, key=lambda one: one[:2])


def act(service: Service, done: list[Action]) -> Service:
    """Do all of this, as the endpoint would."""
    data = service.settings.data
    event, told, corrections = schemas.event_type(data), schemas.feedback_type(data), schemas.corrections_type(data)
    for number, (_, _, what, body) in enumerate(done):
        if what == "score":
            service.score(msgspec.convert(body, event), f"r{number}")
        elif what == "label":
            service.learn(msgspec.convert({"labels": [body]}, told).labels)
        else:
            service.correct(msgspec.convert({"corrections": [body]}, corrections).corrections)
    service.compact()
    return service


def compared(cfg: Config) -> Parity:
    """What `workloads.parity` finds."""
    return parity.of_log(cfg, "v1")


def halves(done: list[Action]) -> Iterator[list[Action]]:
    yield done[: len(done) // 2]
    yield done[len(done) // 2 :]


def test_what_was_served_is_what_is_computed_again_to_the_last_bit(cfg: Config, given: Settings) -> None:
    done = actions(cfg)
    kinds = [what for *_, what, _ in done]
    assert min(kinds.count(what) for what in ("score", "correct", "label")) > 25, "there is something of everything"
    act(Service(given), done)
    found = compared(cfg)
    assert (found.rows, found.differing, found.control) == (kinds.count("score"), 0, True)


def test_it_is_the_same_when_the_endpoint_is_started_again_in_between(cfg: Config, given: Settings) -> None:
    for part in halves(actions(cfg)):
        service = act(Service(given), part)
    assert compared(cfg).differing == 0
    assert len(prediction_log.corrections(service.store, given.log).read()) > 25


def test_one_that_was_told_after_others_should_have_known_it_is_found(cfg: Config, given: Settings) -> None:
    late = [(at + oracle.DAY * (what == "correct"), first, what, body) for at, first, what, body in actions(cfg)]
    act(Service(given), sorted(late, key=lambda one: one[:2]))
    assert compared(cfg).differing > 0


@pytest.mark.parametrize("lost", ["corrections", "history"])
def test_without_the_corrections_the_comparison_finds_differences(
    cfg: Config, given: Settings, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    act(Service(given), actions(cfg))
    if lost == "corrections":
        shutil.rmtree(Path(cfg.storage.root) / "tables" / "corrections")
    else:
        monkeypatch.setattr(Versions, "marked", Versions.events)
    assert compared(cfg).differing > 0
