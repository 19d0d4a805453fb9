"""What is kept of every trial, in the store's `checkpoints/`: a command that is repeated finds it there.

<folder>/<trial>/FIT.npz      what the fit of a fold and seed gave at the trial's best step: its scored checkpoint
<folder>/<trial>/trial.json   written last: a trial without it was not finished
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pyarrow import fs

from workbench.data.parquet import read_bytes, write_bytes
from workbench.data.store import Store
from workbench.training.fits import Fitted

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
RECORD = "trial.json"


@dataclass(frozen=True)
class Record:
    """One trial: what was drawn, and what came of it."""

    name: str  # digest of all that it depends on
    values: dict[str, Any]  # the family and the drawn values, by dotted key
    status: str  # finished | stopped (by the scheduler) | failed
    scores: dict[str, float] = field(default_factory=dict)  # the objectives
    folds: list[float] = field(default_factory=list)  # average precision on each fold and seed
    steps: int = 0  # rounds or epochs with the highest mean
    seconds: float = 0.0  # that it took
    at_s: float = 0.0  # seconds from the beginning of the sweep to its end
    why: str = ""  # it was stopped or failed
    schedule: list[Any] = field(default_factory=list)  # pbt: [from which step, which values], where they changed

    @property
    def family(self) -> str:
        """The family that it trained."""
        return str(self.values["family"])


@dataclass(frozen=True)
class Records:
    """The trials of one sweep."""

    store: Store
    folder: str  # in the store's filesystem

    @classmethod
    def of(cls, store: Store, sweep: str) -> "Records":
        """Those of the sweep of this key."""
        return cls(store, store.path("checkpoints", f"sweep-{sweep}"))

    def find(self, name: str) -> Record | None:
        """A trial that is over, or None."""
        path = f"{self.folder}/{name}/{RECORD}"
        if self.store.fs.get_file_info(path).type != fs.FileType.File:
            return None
        return Record(**json.loads(read_bytes(self.store.fs, path)))

    def all(self) -> list[Record]:
        """Every trial that is over, in the order of their ends."""
        listed = self.store.fs.get_file_info(fs.FileSelector(self.folder, allow_not_found=True))
        found = [self.find(one.base_name) for one in listed if one.type == fs.FileType.Directory]
        return sorted((one for one in found if one), key=lambda one: (one.at_s, one.name))

    def write(self, record: Record, fits: Mapping[str, Fitted]) -> None:
        """Keep a trial and its fits by name."""
        for name, fitted in fits.items():
            write_bytes(self.store.fs, f"{self.folder}/{record.name}/{name}.npz", fitted.to_bytes())
        content = json.dumps(asdict(record), indent=1).encode()
        write_bytes(self.store.fs, f"{self.folder}/{record.name}/{RECORD}", content)

    def fits(self, record: Record, names: list[str]) -> dict[str, Fitted]:
        """The scored checkpoint of a finished trial."""
        folder = f"{self.folder}/{record.name}"
        return {name: Fitted.from_bytes(read_bytes(self.store.fs, f"{folder}/{name}.npz")) for name in names}


def finished(records: list[Record]) -> list[Record]:
    """Those that went through: the only ones that may win."""
    return [one for one in records if one.status == FINISHED]


def best(records: list[Record]) -> Record | None:
    """The finished trial with the highest average precision, whichever ended first: of equal ones see `_rank`."""
    return max(finished(records), key=_rank, default=None)


def _rank(one: Record) -> tuple[float, float, float, str]:
    """Average precision, then ROC AUC, then the smaller model, then the name: no order in which trials ended."""
    scores = one.scores
    return scores["average_precision"], scores.get("roc_auc", 0.0), -scores.get("model_bytes", 0.0), one.name


def best_of_each(records: list[Record]) -> dict[str, Record]:
    """The best trial of each family, the best family first."""
    families = dict.fromkeys(one.family for one in finished(records))
    found = [best([one for one in records if one.family == family]) for family in families]
    chosen = sorted((one for one in found if one), key=_rank, reverse=True)
    return {one.family: one for one in chosen}
