"""Hold the rows to their contract: good rows go on, bad rows go to quarantine with every rule that they break.

Reads:  raw snapshot
Writes: validated snapshot; quarantine table; ends with exit code 1 above the contract's limit of bad rows
Run:    python -m workloads.validate data.bad_rows_limit=0.01
"""

import dataclasses
import datetime as dt
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config, DataConfig
from workbench.data import contracts, distributed
from workbench.data.store import Artifact, Store
from workbench.data.tables import Table
from workbench.digest import digest
from workbench.errors import GateRefused
from workloads import door, ingest

VERSION = 1


def key(cfg: Config) -> str:
    """The name of the validated snapshot."""
    return digest("validate", VERSION, ingest.key(cfg), contract(cfg.data))


def contract(data: DataConfig) -> dict[str, Any]:
    """The part of the data set's config that rows are held to."""
    return {"limit": data.bad_rows_limit, "columns": data.columns}


def run(cfg: Config) -> Artifact:
    """The validated snapshot; raises `GateRefused` with a table of all violations when too many rows are bad."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("validated", name):
        return done
    raw = ingest.run(cfg)
    rows = contracts.checked(raw, columns_of(cfg.data, raw)).materialize()
    bad = _bad_rows(rows)
    _quarantine(store, cfg.data, raw, bad, name)
    listed = contracts.violations(bad)
    if bad.num_rows > cfg.data.bad_rows_limit * raw.rows:
        raise GateRefused(_refusal(cfg.data, raw, bad, listed))
    figures = {
        "rows": raw.rows - bad.num_rows,
        "quarantined": bad.num_rows,
        "violations": [dataclasses.asdict(one) for one in listed],
    }
    parents = {"raw": raw.key}
    return distributed.write(
        store, "validated", name, rows.map_batches(_good_rows, batch_size=None, batch_format="pyarrow"),
        parents=parents, config=contract(cfg.data), figures=figures,
    )  # fmt: skip


def columns_of(data: DataConfig, raw: Artifact) -> dict[str, Any]:
    """The contracts of the columns that the snapshot has."""
    present = {name for name, _ in raw.manifest["schema"]}
    return {name: column for name, column in data.columns.items() if name in present}


def _good_rows(table: pa.Table) -> pa.Table:
    good = pc.equal(pc.list_value_length(table[contracts.REASONS]), 0)
    return table.filter(good).drop_columns([contracts.REASONS])


def _bad_rows(rows: Any) -> pa.Table:
    import ray

    def bad(table: pa.Table) -> pa.Table:
        return table.filter(pc.greater(pc.list_value_length(table[contracts.REASONS]), 0))

    blocks = ray.get(rows.map_batches(bad, batch_size=None, batch_format="pyarrow").to_arrow_refs())
    return pa.concat_tables(blocks)


def _quarantine(store: Store, data: DataConfig, raw: Artifact, bad: pa.Table, name: str) -> None:
    if bad.num_rows:
        kept = contracts.quarantine_rows(bad, data.id, dt.datetime.now(dt.UTC))
        Table(store, f"quarantine/{raw.key}").append(kept, app_id=f"validate-{name}", version=1)


def _refusal(data: DataConfig, raw: Artifact, bad: pa.Table, listed: list[contracts.Violation]) -> str:
    return (
        f"{bad.num_rows:,} of {raw.rows:,} rows break the contract of {data.name}; data.bad_rows_limit="
        f"{data.bad_rows_limit:g} allows {int(data.bad_rows_limit * raw.rows):,}. All of them are in the table"
        f" quarantine/{raw.key}. Correct the source, the contract or the limit.\n\n{contracts.table_of(listed)}"
    )


if __name__ == "__main__":
    door.main(run, __doc__)
