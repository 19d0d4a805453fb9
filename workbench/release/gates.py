"""What a candidate must show before it becomes a version, and a version before it goes live."""

from collections.abc import Iterator
from typing import Any

from workbench.config import RegisterConfig
from workbench.data.store import Store
from workbench.errors import GateRefused, raise_all
from workbench.features.parity import holds


def check(
    cfg: RegisterConfig, evaluated: dict[str, Any], rescored: dict[str, Any], largest_difference: dict[str, float]
) -> None:
    """Raise `GateRefused` with all reasons; return when there is none."""
    raise_all(GateRefused, "The candidate was refused:", list(_reasons(cfg, evaluated, rescored, largest_difference)))


def check_parity(store: Store, log: str, feature_view_version: str) -> None:
    """Raise `GateRefused` when the newest parity report of this view and prediction log does not show that all agrees.

    A log is of one application and data set: what another one's report says is no evidence.
    """
    asked = {"log": log, "feature_view_version": feature_view_version}
    reports = (store.get("parity", key) for key in reversed(store.keys("parity")))
    newest = next((one for one in reports if asked.items() <= one.figures.items()), None)
    if newest and not holds(figures := newest.figures):
        raise GateRefused(
            f"feature view {feature_view_version} served {figures['differing']:,} numbers that offline are others, of"
            f" {figures['rows']:,} rows, {figures['missing']:,} missing (control"
            f" {'found' if figures['control'] else 'NOT found'}): {newest.uri}/parity.json. Correct the features and"
            " raise features.version: that is another view. Where something else was wrong, run workloads.parity again."
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
