"""A contract on a whole snapshot: every file is checked where it is; what files must know of each other travels."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import distributed
from workbench.data.buckets import bucket_of
from workbench.data.casting import ARROW_TYPES
from workbench.data.contracts import LONGEST_TEXT, Context, Contract, comparable, with_reasons
from workbench.data.store import Artifact
from workbench.data.versions import Versions
from workbench.errors import InputError, raise_all

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS_PER_BUCKET = 1_000_000
BUCKET = "__bucket"


def checked(raw: Artifact, contract: Contract, versions: Versions | None = None) -> "Dataset":
    """All rows of a snapshot with their reasons, file by file and in order; needs a running Ray."""
    _check_schema(raw, contract)
    repeated = {name: _repeated(raw, [name])[name] for name, column in contract.items() if column.unique}
    before = _greatest_before(raw, [name for name, column in contract.items() if column.ordered])
    twice = _repeated(raw, versions.keys) if versions else None

    def marked(index: int, table: pa.Table) -> pa.Table:
        return with_reasons(table, contract, Context(before[index], repeated, versions, twice, LONGEST_TEXT))

    return distributed.map_files(raw, marked)


def counted(rows: "Dataset", versions: Versions) -> dict[str, int]:
    """How many events, corrections and deletions the rows of a data set with versions are."""
    columns = [*versions.keys, *([versions.operation] if versions.operation else [])]
    buckets, total = max(2, rows.count() // ROWS_PER_BUCKET), Counter[str]()

    def hashed(table: pa.Table) -> pa.Table:
        return table.select(columns).append_column(BUCKET, bucket_of(table[versions.id], buckets))

    def found(group: pa.Table) -> pa.Table:
        return pa.Table.from_pylist([versions.counts(group)])

    grouped = rows.map_batches(hashed, batch_size=None, batch_format="pyarrow").groupby(BUCKET, num_partitions=buckets)
    for row in grouped.map_groups(found, batch_format="pyarrow").take_all():
        total.update(row)
    return dict(total)


def _check_schema(raw: Artifact, contract: Contract) -> None:
    found = dict(raw.manifest["schema"])
    faults = [
        f"column {name}: {found.get(name, 'missing')}, declared {column.type} ({ARROW_TYPES[column.type]})"
        for name, column in contract.items()
        if found.get(name) != str(ARROW_TYPES[column.type])
    ]
    raise_all(InputError, f"{raw.uri} does not have the declared columns. Delete it and ingest again:", faults)


def _greatest_before(raw: Artifact, names: list[str]) -> list[dict[str, Any]]:
    """For each file the greatest value of each column in the files before it (None: there is none)."""
    if not names:
        return [{} for _ in raw.files]

    def greatest(index: int, table: pa.Table) -> pa.Table:
        tops = {name: [comparable(table[name].combine_chunks()).max()] for name in names}
        return pa.table({"__index": [index], **tops})

    files = sorted(distributed.map_files(raw, greatest).take_all(), key=lambda row: int(row["__index"]))
    before: list[dict[str, Any]] = [dict.fromkeys(names)]
    for row in files[:-1]:
        before.append({name: max([row[name], *_known(before[-1][name])]) for name in names})
    return before


def _known(value: Any) -> list[Any]:
    return [] if value is None else [value]


def _repeated(raw: Artifact, names: Sequence[str]) -> pa.Table:
    """The values of columns that occur together more than once, found per hash bucket: no process sees all values."""
    import ray

    buckets, names = max(2, raw.rows // ROWS_PER_BUCKET), list(names)

    def hashed(_: int, table: pa.Table) -> pa.Table:
        values = table.select(names).drop_null()
        return values.append_column(BUCKET, bucket_of(values[names[0]], buckets))

    def repeats(group: pa.Table) -> pa.Table:
        counted = group.group_by(names, use_threads=False).aggregate([([], "count_all")])
        return counted.filter(pc.greater(counted["count_all"], 1)).select(names)

    grouped = distributed.map_files(raw, hashed).groupby(BUCKET, num_partitions=buckets)
    blocks = ray.get(grouped.map_groups(repeats, batch_format="pyarrow").to_arrow_refs())
    found = [block for block in blocks if names[0] in block.column_names]
    return pa.concat_tables(found) if found else pa.table({name: pa.nulls(0) for name in names})
