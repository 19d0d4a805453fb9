"""A user's files become typed events and labels, or one error that lists everything that is wrong with them."""

import dataclasses
import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from omegaconf import OmegaConf

from tests.data.s3 import bucket
from workbench.config import ClockConfig, ColumnConfig, DataConfig
from workbench.data import declaration, sources
from workbench.data.casting import column_as
from workbench.errors import InputError

# What a user writes for a file of their own: 18 lines.
SHOP = """
name: shop
source: {kind: file, path: orders.csv, ignore: [comment]}
id: order
event_time: paid_at
known_time: booked_at
entities: [card]
columns:
  order: {type: string, source: Order No}
  paid_at: {type: timestamp, source: Paid}
  booked_at: {type: timestamp, source: Booked}
  card: {type: string, source: Card}
  amount: {type: money, source: Total, minimum: 0}
  items: {type: integer, nulls: true}
  weight: {type: number, nulls: true}
label: {column: Chargeback, positive: "yes", negative: "no", delay_days: 30}
split: {kind: time, train_start: "2020-03-01", select_start: "2020-02-01"}
"""
HEADER = "Order No,Paid,Booked,Card,Total,items,weight,Chargeback,comment"
ROWS = [
    "007,2020-01-01 10:00:00,2020-01-02T00:00:00Z,0042,12.34,3,1.5,no,fine",
    "008,2020-01-01T11:00:00+01:00,2020-01-02T00:00:00Z,0042,0.10,,,yes,",
    '009,2020-01-01 10:30:00.250,2020-01-02T00:00:00Z,0017,1000000.01,1,2e1,,"two\nlines"',
]


def described(path: Path, text: str = SHOP, **changes: Any) -> DataConfig:
    merged = OmegaConf.merge(OmegaConf.structured(DataConfig), yaml.safe_load(text), {"source": {"path": str(path)}})
    data = OmegaConf.to_object(OmegaConf.merge(merged, changes))
    assert isinstance(data, DataConfig)
    return data


def shop(folder: Path, rows: list[str] = ROWS, header: str = HEADER, **changes: Any) -> DataConfig:
    (folder / "orders.csv").write_text("\n".join([header, *rows]) + "\n")
    return described(folder / "orders.csv", **changes)


def conformed(data: DataConfig) -> sources.Conformed:
    (file,) = sources.list_files(data)
    return sources.read_file(data, file)


def fault_of(data: DataConfig) -> str:
    faults = conformed(data).faults
    assert len(faults) == 1, faults
    return faults[0]


class TestADataSetOfOnesOwn:
    def test_is_described_in_under_20_lines(self) -> None:
        assert len(SHOP.strip().splitlines()) < 20
        assert list(declaration.faults(described(Path("orders.csv")))) == []

    def test_becomes_typed_events_without_the_label(self, tmp_path: Path) -> None:
        data = shop(tmp_path)
        one = conformed(data)
        events = sources.finished(data, one.events, 0)
        assert one.faults == []
        assert events.column_names == ["order", "paid_at", "booked_at", "card", "amount", "items", "weight"]
        assert events["order"].to_pylist() == ["007", "008", "009"]
        assert events["card"].to_pylist() == ["0042", "0042", "0017"]
        assert events["amount"].to_pylist() == [1234, 10, 100_000_001]
        assert events["items"].to_pylist() == [3, None, 1]
        assert events["weight"].to_pylist() == [1.5, None, 20.0]
        utc = dt.UTC
        assert events["paid_at"].to_pylist() == [
            dt.datetime(2020, 1, 1, 10, tzinfo=utc),
            dt.datetime(2020, 1, 1, 10, tzinfo=utc),
            dt.datetime(2020, 1, 1, 10, 30, 0, 250_000, tzinfo=utc),
        ]
        assert one.labels.to_pylist() == [0, 1, None]

    def test_reads_the_same_from_csv_parquet_and_json_lines(self, tmp_path: Path) -> None:
        as_csv = conformed(shop(tmp_path)).events
        rows = [
            {"Order No": "007", "Paid": "2020-01-01T10:00:00", "Booked": "2020-01-02", "Card": "0042", "Total": 12.34,
             "items": 3, "weight": 1.5, "Chargeback": "no"},
            {"Order No": "008", "Paid": "2020-01-01T10:00:00Z", "Booked": "2020-01-02", "Card": "0042", "Total": 0.1,
             "items": None, "weight": None, "Chargeback": "yes"},
            {"Order No": "009", "Paid": "2020-01-01T10:30:00.25Z", "Booked": "2020-01-02", "Card": "0017",
             "Total": 1000000.01, "items": 1, "weight": 20, "Chargeback": None},
        ]  # fmt: skip
        lines = tmp_path / "orders.jsonl"
        lines.write_text("\n".join(json.dumps(row) for row in rows))
        mixed = tmp_path / "mixed.jsonl"  # numbers and texts in one column
        mixed.write_text("\n".join(json.dumps({**row, "Total": str(row["Total"])}) for row in rows[:1]) + "\n")
        with mixed.open("a") as file:
            file.write("\n".join(json.dumps(row) for row in rows[1:]))
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "orders.parquet")
        for path in (lines, mixed, tmp_path / "orders.parquet"):
            one = conformed(described(path))
            assert one.faults == []
            assert one.events.equals(as_csv), path
            assert one.labels.to_pylist() == [0, 1, None]


