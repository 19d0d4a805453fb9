"""What the journal says becomes rows of the right table and type, and what cannot be read is not lost."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbench.config import ColumnConfig, DataConfig
from workbench.data import labels
from workbench.data.store import Store
from workbench.feedback import prediction_log
from workbench.feedback.prediction_log import FEEDBACK, PREDICTIONS, SHADOWS, TIME

RECORD = {
    "request_id": "r", "id": "7", "event_time": 1, "received_at": 2, "arrival": 1, "as_of": 1,
    "entities": ["t-1", "t-2"], "event": "{}", "features": [1.5], "score": 0.25, "member_logits": [-1.0, 2.0],
    "flagged": True, "model_version": "m", "feature_view_version": "f", "history": "v 1", "dimensions": "{}",
    "latency_us": 40, "alias": "canary", "scored_us": 9, "other_version": "c", "other_score": 0.2,
    "other_flagged": False, "other_us": 8, "other_fault": "none, but a text",
}  # fmt: skip
BESIDE = list(RECORD)[list(RECORD).index("alias") :]
TOLD = {"id": "7", "label": 1, "scenario": None, "event_time": 1, "known_time": 2, "recorded_at": 3}


def segment(folder: Path, *records: dict[str, Any], name: str = "predictions-1") -> Path:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_record_has_a_value_for_every_column_and_times_become_timestamps(store: Store, tmp_path: Path) -> None:
    prediction_log.move_predictions(store, "app", segment(tmp_path, RECORD))
    table = prediction_log.predictions(store, "app").read()
    assert table.column_names == PREDICTIONS.names == list(RECORD)
    assert {name for name in table.column_names if table.schema.field(name).type == TIME} == {
        "event_time",
        "received_at",
    }
    assert [table[name].null_count for name in table.column_names] == [0] * len(RECORD)


def test_every_application_has_a_log_of_its_own(store: Store, tmp_path: Path) -> None:
    for application in ("first", "second"):
        prediction_log.move_predictions(store, application, segment(tmp_path, {**RECORD, "id": application}))
    for application in ("first", "second"):
        assert prediction_log.predictions(store, application).read(["id"]).to_pydict() == {"id": [application]}


def test_records_of_another_version_of_the_service_lose_and_lack_no_known_column(store: Store, tmp_path: Path) -> None:
    older = {name: value for name, value in RECORD.items() if name != "member_logits"}
    newer = {"shadow_score": 0.5, **RECORD}
    assert prediction_log.move_predictions(store, "app", segment(tmp_path, older, newer)) == 2
    table = prediction_log.predictions(store, "app").read()
    assert table["member_logits"].to_pylist() == [None, [-1.0, 2.0]]
    assert "shadow_score" not in table.column_names


def test_a_decision_that_one_model_made_alone_says_nothing_of_another(store: Store, tmp_path: Path) -> None:
    alone = {name: value for name, value in RECORD.items() if name not in BESIDE}
    prediction_log.move_predictions(store, "app", segment(tmp_path, alone))
    table = prediction_log.predictions(store, "app").read()
    assert [table[name].to_pylist() for name in BESIDE] == [[None]] * 7


def test_what_shadows_scored_is_a_table_beside_it_moved_once(store: Store, tmp_path: Path) -> None:
    record = {"request_id": "r", "id": "7", "event_time": 1, "recorded_at": 2, "version": "s", "score": None,
              "flagged": None, "scored_us": 3}  # fmt: skip
    assert prediction_log.move_shadows(store, "app", segment(tmp_path, record, name="shadows-1")) == 1
    table = prediction_log.shadows(store, "app").read()
    assert table.column_names == SHADOWS.names == list(record)
    assert not (tmp_path / "shadows-1.jsonl").exists()


@pytest.mark.parametrize("content", ["", "no JSON\n", '{"id": "7", "score": "high"}\n', json.dumps(RECORD)[:40]])
def test_a_segment_that_cannot_be_read_stays_where_it_is(store: Store, tmp_path: Path, content: str) -> None:
    path = segment(tmp_path)
    path.write_text(content)
    with pytest.raises(pa.ArrowException):
        prediction_log.move_predictions(store, "app", path)
    assert path.read_text() == content
    assert not prediction_log.predictions(store, "app").exists()


def test_a_label_whose_id_is_of_another_type_stays_where_it_is(store: Store, tmp_path: Path) -> None:
    path = segment(tmp_path, TOLD, {**TOLD, "id": "seven"}, name="feedback-1")
    with pytest.raises(pa.ArrowException):
        prediction_log.move_feedback(store, "raw", "id", pa.int64(), path)
    assert path.exists()
    assert not labels.ledger(store, "raw").exists()


def test_feedback_has_the_ledgers_columns_and_types_and_fits_what_ingest_wrote(store: Store, tmp_path: Path) -> None:
    at = pa.array([1], pa.int64()).cast(TIME)
    seeded = labels.rows(
        "id", pa.array([7]), pa.array([0]), at, at, source="file", channel="source", recorded_at=at[0].as_py()
    )
    labels.ledger(store, "raw").append(seeded, "ingest", 1)
    prediction_log.move_feedback(store, "raw", "id", pa.int64(), segment(tmp_path, TOLD, name="feedback-1"))
    table = labels.read(store, "raw")
    assert table.schema.equals(seeded.schema)
    assert labels.newest(table, "id").select(["label", "channel"]).to_pylist() == [{"label": 1, "channel": "feedback"}]


def test_what_a_label_says_is_all_in_the_schema() -> None:
    assert FEEDBACK.names == list(TOLD)


def test_a_line_longer_than_most_is_read_whole(store: Store, tmp_path: Path) -> None:
    long = {**RECORD, "event": "x" * 300_000}
    prediction_log.move_predictions(store, "app", segment(tmp_path, *[long] * 9))
    sizes = [len(text) for text in prediction_log.predictions(store, "app").read(["event"])["event"].to_pylist()]
    assert sizes == [300_000] * 9


def test_corrections_come_in_the_order_in_which_they_are_known_and_were_told(store: Store, tmp_path: Path) -> None:
    said = {"id": "7", "event": "{}", "recorded_at": 3, "in_state": True}
    records = [
        {**said, "known_time": 5, "position": 1, "event": "last"},
        {**said, "known_time": 5, "position": 0, "event": None},
        {**said, "known_time": 9, "position": 2, "recorded_at": 1, "id": "8", "event": "later"},
        {**said, "known_time": 5, "position": 2, "recorded_at": 2, "event": "first"},
        {**said, "known_time": 1, "position": 0, "in_state": False},
    ]
    data = DataConfig(id="id", columns={"id": ColumnConfig("integer")})
    assert prediction_log.told_corrections(store, "app", data).num_rows == 0
    prediction_log.move_corrections(store, "app", segment(tmp_path, *records, name="corrections-1"))
    told = prediction_log.told_corrections(store, "app", data)
    assert told["event"].to_pylist() == ["first", None, "last", "later"]
    assert told["id"].to_pylist() == [7, 7, 7, 8]
    assert told["known_time"].cast(pa.int64()).to_pylist() == [5, 5, 5, 9]


def test_a_log_that_does_not_name_dimensions_yet_gets_the_column(store: Store, tmp_path: Path) -> None:
    """A store of a version that did not record them goes on: its rows say nothing, later ones do."""
    old = pa.schema([column for column in PREDICTIONS if column.name != "dimensions"])
    typed = pa.schema([pa.field(one.name, TIME) if one.name in ("event_time", "received_at") else one for one in old])
    rows = pa.Table.from_pylist([{name: RECORD[name] for name in old.names}], typed)
    prediction_log.predictions(store, "app").append(rows, "predictions-0", 1)
    prediction_log.move_predictions(store, "app", segment(tmp_path, RECORD | {"dimensions": '{"shops": "d1"}'}))
    said = prediction_log.predictions(store, "app").read(["dimensions"])["dimensions"].to_pylist()
    assert set(said) == {None, '{"shops": "d1"}'}


def test_a_segment_of_a_version_that_did_not_name_them_is_moved_too(store: Store, tmp_path: Path) -> None:
    record = {name: value for name, value in RECORD.items() if name != "dimensions"}
    prediction_log.move_predictions(store, "app", segment(tmp_path, record))
    assert prediction_log.predictions(store, "app").read()["dimensions"].to_pylist() == [None]
