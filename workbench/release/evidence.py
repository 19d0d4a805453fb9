"""What the prediction log says of a canary: every replica's decisions, each counted once, whatever dies meanwhile.

The log is the one place that all replicas write to and that outlives them. Only files that are new since the last look
are read. What is not in the table yet, is counted when the compactor has moved it.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.store import Store
from workbench.feedback import prediction_log
from workbench.release.guardrails import Counts
from workbench.release.releases import Canary
from workbench.release.settings import GuardrailsConfig

COLUMNS = (
    "alias", "score", "flagged", "scored_us", "other_score", "other_flagged", "other_us", "other_fault",
)  # fmt: skip


class Evidence:
    """Counts of one canary after another."""

    def __init__(self, store: Store, log: str, cfg: GuardrailsConfig) -> None:
        self._table, self._cfg = prediction_log.predictions(store, log), cfg
        self._of: tuple[str, int, int] | None = None
        self._seen: frozenset[str] = frozenset()
        self._counts = Counts()

    def of(self, canary: Canary) -> Counts:
        """What was seen of this canary until now."""
        of = (canary.version, canary.since_us, canary.stepped_us)
        if self._of != of:
            self._of, self._seen, self._counts = of, frozenset(), Counts()
        if not self._table.exists() or "other_version" not in self._table.columns():
            return self._counts
        rows, seen = self._read(canary)
        if not seen >= self._seen:  # its files were written anew
            self._seen, self._counts = frozenset(), Counts()
            rows, seen = self._read(canary)
        at_share = counted(rows.filter(_since(canary.stepped_us)), self._cfg).pairs
        self._seen, self._counts = seen, self._counts + replace(counted(rows, self._cfg), at_share=at_share)
        return self._counts

    def _read(self, canary: Canary) -> tuple[pa.Table, frozenset[str]]:
        return self._table.read_new(self._seen, (*COLUMNS, "received_at"), _pairs(canary))


def counted(rows: pa.Table, cfg: GuardrailsConfig) -> Counts:
    """The counts of some rows of the log: those that a canary and the champion both scored."""
    faults = rows.num_rows - rows["other_fault"].null_count
    pairs = rows.filter(pc.is_null(rows["other_fault"]))
    by_canary_N = pc.equal(pairs["alias"], "canary").to_numpy(zero_copy_only=False).astype(bool)
    own_us_N, other_us_N = (_numbers(pairs[name]) for name in ("scored_us", "other_us"))
    canary_us_N = np.where(by_canary_N, own_us_N, other_us_N)
    champion_us_N = np.where(by_canary_N, other_us_N, own_us_N)
    allowed_us_N = champion_us_N * cfg.latency_factor + cfg.latency_slack_ms * 1000
    return Counts(
        pairs=pairs.num_rows,
        differing=int((_numbers(pairs["flagged"]) != _numbers(pairs["other_flagged"])).sum()),
        shifted=int((np.abs(_numbers(pairs["score"]) - _numbers(pairs["other_score"])) > cfg.shift).sum()),
        slow=int((canary_us_N > allowed_us_N).sum()),
        faults=faults,
    )


def _pairs(canary: Canary) -> pc.Expression:
    own = (pc.field("alias") == "canary") & (pc.field("model_version") == canary.version)
    return _since(canary.since_us) & (own | (pc.field("other_version") == canary.version))


def _since(us: int) -> pc.Expression:
    return pc.field("received_at") >= pa.scalar(us, pa.int64()).cast(prediction_log.TIME)


def _numbers(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.float64()).to_numpy()