class TestMisfits:
    """A cell that is not of its type stays with its row: null in its column, its text beside it."""

    def test_keep_their_text_and_leave_the_other_cells_alone(self, tmp_path: Path) -> None:
        rows = [ROWS[0].replace("12.34", "EUR 12").replace(",3,", ",three,"), *ROWS[1:]]
        one = conformed(shop(tmp_path, rows))
        assert one.faults == []
        assert one.events["amount"].to_pylist() == [None, 10, 100_000_001]
        assert one.events["__unfit.amount"].to_pylist() == ["EUR 12", None, None]
        assert one.events["__unfit.items"].to_pylist() == ["three", None, None]
        assert [name for name in one.events.column_names if name.startswith("__")] == [
            "__unfit.amount",
            "__unfit.items",
        ]
        assert one.labels.to_pylist() == [0, 1, None]

    def test_in_json_lines_leave_whole_numbers_whole(self, tmp_path: Path) -> None:
        row = {"Order No": "1", "Paid": "2020-01-01", "Booked": "2020-01-01", "Card": "1", "Total": 1, "weight": 1,
               "Chargeback": "no"}  # fmt: skip
        items = [3.0, True, None, "three", 1.5, [1], 7]
        path = tmp_path / "orders.jsonl"
        path.write_text("\n".join(json.dumps({**row, "items": one}) for one in items))
        one = conformed(described(path))
        assert one.faults == []
        assert one.events["items"].to_pylist() == [3, 1, None, None, None, None, 7]
        assert one.events["__unfit.items"].to_pylist() == [None, None, None, "three", "1.5", "[1]", None]


