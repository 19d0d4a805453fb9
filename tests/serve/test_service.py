"""What is answered follows from the state, the state from the log, and the log holds no entity."""

import contextlib
import dataclasses
import datetime as dt
import json
import logging
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve import answers, schemas
from serve.answers import Refusal
from serve.journal import unmoved
from serve.models import Models
from serve.service import Service
from serve.settings import Settings
from tests.serve.small import DATA, FEATURES, die, settings
from workbench.config import ColumnConfig, FeatureConfig, FeaturesConfig, ViewConfig
from workbench.data import labels, snapshots
from workbench.data.store import Store
from workbench.errors import StoreError
from workbench.features.definitions import FeatureSet
from workbench.feedback import prediction_log
from workbench.governance.keys import Keys, token

ROOT = Path(__file__).resolve().parents[2]
EVENTS = msgspec.json.Decoder(schemas.event_type(DATA))
TOLD = msgspec.json.Decoder(schemas.feedback_type(DATA))
START = dt.datetime(2018, 8, 15, tzinfo=dt.UTC)
CUSTOMER = 987_654_321_012_345  # a number that nothing else holds by chance


@pytest.fixture
def service(given: Settings) -> Service:
    return Service(given)


def at(hours: float) -> str:
    """A time that many hours after the start."""
    return (START + dt.timedelta(hours=hours)).isoformat()


def score(
    service: Service, identity: int, hours: float, customer: int = CUSTOMER, amount: int = 100, again: bool = False
) -> dict[str, Any]:
    body = {"id": identity, "time": at(hours), "customer": customer, "amount": amount}
    return service.score(EVENTS.decode(json.dumps(body)), f"r{identity}", again)


def tell(service: Service, identity: int, label: int, hours: float) -> dict[str, int]:
    body = {"labels": [{"id": identity, "label": label, "known_time": at(hours)}]}
    return service.learn(TOLD.decode(json.dumps(body)).labels)


def logged(service: Service) -> list[dict[str, Any]]:
    """All decisions, in the order in which they were received."""
    service.compact()
    rows = prediction_log.predictions(service.store, "small-raw").read().sort_by("received_at")
    found: list[dict[str, Any]] = rows.to_pylist()
    return found


def features(service: Service) -> list[list[float]]:
    """Amount, count in seven days and share known positive of each decision."""
    return [row["features"] for row in logged(service)]


class TestFeatures:
    def test_an_event_counts_itself_and_its_customers_last_seven_days(self, service: Service) -> None:
        for identity, hours in enumerate((0, 1, 1, 24 * 7, 24 * 7 + 0.5, 24 * 14.5)):
            score(service, identity, hours, amount=identity)
        assert features(service) == [[0, 1, 0], [1, 2, 0], [2, 3, 0], [3, 3, 0], [4, 4, 0], [5, 1, 0]]

    def test_customers_do_not_see_each_other(self, service: Service) -> None:
        for identity, customer in enumerate((1, 2, 1, 11, 2)):
            score(service, identity, identity, customer)
        assert [count for _, count, _ in features(service)] == [1, 1, 2, 1, 2]

    def test_an_event_that_arrives_late_sees_its_own_past_only(self, service: Service) -> None:
        for identity, hours in enumerate((5, 1, 3)):
            score(service, identity, hours)
        assert [count for _, count, _ in features(service)] == [1, 1, 2]

    def test_an_event_sent_twice_counts_once_and_gets_the_same_answer(self, service: Service) -> None:
        first, again = score(service, 1, 0), score(service, 1, 0)
        score(service, 2, 1)
        assert first == again
        assert [count for _, count, _ in features(service)] == [1, 2]

    def test_an_event_that_is_scored_once_more_on_purpose_counts_once(self, service: Service) -> None:
        for _ in range(2):
            score(service, 1, 0, again=True)
        score(service, 2, 1)
        assert [count for _, count, _ in features(service)] == [1, 1, 2]

    def test_zones_do_not_matter(self, service: Service) -> None:
        for identity, when in enumerate(("2018-08-15T01:00:00Z", "2018-08-15T02:30:00+02:00")):
            body = {"id": identity, "time": when, "customer": 1, "amount": 1}
            service.score(EVENTS.decode(json.dumps(body)), "r")
        assert [count for _, count, _ in features(service)] == [1, 1], "the second happened half an hour earlier"


