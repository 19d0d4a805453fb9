"""The rows that thresholds are chosen on: all selecting folds', as a run's mixture and its calibration score them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.config import Config
from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.evaluation.scoring import Model
from workbench.features.timeline import micros
from workbench.models.calibration import probability
from workbench.release.threshold import Judged


def rows(cfg: Config, trained: Artifact, features: Artifact, model: Model) -> Judged:
    """Labels, scores, times and amounts; no fit saw the rows that it scored."""
    files = [file for file in trained.files if file.name.startswith("validation-")]
    found = pa.concat_tables([snapshots.read_file(trained, file) for file in files])
    weights = {family: weight for family, weight in model.weights.items() if weight}
    logit_N = np.stack([found[family].to_numpy() for family in weights], axis=1) @ np.array(list(weights.values()))
    return Judged(
        label_N=found["label"].to_numpy(),
        score_N=probability(model.calibration, logit_N),
        time_us_N=micros(found["time"]),
        amount_N=_amounts(cfg, features, found["id"]),
        share=_share(cfg, found.num_rows, features.rows),
    )


def _share(cfg: Config, count: int, every: int) -> float:
    """Of all rows of the days; whole days are scored, but for `data.split.group`, of a share of the customers."""
    if cfg.data.split.kind != "time":
        return count / every
    return 1.0 if cfg.data.split.group is None else cfg.data.split.validation_share


def _amounts(cfg: Config, features: Artifact, ids: pa.ChunkedArray) -> np.ndarray | None:
    """What each row would lose, in minor units, where a column says so."""
    if (column := cfg.register.threshold.amount) is None:
        return None
    events = Store(cfg.storage.root).get("validated", features.manifest["parents"]["validated"])
    found = snapshots.read(events, [cfg.data.id, column], pc.field(cfg.data.id).isin(ids.combine_chunks()))
    place = pc.index_in(ids.combine_chunks(), value_set=found[cfg.data.id].combine_chunks())
    return np.asarray(pc.fill_null(found[column].take(place), 0).to_numpy(), np.float64)
