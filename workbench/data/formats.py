"""CSV, Parquet and JSON lines as Arrow tables whose values still say exactly what the file says."""

import io
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from workbench.config import DataConfig

EXACT = 2.0**53  # below this every whole number has a float of its own
BY_SUFFIX = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}


def read_csv(stream: Any, data: DataConfig) -> pa.Table:
    """All columns as text: what a column means is declared, and guessing makes 7 of the postcode 007."""
    content = stream.read()
    names = pyarrow.csv.open_csv(io.BytesIO(content)).schema.names if content else []
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=data.source.nulls, strings_can_be_null=True
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(io.BytesIO(content), parse_options=parse, convert_options=convert)


def read_parquet(stream: Any, _: DataConfig) -> pa.Table:
    """The table with the types of the file."""
    return pq.ParquetFile(stream).read()


def read_jsonl(stream: Any, data: DataConfig) -> pa.Table:
    """Numbers as numbers and texts as texts; everything as texts (slower) where a column mixes them.

    Also where whole numbers are declared, and some are too large for the floats that they would come as beside a 3.0.
    """
    content = stream.read()
    texts = {column.source or name for name, column in data.columns.items() if column.type in ("string", "timestamp")}
    schema = pa.schema([(name, pa.string()) for name in sorted(texts)])
    options = pyarrow.json.ParseOptions(explicit_schema=schema, newlines_in_values=False)
    try:
        table = pyarrow.json.read_json(io.BytesIO(content), parse_options=options)
    except pa.ArrowException:
        return _texts(content, data)
    if any(_may_be_rounded(table[name]) for name in _whole(data) if name in table.column_names):
        return _texts(content, data)
    # What was asked for comes back full of nulls where no line has it, but then it is missing.
    return table.drop_columns([name for name in texts if not any(form in content for form in _forms(name))])


def _forms(name: str) -> tuple[bytes, bytes]:
    """A name as JSON may write it: with escapes, or in UTF-8."""
    return json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode()


def _whole(data: DataConfig) -> set[str]:
    """The columns of the file that are declared to hold whole numbers."""
    return {column.source or name for name, column in data.columns.items() if column.type == "integer"}


def _may_be_rounded(values: pa.ChunkedArray) -> bool:
    """Whether whole numbers came as floats that are too large to be theirs alone."""
    return pa.types.is_floating(values.type) and bool(pc.any(pc.greater_equal(pc.abs(values), EXACT)).as_py())


def _texts(content: bytes, data: DataConfig) -> pa.Table:
    rows = list(_objects(content))
    whole = _whole(data)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table(
        {name: pa.array([_text(row.get(name), name in whole) for row in rows], pa.string()) for name in names}
    )


def _objects(content: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object")
        yield row


def _is_whole(value: Decimal) -> bool:
    return value.copy_abs() < 2**64 and value == value.to_integral_value()


def _text(value: Any, whole: bool) -> str | None:
    """The text of a value as the file has it; where whole numbers are declared, 3.0 and true are 3 and 1, as typed."""
    if whole and isinstance(value, bool | Decimal) and _is_whole(Decimal(value)):
        return str(int(value))
    if isinstance(value, Decimal):
        short = json.dumps(float(value))
        return short if Decimal(short) == value else str(value)
    return value if value is None or isinstance(value, str) else json.dumps(value, default=float)


READERS: dict[str, Callable[[Any, DataConfig], pa.Table]] = {
    "csv": read_csv,
    "parquet": read_parquet,
    "jsonl": read_jsonl,
}
