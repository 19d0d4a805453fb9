"""A feature snapshot as a table to audit; of a large one, samples that keep together what a check compares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import DataConfig, LeakcheckConfig
from workbench.data.store import Artifact
from workbench.leakage import bounded, files, later, overlap
from workbench.leakage.bounded import Sample
from workbench.leakage.table import EQUAL, FIRST, Audited, Column


@dataclass(frozen=True)
class Snapshot:
    """Which features of which snapshot are audited, and how."""

    artifact: Artifact
    data: DataConfig
    names: Sequence[str]
    check: LeakcheckConfig

    def audited(self) -> tuple[Audited, int, int]:
        """The table, and how many rows with a label and positives there are, held or not."""
        data, limit = self.data, self.check.driver_rows
        sizes = {data.id: limit} | dict.fromkeys(data.entities, min(limit, later.LIMIT))
        count = _Count()
        found = bounded.samples(map(count.of, self._blocks()), {name: Sample([name], of) for name, of in sizes.items()})
        table = self._table(found[data.id])
        if len(table.label_N) == count.rows:
            return table, count.rows, count.positives
        kept = {name: self._table(found[name]) for name in data.entities}
        kept[EQUAL] = self._table(self._equal_rows(table))
        if table.time_N is not None:
            kept[FIRST] = self._table(self._first(table, count.rows))
        return replace(table, kept=kept), count.rows, count.positives

    @property
    def _timed(self) -> bool:
        """A stratified split has parts, and no time that means anything."""
        return self.data.split.kind == "time"

    @property
    def _claimed(self) -> str:
        """What the split claims: one that deals whole groups, to keep each of them on one side."""
        return "time" if self._timed else self.check.split or ("entity" if self.data.split.group else "random")

    def _blocks(self) -> Iterator[pa.Table]:
        data = self.data
        roles = [data.id, data.event_time, *data.entities, "label", *([] if self._timed else ["part"])]
        blocks = bounded.blocks_of(self.artifact, list(dict.fromkeys([*roles, *self.names])))
        return (block.filter(pc.is_valid(block["label"])) for block in blocks)

    def _equal_rows(self, table: Audited) -> pa.Table:
        """Whole sets of rows that are equal but for what tells rows apart best."""
        names = [self.data.event_time if one.name == overlap.TIME else one.name for one in overlap.inputs_of(table)]
        apart = overlap.telling(table)
        apart = self.data.event_time if apart == overlap.TIME else apart
        sample = Sample([name for name in names if name != apart] or names, self.check.driver_rows)
        return bounded.samples(self._blocks(), {EQUAL: sample})[EQUAL]

    def _first(self, table: Audited, rows: int) -> pa.Table:
        """About as many rows as are looked at in order, the first in time."""
        assert table.time_N is not None
        last = int(np.quantile(table.time_N, min(1.0, later.LIMIT / rows)))
        time = self.data.event_time
        early = [block.filter(pc.less_equal(block[time].cast(pa.int64()), last)) for block in self._blocks()]
        return pa.concat_tables(early)

    def _table(self, rows: pa.Table) -> Audited:
        data, rows = self.data, rows.sort_by(self.data.id)
        entities = tuple(one for name in data.entities if (one := Column.of(name, rows[name])) is not None)
        identity = Column.of(data.id, rows[data.id])
        return Audited(
            columns=tuple(one for name in self.names if (one := Column.of(name, rows[name])) is not None),
            label_N=rows["label"].to_numpy().astype(np.int64),
            time_N=rows[data.event_time].cast(pa.int64()).to_numpy() if self._timed else None,
            entities=entities,
            part=None if self._timed else Column.of("part", rows["part"]),
            split=self._claimed,
            group=data.split.group,
            delay=data.label.delay_days * files.DAY_US,
            ids=() if identity is None else (identity,),
            row_N=np.arange(rows.num_rows),
        )


@dataclass
class _Count:
    """Rows and positives of all blocks that went by."""

    rows: int = 0
    positives: int = 0

    def of(self, block: pa.Table) -> pa.Table:
        self.rows += block.num_rows
        self.positives += pc.sum(block["label"]).as_py() or 0
        return block
