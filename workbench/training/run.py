"""Train one family: what is planned for it, one worker group for all its fits, and what is chosen of them."""

from collections.abc import Mapping, Sequence

from workbench import cluster
from workbench.config import ScalingConfig, TrainConfig
from workbench.data.store import Store
from workbench.errors import Diverged
from workbench.models.composition import Anomaly
from workbench.training import checks, group, needs, plan
from workbench.training.checkpoints import Shelf
from workbench.training.fits import SCORED, Fold
from workbench.training.gather import Gathered
from workbench.training.trained import Trained
from workbench.training.workers import DIVERGED


def train(
    family: str,
    rows: Mapping[str, Gathered],
    folds: Sequence[Fold],
    cfg: TrainConfig,
    scaling: ScalingConfig,
    store: Store,
    run_name: str,
    scores: Mapping[str, dict[str, Anomaly]] | None = None,
) -> Trained:
    """The family trained on every fold: first those that select the number of steps, then the others with it.

    Where no fold selects, all take the steps of the config. `scores` are the models whose scores may be inputs.
    """
    cluster.configure_data()
    hyper = getattr(cfg, family)
    scaling = needs.of(hyper, scaling)
    fits = plan.fits_of(hyper, folds, cfg.seeds)
    taken = plan.taken(hyper, rows, [fold.name for fold in folds])
    scored = {fold.name + SCORED: rows[fold.name + SCORED] for fold in folds if fold.score is not None}
    checks.check_shares(family, hyper, taken, scaling)
    anomalies = (scores or {})[hyper.anomaly_feature] if hyper.supervised and hyper.anomaly_feature else {}
    config = plan.config_of(hyper, fits, taken, scaling, anomalies)
    config["shelf"] = shelf = Shelf(store, f"{family}-{run_name}", plan.digest_of(config, taken | scored, scaling))
    shelf.prepare()
    packed = group.fit(family, group.entry(family), config, taken | scored, scaling, shelf)
    if stopped := packed.get(DIVERGED):
        raise Diverged(f"Training {family} was stopped. {stopped.decode()}")
    return Trained.of(family, fits, packed, shelf)
