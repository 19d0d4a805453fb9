"""A table for the leak check, as a user hands it over: a file, its label and the roles of its columns."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workbench.config import LeakcheckConfig
from workbench.leakage import files
from workbench.leakage.audit import audit
from workbench.leakage.findings import Finding

Ints = NDArray[np.int64]
LABEL = "outcome"  # a name that no data set uses


@dataclass(frozen=True)
class Case:
    """Columns, label, roles (`time`, `entities`, `part`, `split`, `delay_days`) and which column must be named."""

    frame: pd.DataFrame
    label_N: Ints
    roles: dict[str, Any] = field(default_factory=dict)
    names: str | None = None  # None: it is clean

    def checked(self) -> list[Finding]:
        """What the product's check says of it with its own defaults, by the way of a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.parquet"
            self.frame.assign(**{LABEL: self.label_N}).to_parquet(path, index=False)
            check = LeakcheckConfig(path=str(path), label=LABEL, positive="1", **self.roles)
            table, _ = files.audited(check)
        return audit(table, check.false_alarm_rate, check.sample_rows)
