"""Tables: what grows (labels, predictions, quarantine, releases) as Delta, where a repeated append changes nothing."""

import functools
import os
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError
from pyarrow import fs

from workbench.data.store import Store
from workbench.errors import EnvironmentFault, StoreError, WorkbenchError

# Appends do not conflict, but one that creates the table, or widens it, does with every append beside it, and so may
# each of them in turn: an append is tried once for each writer that a table may get at its birth.
CREATORS = 16


class Table:
    """One Delta table under `<root>/tables/<name>`."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.uri, self._path = store, store.uri("tables", name), store.path("tables", name)

    def exists(self) -> bool:
        """Whether anything was ever appended."""
        return self._opened() is not None

    def _opened(self) -> DeltaTable | None:
        """The table as it is now, if it is there; `is_deltatable` holds up all threads until the store answers."""
        try:
            return DeltaTable(self.uri, storage_options=_storage_options())
        except TableNotFoundError:
            return None

    def append(self, rows: pa.Table, app_id: str, version: int, widen: bool = False) -> bool:
        """Append `rows` as transaction `version` of `app_id`; False when that transaction is in the table already.

        A writer that repeats itself after a crash gives the same `app_id` and `version`: nothing is lost or doubled.
        `widen`: columns that the table has not yet are added to it, null in the rows before.
        """
        self.store.begin()
        for again in reversed(range(CREATORS)):
            if self._applied(app_id) >= version:
                return False
            try:
                self._write(rows, Transaction(app_id, version), widen)
                break
            except Exception as error:
                if not (again and isinstance(error, CommitFailedError)):
                    raise self._fault(error) from error
        return True

    def append_unless(self, rows: pa.Table, taken: dict[str, str | int]) -> bool:
        """Append `rows` where no row has these values, whoever else asks at once; False when one has them.

        Delta refuses the commit of one who has not seen a row that meets its predicate: of several one is first.
        """
        self.store.begin()
        for again in reversed(range(CREATORS)):
            try:
                table = self._widened(rows.schema)
                if self._has(table, taken):
                    return False
                where = " AND ".join(f"{name} = {_literal(value)}" for name, value in taken.items())
                write_deltalake(table, plain_strings(rows), mode="overwrite", predicate=where)
                break
            except Exception as error:
                if not (again and isinstance(error, CommitFailedError)):
                    raise self._fault(error) from error
        return True

    def _widened(self, schema: pa.Schema) -> DeltaTable:
        """The table as it is now, which has these columns."""
        there = self._opened()
        if there is None or set(schema.names) - {field.name for field in there.schema().fields}:
            options = {"schema_mode": "merge", "storage_options": _storage_options()}
            write_deltalake(self.uri, schema.empty_table(), mode="append", **options)
            return DeltaTable(self.uri, storage_options=_storage_options())
        return there

    def _write(self, rows: pa.Table, transaction: Transaction, widen: bool) -> None:
        write_deltalake(
            self.uri,
            plain_strings(rows),
            mode="append",
            schema_mode="merge" if widen else None,
            commit_properties=CommitProperties(app_transactions=[transaction]),
            storage_options=_storage_options(),
        )

    def read(self, columns: Sequence[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
        """The chosen columns and rows as they are now; raises `EnvironmentFault` where there is no table yet."""
        if (table := self._opened()) is None:
            raise EnvironmentFault(f"{self.uri} does not exist yet. Run the step that fills it first.")
        wanted = list(columns) if columns is not None else None
        return plain_strings(self._dataset(table).to_table(columns=wanted, filter=rows))

    def read_new(
        self, seen: frozenset[str], columns: Sequence[str], rows: pc.Expression
    ) -> tuple[pa.Table, frozenset[str]]:
        """The chosen rows of files that were not there before, and all files that are there now."""
        found = self._dataset(DeltaTable(self.uri, storage_options=_storage_options()))
        files = {one.path: one for one in found.get_fragments()}
        fresh = [one for path, one in files.items() if path not in seen]
        new = pds.FileSystemDataset(fresh, found.schema, found.format, found.filesystem)
        return plain_strings(new.to_table(columns=list(columns), filter=rows)), frozenset(files)

    def _dataset(self, table: DeltaTable) -> pds.FileSystemDataset:
        """Its files, read without Python: where Arrow's threads hold Python files, a process may abort at its exit."""
        return table.to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(self._path, self.store.fs))

    def columns(self) -> list[str]:
        """The names of its columns."""
        return [one.name for one in DeltaTable(self.uri, storage_options=_storage_options()).schema().fields]

    def greatest(self, name: str) -> pa.Scalar:
        """The greatest value of a column, by the statistics of the files; a time may lack what is below a ms."""
        files = pa.table(DeltaTable(self.uri, storage_options=_storage_options()).get_add_actions(flatten=True))
        tops = files[f"max.{name}"] if f"max.{name}" in files.column_names else None
        return pc.max(self.read([name])[name] if tops is None or tops.null_count else tops)

    def _has(self, table: DeltaTable, values: dict[str, str | int]) -> bool:
        rows = functools.reduce(lambda a, b: a & b, (pc.field(name) == value for name, value in values.items()))
        return bool(self._dataset(table).count_rows(filter=rows))

    def _fault(self, error: Exception) -> WorkbenchError:
        """What an append that failed says: whose fault it is depends on what deltalake raised."""
        faults = OSError | DeltaError  # a value that does not cast comes as a bare Exception
        if isinstance(error, SchemaMismatchError) or not isinstance(error, faults):
            return StoreError(
                f"{self.uri} does not take these rows: {error}. It was written by another version: use another"
                " storage.root, or move the table away."
            )
        said = f"{self.uri} could not be appended to: {error}."
        if isinstance(error, CommitFailedError):
            return EnvironmentFault(f"{said} Another process writes to it: run the step again when that is done.")
        return EnvironmentFault(f"{said} Free space, or correct storage.root or the permissions on it.")

    def _applied(self, app_id: str) -> int:
        table = self._opened()
        found = table.transaction_version(app_id) if table else None
        return -1 if found is None else found


def _literal(value: str | int) -> str:
    """A value as SQL has it."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def plain_strings(table: pa.Table) -> pa.Table:
    """The same table with every large or view string as `string`: Delta refuses a mixture of them in one table."""
    wide = (pa.large_string(), pa.string_view())
    fields = [column.with_type(pa.string()) if column.type in wide else column for column in table.schema]
    return table.cast(pa.schema(fields))


def _storage_options() -> dict[str, str]:
    # On S3 each commit is a conditional put, which needs no lock service; credentials come from the environment.
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
        "aws_conditional_put": "etag"
    }
