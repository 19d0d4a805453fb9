"""What is compared of a prediction log: all of this version's answers from this history, and none may be missing."""

import copy
import csv
import dataclasses
import datetime as dt
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from serve import schemas
from serve.models import Models
from serve.service import Service
from serve.settings import Settings
from tests.serve import small
from workbench.config import (
    ColumnConfig,
    Config,
    FeatureConfig,
    FeaturesConfig,
    LabelConfig,
    SourceConfig,
    SplitConfig,
    StorageConfig,
    ViewConfig,
)
from workbench.data.store import Artifact, Store
from workbench.errors import EnvironmentFault, GateRefused
from workbench.features.definitions import FeatureSet
from workbench.release import ledger
from workloads import ingest, label, monitor, parity, pipeline, register, replay, validate
from workloads.endpoint.given import check_version, history_until

FIRST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
PER_DAY, DAYS = 6, 20
KINDS = [
    FeatureConfig("n", "count"),
    FeatureConfig("sum", "sum", "amount"),
    FeatureConfig("risk", "known_positive_rate", empty=-1),
]


def rows() -> list[dict[str, Any]]:
    """Events of three customers, some a day."""
    random = np.random.default_rng(0)
    return [
        {
            "id": at,
            "time": (FIRST + dt.timedelta(hours=at * 24 / PER_DAY)).isoformat(),
            "customer": int(random.integers(0, 3)),
            "amount": int(random.integers(0, 1000)),
            "fraud": ["no", "yes"][int(random.random() < 0.3)],
        }
        for at in range(PER_DAY * DAYS)
    ]