class TestScores:
    @pytest.mark.parametrize("amount", [0, 1, 250, 5000])
    def test_a_score_is_the_models_probability_and_is_logged_with_its_parts(
        self, service: Service, amount: int
    ) -> None:
        answer = score(service, 1, 0, amount=amount)
        logit = 0.001 * (amount + 1)  # the member adds up amount, count and share
        assert answer["score"] == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-6)
        (row,) = logged(service)
        assert row["score"] == answer["score"]
        assert row["member_logits"] == [pytest.approx(logit, rel=1e-6)]

    def test_the_threshold_decides(self, service: Service) -> None:
        scored = score(service, 1, 0, amount=100)["score"]
        decisions = []
        for threshold in (scored, math.nextafter(scored, 1)):
            service.models = Models(dataclasses.replace(service.bundle, threshold=threshold))
            decisions.append(score(service, 1, 0, amount=100, again=True)["decision"])
        assert decisions == ["flag", "pass"]
        assert [row["flagged"] for row in logged(service)] == [True, True, False]

    def test_an_answer_names_what_it_was_made_with(self, service: Service) -> None:
        answer = score(service, 7, 0)
        (row,) = logged(service)
        names = {"request_id": "r7", "model_version": "v1", "feature_view_version": FEATURES.digest}
        assert {name: answer[name] for name in names} == {name: row[name] for name in names} == names

    def test_the_time_it_took_and_the_times_it_happened_are_recorded(self, service: Service) -> None:
        before, started = dt.datetime.now(dt.UTC), time.perf_counter_ns()
        score(service, 1, 2.5)
        elapsed_us, after = (time.perf_counter_ns() - started) / 1000, dt.datetime.now(dt.UTC)
        (row,) = logged(service)
        assert 0 < row["latency_us"] <= elapsed_us
        assert before <= row["received_at"] <= after
        assert row["event_time"] == START + dt.timedelta(hours=2.5)

    def test_the_logged_features_give_the_logged_score_again(self, service: Service) -> None:
        for identity in range(20):
            score(service, identity, identity / 3, customer=identity % 3, amount=identity**3)
        rows = logged(service)
        assert [service.bundle.scorer.one(row["features"])[0] for row in rows] == [row["score"] for row in rows]


class TestLabels:
    def test_a_label_counts_from_the_time_at_which_it_is_known(self, service: Service) -> None:
        score(service, 1, 0)
        assert tell(service, 1, 1, hours=10) == {"accepted": 1, "in_feature_state": 1}
        for identity, hours in enumerate((1, 9.99, 10, 20), start=2):
            score(service, identity, hours)
        assert [risk for *_, risk in features(service)] == [0, 0, 0, 1 / 4, 1 / 5]

    def test_a_correction_counts_from_its_own_time(self, service: Service) -> None:
        score(service, 1, 0)
        tell(service, 1, 1, hours=10)
        tell(service, 1, 0, hours=20)
        for identity, hours in enumerate((9, 19, 20), start=2):
            score(service, identity, hours)
        assert [risk for *_, risk in features(service)] == [0, 0, 1 / 3, 0]

    def test_labels_may_arrive_in_any_order(self, service: Service) -> None:
        score(service, 1, 0)
        tell(service, 1, 0, hours=20)
        tell(service, 1, 1, hours=10)
        score(service, 2, 15)
        score(service, 3, 25)
        assert [risk for *_, risk in features(service)] == [0, 1 / 2, 0]

    def test_a_label_told_twice_counts_once(self, service: Service) -> None:
        score(service, 1, 0)
        for _ in range(2):
            tell(service, 1, 1, hours=1)
        score(service, 2, 2)
        assert [risk for *_, risk in features(service)] == [0, 1 / 2]

    def test_a_label_of_an_unknown_event_is_kept_for_training_only(self, service: Service) -> None:
        assert tell(service, 42, 1, hours=1) == {"accepted": 1, "in_feature_state": 0}
        score(service, 1, 2)
        assert features(service) == [[100, 1, 0]]
        ledger = labels.read(service.store, "raw", channel="feedback")
        assert ledger.select(["id", "label", "event_time"]).to_pylist() == [{"id": 42, "label": 1, "event_time": None}]

    def test_the_ledger_keeps_what_was_said_and_when(self, service: Service) -> None:
        score(service, 1, 0)
        before = dt.datetime.now(dt.UTC)
        tell(service, 1, 1, hours=10)
        service.compact()
        (row,) = labels.read(service.store, "raw", channel="feedback").to_pylist()
        assert before <= row.pop("recorded_at") <= dt.datetime.now(dt.UTC)
        assert row == {
            "id": 1, "label": 1, "scenario": None, "source": "endpoint", "channel": "feedback", "event_time": START,
            "known_time": START + dt.timedelta(hours=10),
        }  # fmt: skip


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


