"""A contract on a whole snapshot: every file is checked where it is; what files must know of each other travels."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import distributed
from workbench.data.buckets import bucket_of
from workbench.data.casting import ARROW_TYPES
from workbench.data.contracts import Context, Contract, comparable, with_reasons
from workbench.data.store import Artifact
from workbench.errors import InputError, raise_all

if TYPE_CHECKING:
    from ray.data import Dataset

ROWS_PER_BUCKET = 1_000_000
BUCKET = "__bucket"


def checked(raw: Artifact, contract: Contract) -> "Dataset":
    """All rows of a snapshot with their reasons, file by file and in order; needs a running Ray."""
    _check_schema(raw, contract)
    repeated = {name: _repeated(raw, name) for name, column in contract.items() if column.unique}
    before = _greatest_before(raw, [name for name, column in contract.items() if column.ordered])
    return distributed.map_files(
        raw, lambda index, table: with_reasons(table, contract, Context(before[index], repeated))
    )


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


def _repeated(raw: Artifact, name: str) -> pa.Array:
    """The values of a column that occur more than once, found per hash bucket so that no process sees all values."""
    import ray

    buckets = max(2, raw.rows // ROWS_PER_BUCKET)

    def hashed(_: int, table: pa.Table) -> pa.Table:
        values = table[name].drop_null()
        return pa.table({name: values, BUCKET: bucket_of(values, buckets)})

    def repeats(group: pa.Table) -> pa.Table:
        counts = group[name].combine_chunks().value_counts()
        return pa.table({name: counts.field("values").filter(pc.greater(counts.field("counts"), 1))})

    grouped = distributed.map_files(raw, hashed).groupby(BUCKET, num_partitions=buckets)
    blocks = ray.get(grouped.map_groups(repeats, batch_format="pyarrow").to_arrow_refs())
    found = [block[name] for block in blocks if name in block.column_names]
    return pa.chunked_array(
        [chunk for column in found for chunk in column.chunks], found[0].type if found else pa.null()
    )
