"""What a candidate must show before it becomes a version, and a version before it goes live."""

from collections.abc import Iterator
from typing import Any

from workbench.config import RegisterConfig
from workbench.data.store import Store
from workbench.errors import GateRefused, raise_all


def check(
    cfg: RegisterConfig, evaluated: dict[str, Any], rescored: dict[str, Any], largest_difference: dict[str, float]
) -> None:
    """Raise `GateRefused` with all reasons; return when there is none."""
    raise_all(GateRefused, "The candidate was refused:", list(_reasons(cfg, evaluated, rescored, largest_difference)))


def check_parity(store: Store, feature_view_version: str) -> None:
    """Raise `GateRefused` when the newest parity report of this feature view found a difference."""
    reports = (store.get("parity", key) for key in store.keys("parity"))
    mine = [one for one in reports if one.figures["feature_view_version"] == feature_view_version]
    newest = max(mine, key=lambda one: str(one.manifest["created"]), default=None)
    if newest and newest.figures["differing"]:
        raise GateRefused(
            f"feature view {feature_view_version} served {newest.figures['differing']:,} numbers that offline are"
            f" others: {newest.uri}/parity.json. Correct the features and raise features.version: it is another view then."
        )


def _reasons(
    cfg: RegisterConfig, evaluated: dict[str, Any], rescored: dict[str, Any], largest_difference: dict[str, float]
) -> Iterator[str]:
    for name, value in rescored.items():
        if value != evaluated[name]:
            yield f"{name} of the bundle is {value}, the evaluation had {evaluated[name]}: another model was judged."
    for member, difference in largest_difference.items():
        if not difference <= cfg.score_tolerance:
            yield (
                f"{member}: the bundle's probability differs from its framework's by {difference:.2g};"
                f" register.score_tolerance={cfg.score_tolerance:g} allows less."
            )
    wanted, found = cfg.minimum_average_precision, evaluated["average_precision"]
    if wanted is not None and not found >= wanted:  # no number is no good either
        yield f"average precision {found:.3f} is below register.minimum_average_precision={wanted:g}."