def restarted(service: Service) -> Service:
    """Another in the place of one that was killed."""
    die(service)
    return Service(service.settings)


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
        for segment in list(service.predictions.released())[::turn]:
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


def everything_written(*folders: Path) -> str:
    """All files as text, Parquet as its rows."""
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    tables = [str(pq.ParquetFile(path).read().to_pylist()) for path in paths if path.suffix == ".parquet"]
    return "\n".join([*tables, *(path.read_bytes().decode("latin-1") for path in paths)])


class TestEntities:
    def test_a_customer_is_written_as_a_token_and_never_as_it_is(self, given: Settings) -> None:
        store, journal, service = Path(given.store), Path(given.journal), Service(given)
        score(service, 1, 0)
        tell(service, 1, 1, hours=1)
        made = token(Keys(given.keys_folder).pseudonym(), "customer", CUSTOMER)
        for written in (everything_written(journal), service.compact() and everything_written(store, journal)):
            assert made in str(written), "the search finds what is there"
            assert str(CUSTOMER) not in str(written)

    def test_the_token_is_the_same_for_one_customer_and_another_for_another(self, service: Service) -> None:
        for identity, customer in enumerate((1, 2, 1)):
            score(service, identity, identity, customer)
        rows = logged(service)
        tokens = [row["entities"] for row in rows]
        assert [[json.loads(row["event"])["customer"]] for row in rows] == tokens
        assert tokens[0] == tokens[2] != tokens[1]

    def test_the_state_and_the_answer_hold_no_customer(self, service: Service) -> None:
        answer = score(service, 1, 0)
        assert str(CUSTOMER) not in str(answer) + str(service.state._histories) + str(service.state._events)


FULL_DISK = """
import resource, sys, tempfile
from pathlib import Path
from tests.serve import test_service as on
from tests.serve.small import settings
from serve.answers import Refusal
from serve.journal import unmoved
from serve.models import Models
from serve.service import Service
from workbench.data.store import Store
folder = Path(sys.argv[1])
service = Service(settings(Store(str(folder / "store")), folder))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
for act in (lambda: on.score(service, 1, 0), lambda: on.tell(service, 1, 1, 1)):
    try:
        act()
    except Refusal as error:
        print(error.status, service.predictions._path.stat().st_size, service.feedback._path.stat().st_size)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
on.score(service, 1, 0)
on.score(service, 2, 2)
print(on.features(service))
"""


REFUSED = """
import dataclasses, resource, sys
from pathlib import Path
from tests.serve import test_service as on
from tests.serve.small import settings
from serve.answers import Refusal
from serve.service import Service
from workbench.data.store import Store
folder, url = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
service = Service(dataclasses.replace(settings(Store(str(folder / "store")), folder), redis_url=url))
on.score(service, 1, 0)
service.compact()
resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
try:
    on.score(service, 2, 24 * 300)
except Refusal as error:
    print(error.status)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
on.score(service, 3, 2)
on.score(again := on.restarted(service), 4, 3)
print([int(count) for _, count, _ in on.features(again)])
"""


def test_an_event_that_could_not_be_recorded_does_not_count_now_or_after_a_restart(tmp_path: Path) -> None:
    assert refused_in(tmp_path) == ["503", "[1, 2, 3]"]


def refused_in(folder: Path, *url: str) -> list[str]:
    """What an endpoint says whose disk is full for one event, which is not sent again, and which then is restarted."""
    command = [sys.executable, "-c", REFUSED, str(folder), *url]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_an_event_whose_scoring_fails_does_not_count(service: Service) -> None:
    whole = service.models
    score(service, 1, 0)
    broken = dataclasses.replace(service.bundle, threshold="none")  # type: ignore[arg-type]
    service.models = Models(broken)
    with pytest.raises(TypeError):
        score(service, 2, 1)
    service.models = whole
    score(service, 3, 2)
    assert [count for _, count, _ in features(service)] == [1, 2]