class TestFaults:
    def test_a_missing_file_names_the_key(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"data.source.path=.*none.csv does not exist"):
            sources.list_files(described(tmp_path / "none.csv"))

    def test_a_folder_without_data_is_no_source(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("nothing")
        (tmp_path / "_SUCCESS.csv").write_text("")
        with pytest.raises(InputError, match="holds no CSV, Parquet or JSON lines"):
            sources.list_files(described(tmp_path))

    def test_no_file_that_may_be_data_is_left_out_in_silence(self, tmp_path: Path) -> None:
        names = ["a.csv", "b.csv.gz", "c.tsv", "d/part-00000", "e.CSV.bak", "f.orc", "g.avro", "h.xlsx"]
        (tmp_path / "d").mkdir()
        for name in (*names, ".a.csv.crc", "_SUCCESS", "d_$folder$", "README.md"):
            (tmp_path / name).write_text("")
        with pytest.raises(InputError) as error:
            sources.list_files(described(tmp_path))
        assert str(error.value) == (
            f"data.source.path={tmp_path} holds files that do not end in .csv, .parquet, .pq, .jsonl, .ndjson, .json:"
            " b.csv.gz, c.tsv, d/part-00000, e.CSV.bak, f.orc and 2 more. Unpack them, or write them in one of these"
            " formats; set data.source.format where all files are of one; begin the name of what is no data with _."
        )
        with pytest.raises(InputError, match=r"c\.tsv holds files .*: c\.tsv\. Unpack"):
            sources.list_files(described(tmp_path / "c.tsv"))

    def test_with_a_format_every_file_is_of_it(self, tmp_path: Path) -> None:
        for name in ("a.csv", "b.data", "part-00000", "_SUCCESS"):
            (tmp_path / name).write_text("")
        files = sources.list_files(described(tmp_path, source={"format": "csv"}))
        assert [(file.name, file.format) for file in files] == [
            (name, "csv") for name in ("a.csv", "b.data", "part-00000")
        ]

    def test_what_is_about_the_data_is_left_out_and_said_once(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("a.csv", "LICENSE", "LICENSE.loans", "README.md", "a.csv.sha256", "readme.csv", "terms.PDF"):
            (tmp_path / name).write_text("")
        for _ in range(2):
            assert [file.name for file in sources.list_files(described(tmp_path))] == ["a.csv", "readme.csv"]
        told = ", ".join(
            f"{tmp_path}/{name}" for name in ("LICENSE", "LICENSE.loans", "README.md", "a.csv.sha256", "terms.PDF")
        )
        assert capsys.readouterr().err == f"  left out as no data: {told}\n"

    @pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
    def test_a_truncated_parquet_file_is_unreadable(self, tmp_path: Path, kept: float) -> None:
        path = tmp_path / "orders.parquet"
        pq.write_table(conformed(shop(tmp_path)).events, path)
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
        assert "orders.parquet is no readable parquet file" in fault_of(described(path))

    def test_a_csv_row_that_was_cut_off_is_unreadable(self, tmp_path: Path) -> None:
        assert "no readable csv file" in fault_of(shop(tmp_path, [*ROWS, "010,2020-01-01"]))

    def test_a_json_line_that_was_cut_off_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "orders.jsonl").write_text('{"Order No": "1"}\n{"Order N')
        assert "line 2 is no JSON" in fault_of(described(tmp_path / "orders.jsonl"))

    def test_an_empty_csv_file_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "orders.csv").write_text("")
        assert "no readable csv file" in fault_of(described(tmp_path / "orders.csv"))

    def test_missing_and_undeclared_columns_come_in_one_list(self, tmp_path: Path) -> None:
        faults = conformed(shop(tmp_path, header=HEADER.replace("Card", "Kard").replace("Total", "Sum"))).faults
        assert [fault.partition(". ")[0] for fault in faults] == [
            "orders.csv has no column Card",
            "orders.csv has no column Total",
            "orders.csv has a column Kard that is not declared",
            "orders.csv has a column Sum that is not declared",
        ]

    def test_a_column_that_no_json_line_has_is_missing(self, tmp_path: Path) -> None:
        (tmp_path / "orders.jsonl").write_text('{"Order No": "1"}\n')
        assert len(conformed(described(tmp_path / "orders.jsonl")).faults) == 7

    def test_a_column_that_is_there_twice_is_refused(self, tmp_path: Path) -> None:
        assert "has 2 columns Card" in fault_of(
            shop(tmp_path, header=HEADER.replace("comment", "Card"), source={"ignore": []})
        )

    def test_a_column_whose_type_is_never_the_declared_one_is_refused(self, tmp_path: Path) -> None:
        table = pa.table({name: pa.array(["2020-01-01"]) for name in HEADER.split(",")})
        for name, values in (("Total", [True]), ("items", [[1]])):
            table = table.set_column(table.column_names.index(name), name, pa.array(values))
        pq.write_table(table.set_column(7, "Chargeback", pa.array(["no"])), tmp_path / "orders.parquet")
        faults = conformed(described(tmp_path / "orders.parquet")).faults
        assert [fault.partition(".parquet: ")[2] for fault in faults] == [
            "column Total: bool is never money. Correct the file or data.columns.amount.",
            "column items: list<element: int64> is never integer. Correct the file or data.columns.items.",
        ]

    def test_a_label_value_that_is_not_declared_is_refused(self, tmp_path: Path) -> None:
        rows = [ROWS[0].replace(",no,", ",maybe,"), *ROWS[1:]]
        assert "label Chargeback holds 'maybe' in 1 rows" in fault_of(shop(tmp_path, rows))

    def test_without_a_negative_value_every_other_value_is_negative(self, tmp_path: Path) -> None:
        label = {"column": "Chargeback", "positive": "yes", "negative": None}
        rows = [ROWS[0].replace(",no,", ",maybe,"), *ROWS[1:]]
        assert conformed(shop(tmp_path, rows, label=label)).labels.to_pylist() == [0, 1, None]


