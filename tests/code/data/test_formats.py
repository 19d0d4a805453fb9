"""A table says what its file says: no type is guessed, no zero or blank is lost."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.config import ColumnConfig, DataConfig, SourceConfig
from workbench.data.casting import column_as
from workbench.data.formats import BY_SUFFIX, READERS, read_csv, read_jsonl, read_parquet

patient = settings(deadline=None)  # a busy machine is no failure


def described(nulls: list[str] | None = None, **types: str) -> DataConfig:
    columns = {name: ColumnConfig(kind) for name, kind in types.items()}
    source = SourceConfig("file", nulls=[""] if nulls is None else nulls)
    return DataConfig(name="x", id="id", event_time="at", columns=columns, source=source)


def csv(text: str | bytes, nulls: list[str] | None = None) -> dict[str, list[Any]]:
    content = text.encode() if isinstance(text, str) else text
    found: dict[str, list[Any]] = read_csv(io.BytesIO(content), described(nulls)).to_pydict()
    return found


def jsonl(text: str, **types: str) -> pa.Table:
    return read_jsonl(io.BytesIO(text.encode()), described(**types))


class TestCsv:
    def test_everything_is_text(self) -> None:
        assert csv("a,b\n007,1e3\n true ,2020-01-01\n") == {"a": ["007", " true "], "b": ["1e3", "2020-01-01"]}

    def test_only_the_declared_texts_mean_no_value(self) -> None:
        text = "a,b\n,NA\nnull,-\n"
        assert csv(text) == {"a": [None, "null"], "b": ["NA", "-"]}
        assert csv(text, ["NA", "-"]) == {"a": ["", "null"], "b": [None, None]}

    def test_quotes_hold_commas_quotes_and_lines_together(self) -> None:
        assert csv('a,b\n"x,""y""\nz",1\n') == {"a": ['x,"y"\nz'], "b": ["1"]}

    def test_a_mark_of_the_encoding_and_windows_line_ends_are_no_text(self) -> None:
        assert csv(b"\xef\xbb\xbfa,b\r\n1,\xc3\xa9\r\n") == {"a": ["1"], "b": ["é"]}

    def test_a_head_alone_is_a_table_without_rows(self) -> None:
        assert csv("a,b\n") == {"a": [], "b": []}

    @pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b"a\n\xff\n"])
    def test_what_is_no_table_of_text_is_refused(self, content: bytes) -> None:
        with pytest.raises(pa.ArrowInvalid):
            csv(content)

    @patient
    @given(st.lists(st.tuples(*[st.from_regex(r"[ -~é\n]{0,8}", fullmatch=True)] * 2), min_size=1, max_size=8))
    def test_any_quoted_text_comes_back(self, rows: list[tuple[str, str]]) -> None:
        quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
        found = csv("\n".join(["a,b", *quoted]) + "\n")
        assert list(zip(found["a"], found["b"], strict=True)) == [tuple(cell or None for cell in row) for row in rows]


class TestJsonLines:
    def test_numbers_stay_numbers_and_declared_texts_stay_texts(self) -> None:
        table = jsonl('{"id": 7, "at": "2020-01-01T00:00:00Z", "v": 0.1}\n', id="integer", at="timestamp", v="number")
        assert table.to_pylist() == [{"at": "2020-01-01T00:00:00Z", "id": 7, "v": 0.1}]

    def test_a_column_is_looked_for_under_its_name_in_the_file(self) -> None:
        data = described(at="timestamp")
        data.columns["at"].source = "Paid at"
        table = read_jsonl(io.BytesIO(b'{"Paid at": "2020-01-01"}\n'), data)
        assert table.to_pydict() == {"Paid at": ["2020-01-01"]}

    def test_a_declared_text_that_no_line_has_is_missing_and_not_null(self) -> None:
        assert jsonl('{"id": 1}\n', id="integer", card="string").column_names == ["id"]

    def test_where_numbers_and_texts_mix_everything_is_text(self) -> None:
        table = jsonl('{"v": 1, "w": true}\n\n{"v": "x", "u": [1]}\n', v="number")
        assert table.to_pydict() == {"v": ["1", "x"], "w": ["true", None], "u": [None, "[1]"]}

    def test_where_they_mix_whole_numbers_are_whole_as_they_are_in_a_column_of_numbers(self) -> None:
        table = jsonl(
            '{"n": 3.0, "b": true, "v": 3.0}\n{"n": 2.5, "b": 1e999, "v": "x"}\n', n="integer", b="integer", v="number"
        )
        assert table.to_pydict() == {"n": ["3", "2.5"], "b": ["1", "1E+999"], "v": ["3.0", "x"]}

    @pytest.mark.parametrize(
        ("text", "said"),
        [('{"v": 1}\n{"v": "x"}\n{"v', "line 3 is no JSON"), ('{"v": 1}\n[1]\n', "line 2 is no JSON object")],
    )
    def test_a_line_that_is_no_object_is_named(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            jsonl(text, v="number")

    def test_blank_lines_are_no_rows(self) -> None:
        assert jsonl('\n{"v": 1}\n\n  \n{"v": 2}', v="integer").to_pydict() == {"v": [1, 2]}

    @pytest.mark.parametrize("other", ["3.0", "3", "true", "null", '"3"', "9007199254740995.0", "12345678901234567890"])
    def test_a_large_whole_number_is_what_the_file_says_whatever_another_row_says(self, other: str) -> None:
        table = jsonl(f'{{"v": 9007199254740993}}\n{{"v": {other}}}\n', v="integer")
        typed, unfit = column_as(table["v"].combine_chunks(), ColumnConfig("integer"))
        expected = {"true": 1, "null": None, "9007199254740995.0": 9007199254740995, "12345678901234567890": None}
        assert typed.to_pylist() == [9007199254740993, expected.get(other, 3)]
        assert (unfit is None) == (len(other) < 20)

    def test_a_text_is_a_number_of_any_length_as_the_file_has_it(self) -> None:
        table = jsonl('{"t": 0.12345678901234567890123}\n{"t": 1.50}\n{"t": "x"}\n', t="string")
        assert table["t"].to_pylist() == ["0.12345678901234567890123", "1.5", "x"]

    def test_small_whole_numbers_and_large_fractions_stay_numbers(self) -> None:
        table = jsonl('{"v": 7, "w": 1e300}\n{"v": 3.0, "w": 2}\n', v="integer", w="number")
        assert table.to_pydict() == {"v": [7.0, 3.0], "w": [1e300, 2.0]}
        assert table.schema.types == [pa.float64()] * 2

    @patient
    @given(
        st.lists(
            st.fixed_dictionaries(
                {"t": st.one_of(st.none(), st.text(max_size=5)), "n": st.one_of(st.none(), st.integers(-9, 9))}
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_any_text_and_number_come_back(self, rows: list[dict[str, Any]]) -> None:
        text = "\n".join(json.dumps(row) for row in rows)
        found = jsonl(text, t="string", n="integer")
        assert found.select(["t", "n"]).to_pylist() == rows


def test_a_parquet_file_keeps_its_types() -> None:
    table = pa.table({"a": pa.array([1], pa.int16()), "b": pa.array(["x"], pa.large_string())})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    assert read_parquet(sink, described()).equals(table)


def test_every_known_suffix_has_a_reader() -> None:
    assert set(BY_SUFFIX.values()) == set(READERS)
