"""The threshold at which each member is judged alone: it flags a share of the validation rows.

The ensemble has that of its registration, see `release/threshold.py`.
"""

import numpy as np
import pyarrow as pa

from workbench.data import snapshots
from workbench.data.store import Artifact


def thresholds(run: Artifact, flagged_share: float) -> dict[str, float]:
    """In log-odds, of every member; rows at or above it are flagged."""
    entries = [entry for entry in run.files if entry.name.startswith("validation-")]
    rows = pa.concat_tables([snapshots.read_file(run, entry) for entry in entries])
    return {name: float(np.quantile(rows[name].to_numpy(), 1 - flagged_share)) for name in run.manifest["weights"]}