@pytest.fixture(scope="module")
def validated(ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("parity")
    with (folder / "facts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "time", "customer", "amount", "fraud"])
        writer.writeheader()
        writer.writerows(rows())
    cfg = Config(name="facts", storage=StorageConfig(root=str(folder / "store")))
    cfg.data.name, cfg.data.id, cfg.data.event_time, cfg.data.entities = "facts", "id", "time", ["customer"]
    cfg.data.source = SourceConfig(kind="file", path=str(folder / "facts.csv"))
    cfg.data.split, cfg.data.label = SplitConfig(kind="time"), LabelConfig("fraud", "yes", "no", delay_days=1)
    types = {"id": "integer", "time": "timestamp", "customer": "integer", "amount": "integer"}
    cfg.data.columns = {name: ColumnConfig(kind) for name, kind in types.items()}
    cfg.features = FeaturesConfig(views=[ViewConfig("customer", ["customer"], ["36h", "3d"], "0d", True, KINDS)])
    cfg.serve.application, cfg.keys.folder = "small", os.environ["WORKBENCH_KEYS"]
    validate.run(cfg)
    return cfg


@pytest.fixture
def cfg(validated: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A replay of five days from the tenth on, of version v1, in a store of its own."""
    monkeypatch.setattr(register, "key", lambda _: "v1")
    cfg = started(validated, 10)
    cfg.storage.root = shutil.copytree(validated.storage.root, str(tmp_path / "store"))
    return cfg


def started(cfg: Config, day: int) -> Config:
    cfg = copy.deepcopy(cfg)
    cfg.replay.start, cfg.replay.days = str((FIRST + dt.timedelta(day)).date()), 5
    return cfg


Start = Callable[..., Service]


@pytest.fixture
def start(cfg: Config, tmp_path: Path) -> Start:
    """Starts an endpoint of a version whose history is that of the config."""
    store = Store(cfg.storage.root)
    bare = small.settings(store, tmp_path, cfg.data, FeatureSet.of(cfg.features, cfg.data))

    def begun(like: Config = cfg, version: str = "v1") -> Service:
        keys = {"raw_key": ingest.key(like), "validated_key": validate.key(like)}
        given: Settings = dataclasses.replace(bare, **keys, history_until_us=history_until(like))
        service = Service(given)
        service.models = Models(dataclasses.replace(service.bundle, version=version))
        return service

    return begun


def ask(service: Service, days: range, run: str = "r") -> int:
    """Send the events of these days; returns how many."""
    event = schemas.event_type(service.settings.data)
    chosen = rows()[days.start * PER_DAY : days.stop * PER_DAY]
    for number, row in enumerate(chosen):
        body = {name: row[name] for name in ("id", "time", "customer", "amount")}
        service.score(msgspec.convert(body, event), f"{run}-{number}", again=True)
    service.compact()
    return len(chosen)


def broken(service: Service) -> Service:
    """The same, but one feature is served one unit in the last place too high."""
    placed = service.state.placed

    def other(values: dict[str, Any]) -> Any:
        place, features = placed(values)
        return place, [float(np.nextafter(features[0], np.inf)), *features[1:]]

    service.state.placed = other  # type: ignore[method-assign,assignment]
    return service


def replayed(cfg: Config, events: int, run: str = "r") -> None:
    """The replay and its labels are done, as their steps write it down."""
    store = Store(cfg.storage.root)
    store.stage("replays", replay.key(cfg)).commit({}, {}, {"events": events, "requests": f"{run}-"})
    store.stage("labels", label.key(cfg)).commit({}, {}, {"labels": 0, "clock": FIRST.isoformat()})


class TestRows:
    def test_a_second_version_is_compared_by_its_own_answers(self, cfg: Config, start: Start) -> None:
        count = ask(start(), range(10, 15))
        ask(broken(start(version="v2")), range(10, 15))
        first, second = parity.of_log(cfg, "v1"), parity.of_log(cfg, "v2")
        assert (first.rows, first.differing) == (count, 0)
        assert (second.rows, second.differing) == (count, count)

    def test_of_two_answers_to_one_event_both_are_compared(self, cfg: Config, start: Start) -> None:
        count = ask(start(), range(10, 15))
        ask(start(), range(10, 15), "again")
        found = parity.of_log(cfg)
        assert (found.rows, found.events, found.differing) == (2 * count, count, 0)
        ask(broken(start()), range(14, 15), "broken")
        assert parity.of_log(cfg).differing == PER_DAY

    @pytest.mark.parametrize("days", [(5, 10), (10, 5), (8, 10), (10, 8)])
    def test_what_was_served_from_another_history_is_another_reports_matter(
        self, cfg: Config, start: Start, days: tuple[int, int]
    ) -> None:
        for one in days:
            ask(start(started(cfg, one)), range(one, one + 5))
        for one in days:
            found = parity.of_log(started(cfg, one))
            assert (found.rows, found.differing) == (5 * PER_DAY, 0)

    def test_an_event_later_than_a_horizon_is_compared_with_what_was_remembered(
        self, cfg: Config, start: Start
    ) -> None:
        service = start()
        for days in (range(15, 16), range(11, 12), range(2, 3), range(16, 17)):
            ask(service, days)
        found = parity.of_log(cfg)
        assert (found.rows, found.late, found.differing) == (4 * PER_DAY, 2 * PER_DAY, 0)

    def test_of_an_empty_log_nothing_is_shown(self, cfg: Config, start: Start) -> None:
        ask(start(version="v2"), range(10, 15))
        found = parity.of_log(cfg)
        assert (found.rows, found.differing, found.control) == (0, 0, False)


class TestReport:
    def test_it_is_found_again_while_no_answer_of_its_own_came_since(self, cfg: Config, start: Start) -> None:
        service = start()
        replayed(cfg, ask(service, range(10, 15)))
        report = parity.run(cfg)
        ask(start(version="v2"), range(10, 15))
        assert parity.run(cfg).key == report.key, "another version's answers are another report's matter"
        ask(service, range(15, 16), "later")
        later = parity.run(cfg)
        assert (report.figures["rows"], later.figures["rows"]) == (5 * PER_DAY, 6 * PER_DAY)

    def test_one_that_refused_is_made_anew_for_the_next_who_asks(
        self, cfg: Config, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replayed(cfg, ask(start(), range(10, 15)))
        history = parity._history
        with monkeypatch.context() as wrong:
            wrong.setattr(parity, "_history", lambda *given: history(*given).slice(0, 30))
            first, second = parity.compared(cfg), parity.compared(cfg)
        assert first.figures["differing"] > 0
        assert first.key != second.key
        assert parity.run(cfg).figures["differing"] == 0

    def test_replayed_decisions_that_are_not_in_the_log_are_refused(self, cfg: Config, start: Start) -> None:
        replayed(cfg, ask(start(), range(10, 15)) + 2)
        with pytest.raises(GateRefused, match="2 replayed decisions are not in the prediction log"):
            parity.run(cfg)

    def test_an_earlier_replays_decisions_are_not_taken_for_this_ones(self, cfg: Config, start: Start) -> None:
        count = ask(start(), range(10, 15), "memory")
        replayed(cfg, count, "redis")
        with pytest.raises(GateRefused, match=f"{count} replayed decisions are not in the prediction log"):
            parity.run(cfg)

    def test_a_version_that_is_refused_is_champion_no_more_and_may_not_go_live(self, cfg: Config, start: Start) -> None:
        store = Store(cfg.storage.root)
        for version in ("v0", "v1"):
            ledger.release(store, "small", version, "for a test")
        replayed(cfg, ask(broken(start()), range(10, 15)))
        with pytest.raises(GateRefused, match=r"30 of 180 numbers that version v1 served differ .*\n  n_36h of "):
            parity.run(cfg)
        assert ledger.live(store, "small") == "v0"
        with pytest.raises(GateRefused, match=r"raise features\.version"):
            check_version(cfg, store.get("models", "v1"))


class TestRelease:
    def released(self, cfg: Config, went_live: bool, **figures: Any) -> str | None:
        store = Store(cfg.storage.root)
        good = {"rows": 1, "control": True, "differing": 0, "missing": 0}
        report = store.stage("parity", json.dumps(figures)).commit({}, {}, good | figures)
        pipeline._release(cfg, store.get("models", "v1"), report, went_live)
        return ledger.live(store, "small")

    @pytest.fixture
    def model(self, start: Start) -> Artifact:
        return start().store.get("models", "v1")

    def test_a_version_goes_into_the_ledger_once_parity_holds(self, cfg: Config, model: Artifact) -> None:
        assert self.released(cfg, True, differing=1) is None
        assert self.released(cfg, True) == "v1"

    def test_one_whose_report_was_corrected_later_goes_in_then(self, cfg: Config, model: Artifact) -> None:
        assert self.released(cfg, False) == "v1"

    def test_a_run_that_finds_all_done_promotes_nothing_again(self, cfg: Config, model: Artifact) -> None:
        self.released(cfg, True)
        ledger.release(model.store, "small", "v2", "a later one")
        assert self.released(cfg, False) == "v2"
        assert self.released(cfg, True) == "v1", "it went live once more"


def test_the_replay_of_another_state_or_number_of_replicas_is_another_replay(cfg: Config) -> None:
    keys = {replay.key(cfg)}
    for state, replicas in (("redis", 1), ("redis", 2)):
        cfg.serve.state, cfg.serve.replicas = state, replicas
        keys.add(replay.key(cfg))
    assert len(keys) == 3


def test_the_monitor_judges_no_rest_of_what_was_replayed(cfg: Config, start: Start) -> None:
    count = ask(start(), range(10, 15))
    log = monitor._predictions(Store(cfg.storage.root), cfg, "v1")
    monitor._check_whole(log, count)
    with pytest.raises(EnvironmentFault, match=f"has {count} of {count + 1} replayed decisions"):
        monitor._check_whole(log, count + 1)
