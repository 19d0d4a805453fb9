"""The state follows from the log: whoever is restarted answers as the one before."""

import dataclasses
import datetime as dt
import json
import time
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from serve import journal, schemas
from serve.journal import unmoved
from serve.service import Service
from serve.settings import Settings
from tests.serve.asked import CUSTOMER, START, features, logged, restarted, score, tell
from tests.serve.small import DATA, die, settings
from workbench.config import ColumnConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log


def live_through(service: Service, compact_at: set[int]) -> None:
    """Thirty events of three customers, a third of them labelled some hours later; then one label is corrected."""
    for identity in range(30):
        score(service, identity, identity, customer=identity % 3, amount=identity * 7)
        if identity % 3 == 0:
            tell(service, identity, identity % 2, hours=identity + 4.5)
        if identity in compact_at:
            service.compact()
    tell(service, 3, 0, hours=25)


def next_answers(service: Service) -> list[tuple[float, list[float]]]:
    """Scores and features of one more event of each customer."""
    for customer in range(3):
        score(service, 100 + customer, 31 + customer, customer)
    return [(row["score"], row["features"]) for row in logged(service) if int(row["id"]) >= 100]


class TestRestarts:
    @pytest.mark.parametrize("compact_at", [set(), {10}, {5, 10, 29}], ids=["journal", "both", "tables"])
    def test_the_next_answers_are_the_same_after_a_restart(self, tmp_path: Path, compact_at: set[int]) -> None:
        answers = []
        for name, restarts in (("through", False), ("again", True)):
            given = settings(Store(str(tmp_path / name)), tmp_path / name)
            service = Service(given)
            live_through(service, compact_at)
            answers.append(next_answers(restarted(service) if restarts else service))
        assert answers[0] == answers[1]
        assert [counted[1:] for _, counted in answers[0]] == [[11, 3 / 11], [11, 0], [11, 0]]

    def test_nothing_that_was_answered_is_missing_after_a_restart(self, given: Settings) -> None:
        live_through(service := Service(given), {10, 20})
        again = restarted(service)
        assert [int(row["id"]) for row in logged(again)] == list(range(30))
        assert labels.read(again.store, "raw", channel="feedback").num_rows == 11
        assert unmoved(given.folder) == set()

    def test_many_restarts_count_nothing_twice(self, given: Settings) -> None:
        live_through(service := Service(given), {10})
        sizes = []
        for _ in range(3):
            again = service = restarted(service)
            sizes.append((len(again.state), len(logged(again))))
        assert sizes == [(30, 30)] * 3

    def test_a_start_reads_no_more_of_the_log_than_is_remembered(self, service: Service) -> None:
        score(service, 0, 0)
        tell(service, 0, 1, hours=1)
        service.compact()
        (old,) = Path(prediction_log.predictions(service.store, service.settings.log).uri).glob("*.parquet")
        for identity, day in enumerate((30, 31, 34), start=1):
            score(service, identity, 24 * day)
        score(service, 9, 2)  # from before all memory, and the last that came
        service.compact()
        old.write_bytes(b"is not read")
        again = restarted(service)
        assert (len(again.state), again.state.arrivals) == (3, service.state.arrivals)
        score(again, 10, 24 * 34 + 1)
        assert json.loads(next(iter(again.predictions._path.read_bytes().splitlines())))["features"] == [100, 4, 0]

    def test_numbers_go_on_where_the_history_has_left_the_log_behind(self, service: Service) -> None:
        score(service, 1, 0)
        time = pa.array([START + dt.timedelta(days=100)], labels.TIME)
        row = {"id": [0], "time": time, "known_time": time, "customer": [CUSTOMER], "amount": [1]}
        snapshots.write(service.store, "validated", "clean", pa.table(row), parents={}, config={})
        until = round(START.timestamp() * 1e6) + 101 * 86_400_000_000
        die(service)
        again = Service(dataclasses.replace(service.settings, validated_key="clean", history_until_us=until))
        assert (len(again.state), again.state.arrivals) == (1, 1)

    def test_the_numbers_of_events_outlive_a_restart(self, service: Service) -> None:
        score(service, 1, 0)
        lost = {"id": 2, "time": schemas.micros(START), "customer": "c", "amount": 1}
        assert service.state.placed(lost)[0] == (2, 2), "it is taken in, and its record is lost"
        score(service, 3, 1)
        again = restarted(service)
        score(again, 3, 1)
        score(again, 4, 2)
        places = [(row["id"], row["arrival"], row["as_of"]) for row in logged(again)]
        assert places == [("1", 1, 1), ("3", 3, 3), ("4", 4, 4)]

    @pytest.mark.parametrize("turn", [1, -1])
    def test_what_came_first_under_an_id_counts_whatever_order_the_table_has(self, service: Service, turn: int) -> None:
        for hours in (5, 0):
            score(service, 1, hours, again=True)
            service.predictions.close_segment()
        for segment in list(journal.released(service.settings.folder, "predictions"))[::turn]:
            prediction_log.move_predictions(service.store, service.settings.log, segment)
        score(again := restarted(service), 2, 1)
        assert features(again)[-1] == [100, 1, 0], "the other one happened at 5"

    def test_applications_do_not_share_a_log(self, given: Settings) -> None:
        score(Service(given), 1, 0)
        assert len(Service(dataclasses.replace(given, application="other")).state) == 0

    def test_the_snapshots_events_before_the_replay_are_history(self, given: Settings) -> None:
        store = Store(given.store)
        times = [START + dt.timedelta(hours=hours) for hours in (-24 * 8, -2, -1, 0, 1)]
        known = [moment + dt.timedelta(minutes=30) for moment in times]
        rows = {"id": list(range(5)), "time": times, "known_time": times, "customer": [CUSTOMER] * 5, "amount": [1] * 5}
        events = pa.table({**rows, "time": pa.array(times, labels.TIME), "known_time": pa.array(times, labels.TIME)})
        snapshots.write(store, "validated", "clean", events, parents={}, config={})
        seeded = labels.rows(
            "id", events["id"].combine_chunks(), pa.array([1] * 5), pa.array(times, labels.TIME),
            pa.array(known, labels.TIME), source="test", channel="source", recorded_at=START,
        )  # fmt: skip
        labels.ledger(store, "raw").append(seeded, "history", 1)
        until = round(START.timestamp() * 1e6)
        service = Service(dataclasses.replace(given, validated_key="clean", history_until_us=until))
        score(service, 10, 0.25)
        assert features(service) == [[100, 3, 2 / 3]], "not the one too old, nor those that the replay will send"

    def test_an_entity_that_is_only_counted_is_one_value_in_the_history_and_in_the_stream(
        self, store: Store, tmp_path: Path
    ) -> None:
        columns = {**DATA.columns, "shop": ColumnConfig(type="integer")}
        data = dataclasses.replace(DATA, columns=columns, entities=["customer", "shop"])
        counted = FeatureConfig(name="shops", kind="distinct", column="shop")
        view = ViewConfig(name="v", entity=["customer"], windows=["7d"], current_row=True, features=[counted])
        given = settings(store, tmp_path, data, FeatureSet.of(FeaturesConfig(views=[view]), data))
        time = pa.array([START - dt.timedelta(hours=1)], labels.TIME)
        row = {"id": [0], "time": time, "known_time": time, "customer": [CUSTOMER], "shop": [7], "amount": [1]}
        snapshots.write(store, "validated", "clean", pa.table(row), parents={}, config={})
        until = round(START.timestamp() * 1e6)
        service = Service(dataclasses.replace(given, validated_key="clean", history_until_us=until))
        event = {"id": 1, "time": START.isoformat(), "customer": CUSTOMER, "shop": 7, "amount": 1}
        service.score(msgspec.json.decode(json.dumps(event), type=schemas.event_type(data)), "r")
        assert features(service) == [[1]]

    def test_a_bundle_that_another_key_signed_is_not_served(self, given: Settings) -> None:
        with pytest.raises(StoreError):
            Service(dataclasses.replace(given, public_key="00" * 32))

    def test_the_journal_is_moved_in_the_background(self, given: Settings) -> None:
        service = Service(dataclasses.replace(given, compact_every_s=0.02))
        score(service, 1, 0)
        table, until = prediction_log.predictions(service.store, "small-raw"), time.monotonic() + 30
        while not table.exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert table.read(["id"]).to_pylist() == [{"id": "1"}]


def test_of_two_labels_known_at_one_time_the_later_told_counts_after_a_restart_too(given: Settings) -> None:
    service = Service(given)
    score(service, 1, 0)
    for label in (1, 0):
        tell(service, 1, label, 1)
        service.compact()
    answers = [score(one, 2, 2)["score"] for one in (service, Service(given))]
    assert answers[0] == answers[1]
