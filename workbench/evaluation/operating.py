"""The threshold at which each model is judged: it flags a share of the validation rows, as at registration."""

import numpy as np
import pyarrow as pa

from workbench.data import snapshots
from workbench.data.store import Artifact


def thresholds(run: Artifact, flagged_share: float) -> dict[str, float]:
    """In log-odds, of every member and of the ensemble; rows at or above it are flagged."""
    entries = [entry for entry in run.files if entry.name.startswith("validation-")]
    rows = pa.concat_tables([snapshots.read_file(run, entry) for entry in entries])
    weights = run.manifest["weights"]
    logits = {name: rows[name].to_numpy().astype(np.float64) for name in weights}
    mixed_N = np.sum([weight * logits[name] for name, weight in weights.items()], axis=0)
    return {name: float(np.quantile(z_N, 1 - flagged_share)) for name, z_N in {**logits, "ensemble": mixed_N}.items()}