@pytest.mark.usefixtures("ray_session")
class TestReadingASource:
    def test_a_folder_is_read_in_the_order_of_its_names(self, tmp_path: Path) -> None:
        for name, rows in (("b.csv", ROWS[1:]), ("a.csv", ROWS[:1])):
            (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")
        source = sources.read(described(tmp_path))
        assert [row["order"] for row in source.events.take_all()] == ["007", "008", "009"]
        assert source.keys["order"].to_pylist() == ["007", "008", "009"]
        assert source.labels.to_pylist() == [0, 1, None]

    def test_every_fault_of_every_file_is_in_one_error(self, tmp_path: Path) -> None:
        for name, missing in (("a.csv", "Card"), ("b.csv", "Total")):
            (tmp_path / name).write_text("\n".join([HEADER.replace(missing, "comment"), *ROWS]) + "\n")
        (tmp_path / "c.parquet").write_text("not Parquet")
        with pytest.raises(InputError) as error:
            sources.read(described(tmp_path))
        lines = str(error.value).splitlines()
        assert [line.split()[1] for line in lines[1:]] == ["a.csv", "a.csv", "b.csv", "b.csv", "c.parquet"]

    def test_all_blocks_have_the_columns_of_misfits_that_any_file_has(self, tmp_path: Path) -> None:
        for name, rows in (
            ("a.csv", [ROWS[0].replace("12.34", "x")]), ("b.csv", ROWS[1:2]), ("c.csv", [ROWS[2].replace("2e1", "y")])
        ):  # fmt: skip
            (tmp_path / name).write_text("\n".join([HEADER, *rows]) + "\n")
        rows = sources.read(described(tmp_path)).events.take_all()
        assert [row["__unfit.amount"] for row in rows] == ["x", None, None]
        assert [row["__unfit.weight"] for row in rows] == [None, None, "y"]
        assert len({tuple(row) for row in rows}) == 1

    def test_a_source_without_rows_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="it holds no rows"):
            sources.read(shop(tmp_path, []))

    @pytest.mark.parametrize(
        ("rows", "said"), [(ROWS[:1], "negative"), (ROWS[1:2], "positive"), (ROWS[2:], "no label")]
    )
    def test_a_label_with_one_class_is_refused(self, tmp_path: Path, rows: list[str], said: str) -> None:
        with pytest.raises(InputError, match=f"its label Chargeback has {said}"):
            sources.read(shop(tmp_path, rows))

    def test_large_files_become_several_blocks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "ROWS_PER_BLOCK", 2)
        source = sources.read(shop(tmp_path))
        assert source.events.num_blocks() == 2
        assert [row["order"] for row in source.events.take_all()] == ["007", "008", "009"]
        assert list(sources._blocks([3, 0, 2])) == [(0, 0, 2, 0), (0, 2, 1, 2), (2, 0, 2, 3)]


class TestWhatASourceDoesNotHave:
    def test_ids_are_row_numbers_and_times_tick_from_the_declared_start(self) -> None:
        data = DataConfig(name="x", id="row", event_time="at", numbered=True, clock=None)
        data.clock = ClockConfig(start="2016-01-01T00:00:00Z", step_s=0.5)
        data.columns = {"row": ColumnConfig("integer"), "at": ColumnConfig("timestamp"), "v": ColumnConfig("number")}
        events = sources.finished(data, pa.table({"v": [1.0, 2.0]}), 10)
        assert events.column_names == ["row", "at", "known_time", "v"]
        assert events["row"].to_pylist() == [10, 11]
        start = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
        assert events["at"].to_pylist() == [start + dt.timedelta(seconds=5), start + dt.timedelta(seconds=5.5)]
        assert events["known_time"].equals(events["at"])