def test_no_decision_leaves_without_its_record(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    refused_event, refused_label, after = done.stdout.splitlines()
    assert (refused_event, refused_label) == ("503 0 0", "503 0 0")
    assert json.loads(after) == [[100, 1, 0], [100, 2, 0]], "the refused label is not in the state"


@contextlib.contextmanager
def logged_by_serve(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """What Serve's logger says meanwhile, whether or not its records are propagated."""
    logger = logging.getLogger("ray.serve")
    logger.addHandler(caplog.handler)
    try:
        yield lambda: [one.getMessage() for one in {id(record): record for record in caplog.records}.values()]
    finally:
        logger.removeHandler(caplog.handler)


class TestWhatCannotBeMoved:
    def test_what_one_table_does_not_take_stays_and_stops_no_other_kind(
        self, service: Service, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = prediction_log.predictions(service.store, service.settings.log)
        table.append(pa.table({"model_version": [True]}), "other", 1)
        score(service, 1, 0)
        tell(service, 1, 1, hours=1)
        correct = msgspec.json.Decoder(schemas.corrections_type(DATA))
        said = {"corrections": [{"id": 1, "known_time": at(2), "event": None}]}
        service.correct(correct.decode(json.dumps(said)).corrections)
        with logged_by_serve(caplog) as said_of_it:
            assert [service.compact() for _ in range(3)] == [2, 0, 0], "the label and the correction go on"
        assert [path.name.partition("-")[0] for path in unmoved(service.settings.folder)] == ["predictions"]
        (message,) = said_of_it()
        assert "the tables could not take them" in message and "move the table away" in message
        shutil.rmtree(table.uri)
        assert service.compact() == 1, "and when the cause is gone it is moved"

    def test_an_endpoint_does_not_start_from_a_log_that_lacks_what_was_recorded(self, service: Service) -> None:
        score(service, 1, 0)
        die(service)
        table = prediction_log.predictions(service.store, service.settings.log)
        table.append(pa.table({"model_version": [True]}), "other", 1)
        with pytest.raises(StoreError, match="was written by another version"):
            Service(service.settings)

    def test_a_segment_that_cannot_be_read_is_set_aside_and_stops_nothing(self, given: Settings) -> None:
        folder = given.folder
        folder.mkdir(parents=True)
        (folder / "predictions-00000000000000000001-11.jsonl").write_text("no record\n")
        service = Service(given)
        score(service, 1, 0)
        assert service.compact() == 1
        assert [one["id"] for one in logged(service)] == ["1"]
        assert [path.name for path in folder.glob("*.unreadable")] == ["predictions-00000000000000000001-11.unreadable"]

    @pytest.mark.parametrize("identity", [2**63, 10**30, -(2**63) - 1])
    def test_a_number_that_no_table_holds_is_refused_at_the_door(self, identity: int) -> None:
        event = {"id": identity, "time": at(0), "customer": 1, "amount": 1}
        for decoder, body in ((EVENTS, event), (TOLD, {"labels": [{"id": identity, "label": 1, "known_time": at(0)}]})):
            with pytest.raises(msgspec.ValidationError):
                decoder.decode(json.dumps(body))


class TestTheStreamsClock:
    def test_an_event_far_ahead_of_the_newest_is_refused_and_leaves_the_state_as_it_was(self, given: Settings) -> None:
        service = Service(dataclasses.replace(given, ahead_days=30.0))
        score(service, 1, 0)
        with pytest.raises(Refusal) as caught:
            score(service, 2, 24 * 31)
        assert caught.value.status == 422
        assert caught.value.faults == [{"field": "$.time", "rule": "At most 30 days after the newest event"}]
        score(service, 3, 24 * 5)
        assert len(service.state) == 2

    def test_the_first_event_of_an_empty_state_may_have_any_time_of_the_past_but_not_of_the_far_future(
        self, given: Settings
    ) -> None:
        service = Service(dataclasses.replace(given, ahead_days=2.0))
        now = (dt.datetime.now(dt.UTC) - START) / dt.timedelta(hours=1)
        for hours in (now + 49, 24 * 365 * 1000):
            with pytest.raises(Refusal) as caught:
                score(service, 1, hours)
            assert [one["rule"] for one in caught.value.faults] == ["At most 2 days after now, while no event is known"]
        for one, hours in ((service, -24 * 365 * 30), (Service(dataclasses.replace(given, application="b")), now + 47)):
            assert score(one, 1, hours)["decision"] in ("flag", "pass")


def test_of_two_labels_known_at_one_time_the_later_told_counts_after_a_restart_too(given: Settings) -> None:
    service = Service(given)
    score(service, 1, 0)
    for label in (1, 0):
        tell(service, 1, label, 1)
        service.compact()
    answers = [score(one, 2, 2)["score"] for one in (service, Service(given))]
    assert answers[0] == answers[1]


def test_a_field_name_made_to_look_like_a_place_is_not_repeated() -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        EVENTS.decode(json.dumps({"x - at `SECRET": 1}))
    assert "SECRET" not in str(answers.invalid(caught.value).faults)
