"""Hold the rows to their contract: good rows go on, bad rows go to quarantine with every rule that they break.

Reads:  raw snapshot
Writes: validation report; bad rows in quarantine; validated snapshot, unless more rows are bad than the contract allows
        (exit code 1)
Run:    python -m workloads.validate data.bad_rows_limit=0.01
"""

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from workbench import cluster
from workbench.config import Config, DataConfig
from workbench.data import checks, contracts, distributed
from workbench.data.contracts import Violation
from workbench.data.store import Artifact, Store
from workbench.data.tables import Table
from workbench.data.versions import Versions
from workbench.digest import digest
from workbench.errors import GateRefused
from workloads import door, ingest

if TYPE_CHECKING:
    from ray.data import Dataset

VERSION = 2
RULES = ("type", "nulls", "minimum", "maximum", "categories", "unique", "ordered")


def key(cfg: Config) -> str:
    """The name of the validated snapshot, and of its report and quarantine."""
    return digest("validate", VERSION, ingest.key(cfg), contract(cfg.data))


def contract(data: DataConfig) -> dict[str, Any]:
    """The part of the data set's config that rows are held to."""
    columns = contracts.contract_of(data).items()
    held_to: dict[str, Any] = {
        "limit": data.bad_rows_limit,
        "columns": {name: {rule: getattr(column, rule) for rule in RULES} for name, column in columns},
    }
    if any(contracts.is_text(column) for _, column in columns):
        held_to["longest_text"] = contracts.LONGEST_TEXT
    return held_to | ({"versions": data.versions} if data.versions else {})


def run(cfg: Config) -> Artifact:
    """The validated snapshot; raises `GateRefused` with a table of all violations when too many rows are bad."""
    store, name = Store(cfg.storage.root), key(cfg)
    if done := store.find("validated", name):
        return done
    if earlier := store.find("validations", name):
        _refuse_above_limit(cfg.data, earlier)
    raw = ingest.run(cfg)
    cluster.up(cfg)
    versions = Versions.of(cfg.data)
    rows = checks.checked(raw, contracts.contract_of(cfg.data), versions).materialize()
    violations, quarantined = _quarantine(store, name, rows, cfg.data.id)
    figures = {
        "rows": raw.rows - quarantined,
        "quarantined": quarantined,
        "violations": [dataclasses.asdict(one) for one in violations],
    }
    report = store.stage("validations", name).commit({"raw": raw.key}, contract(cfg.data), figures)
    _refuse_above_limit(cfg.data, report)
    good = rows.map_batches(contracts.good, batch_size=None, batch_format="pyarrow")
    figures |= checks.counted(good, versions) if versions else {}
    return distributed.write(
        store, "validated", name, good,
        parents={"raw": raw.key}, config=contract(cfg.data), figures=figures,
    )  # fmt: skip


def _quarantine(store: Store, name: str, rows: "Dataset", id_column: str) -> tuple[list[Violation], int]:
    """Append the bad rows of one block after the other to quarantine; what they violate, and how many they are."""
    import ray

    found: list[Violation] = []
    count = 0
    blocks = rows.map_batches(contracts.bad, batch_size=None, batch_format="pyarrow").to_arrow_refs()
    for version, reference in enumerate(blocks):
        block: pa.Table = ray.get(reference)
        if block.num_rows:
            found += contracts.violations(block, id_column)
            count += block.num_rows
            kept = contracts.quarantine_rows(block, id_column, dt.datetime.now(dt.UTC))
            Table(store, f"quarantine/{name}").append(kept, app_id=f"validate-{name}", version=version)
    return contracts.merged(found), count


def _refuse_above_limit(data: DataConfig, report: Artifact) -> None:
    bad, rows = report.figures["quarantined"], report.figures["rows"] + report.figures["quarantined"]
    if bad > data.bad_rows_limit * rows:
        listed = contracts.table_of(Violation(**one) for one in report.figures["violations"])
        raise GateRefused(
            f"{bad:,} of {rows:,} rows break the contract of {data.name}; data.bad_rows_limit={data.bad_rows_limit:g}"
            f" allows {int(data.bad_rows_limit * rows):,}. All of them are in the table quarantine/{report.key}."
            f" Correct the source, the contract or the limit.\n\n{listed}"
        )


if __name__ == "__main__":
    door.main(run, __doc__)