class TestS3:
    @pytest.mark.parametrize("path", ["orders", "orders/orders.csv"])
    def test_a_folder_or_file_in_a_bucket_reads_like_a_local_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "none")
        (tmp_path / "orders").mkdir()
        local = shop(tmp_path / "orders")
        with bucket(tmp_path) as address:
            remote = dataclasses.replace(local, source=dataclasses.replace(local.source))
            remote.source.path = f"s3://bucket/{path}?endpoint_override={address}&scheme=http&region=us-east-1"
            assert conformed(remote).events.equals(conformed(local).events)
            assert sources.list_files(remote)[0].stamp == sources.list_files(local)[0].stamp
            remote.source.path = remote.source.path.replace("orders", "nothing")
            with pytest.raises(InputError, match="does not exist"):
                sources.list_files(remote)


class TestTheStamp:
    def test_follows_the_content_and_not_the_time_or_the_place(self, tmp_path: Path) -> None:
        first = sources.list_files(shop(tmp_path))[0]
        (tmp_path / "other").mkdir()
        again = sources.list_files(shop(tmp_path / "other"))[0]
        changed = sources.list_files(shop(tmp_path, ROWS[:2]))[0]
        assert (first.name, first.stamp) == (again.name, again.stamp)
        assert first.stamp != changed.stamp


MONEY = ColumnConfig("money")


class TestCasting:
    @pytest.mark.parametrize(
        "values",
        [
            pa.array(["0.29", "19.99", "-1.10", "90071992547.41", None]),
            pa.array([0.29, 19.99, -1.10, 90071992547.41, None]),
            pa.array([Decimal("0.29"), Decimal("19.99"), Decimal("-1.10"), Decimal("90071992547.41"), None]),
        ],
    )
    def test_money_becomes_exact_minor_units(self, values: pa.Array) -> None:
        assert column_as(values, MONEY)[0].to_pylist() == [29, 1999, -110, 9007199254741, None]

    def test_every_cent_up_to_a_thousand_is_exact(self) -> None:
        cents = list(range(100_000))
        assert column_as(pa.array([cent / 100 for cent in cents]), MONEY)[0].to_pylist() == cents

    def test_minor_units_in_the_file_stay_as_they_are(self) -> None:
        column = dataclasses.replace(MONEY, decimals=0)
        assert column_as(pa.array([1234]), column)[0].to_pylist() == [1234]

    def test_encodings_do_not_matter(self) -> None:
        for values in (pa.array(["a"]).dictionary_encode(), pa.array(["a"], pa.large_string())):
            assert column_as(values, ColumnConfig("string"))[0].equals(pa.array(["a"]))


class TestDeclaration:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"id": "nothing"}, "data.id=nothing names no column"),
            ({"entities": ["weight"]}, "data.entities=weight is of type number"),
            ({"columns": {"card": {"nulls": True}}}, "data.columns.card.nulls=true, but data.entities"),
            ({"columns": {"card": {"minimum": 0}}}, "data.columns.card.minimum is for integer, number, money"),
            ({"columns": {"items": {"categories": ["1"]}}}, "data.columns.items.categories is for string"),
            ({"columns": {"items": {"type": "int"}}}, "data.columns.items.type=int is unknown"),
            ({"columns": {"amount": {"decimals": 9}}}, "data.columns.amount.decimals=9 must be from 0 to 6"),
            ({"label": {"column": "Card"}}, "data.label.column=Card is also in data.columns"),
            ({"label": {"positive": None}}, "data.label.positive is not set"),
            ({"numbered": True}, "data.numbered=true makes row numbers"),
            ({"clock": {"start": "soon", "step_s": 1}}, "data.clock.start=soon is no time"),
            ({"clock": {"start": "2016-01-01", "step_s": 0}}, "data.clock.step_s=0.0 must be greater than 0"),
            ({"source": {"path": None}}, "data.source.path is not set"),
        ],
    )
    def test_each_fault_is_named(self, change: dict[str, Any], said: str) -> None:
        faults = list(declaration.faults(described(Path("orders.csv"), **change)))
        assert len(faults) == 1, faults
        assert faults[0].startswith(said)
