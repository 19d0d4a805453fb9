"""Put two or more judged runs side by side: figures, intervals, paired tests, curves, what was configured otherwise.

Reads:  evaluations: scored rows and cards
Writes: comparison: compare.html, compare.json
Run:    python -m workloads.compare compare.runs=[ID,ID]
"""

from typing import Any

from workbench.config import Config
from workbench.data.store import Artifact, Store
from workbench.digest import digest
from workbench.errors import ConfigError
from workbench.evaluation import side_by_side
from workbench.evaluation.side_by_side import Side
from workbench.progress import say
from workbench.report import judged
from workloads import door

VERSION = 1


def run(cfg: Config) -> Artifact:
    """The finished comparison; its figures are those of each side on the common rows."""
    if not cfg.compare.runs:
        raise ConfigError("compare.runs is empty. Name evaluations or runs by their keys: compare.runs=[ID,ID].")
    store = Store(cfg.storage.root)
    asked = side_by_side.sides(store, cfg.compare.runs, cfg.compare.models)
    name = key(cfg, asked)
    return store.find("comparisons", name) or _compared(cfg, store, asked, name)


def key(cfg: Config, asked: list[Side]) -> str:
    """The name of the comparison."""
    return digest("compare", VERSION, [[side.evaluation.key, side.model] for side in asked], inputs(cfg))


def inputs(cfg: Config) -> dict[str, Any]:
    """What a comparison depends on besides its sides."""
    return {"bootstrap_samples": cfg.evaluate.bootstrap_samples, "resample": cfg.evaluate.resample}


def shown(cfg: Config) -> Artifact:
    """The finished comparison, its figures and verdict printed."""
    artifact = run(cfg)
    about = artifact.read_json("compare.json")
    say("\n".join(_line(name, about) for name in about["sides"]))
    say(f"{about['verdict']}\nside by side: {artifact.uri}/compare.html")
    return artifact


def _compared(cfg: Config, store: Store, asked: list[Side], name: str) -> Artifact:
    by_customer = cfg.evaluate.resample == "customers"
    about, folds = side_by_side.compared(asked, cfg.evaluate.bootstrap_samples, by_customer)
    stage = store.stage("comparisons", name)
    stage.write_json("compare.json", about)
    stage.write_bytes("compare.html", judged.comparison(about, folds).encode())
    parents = {f"evaluation {place}": side.evaluation.key for place, side in enumerate(asked)}
    return stage.commit(parents, inputs(cfg), about["figures"])


def _line(name: str, about: dict[str, Any]) -> str:
    own, ends = about["figures"][name], about["intervals"][name]["average_precision"]
    return (
        f"{name:40} average precision {own['average_precision']:.3f} (95 %: {ends[0]:.3f} to {ends[1]:.3f}),"
        f" ROC AUC {own['roc_auc']:.3f}"
    )


if __name__ == "__main__":
    door.main(shown, __doc__)
