"""The feature catalogue: what each input of a model is, how it is spread, and how it fares, on one page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.data.store import Artifact
from workbench.features import words
from workbench.features.definitions import Feature, FeatureSet
from workbench.report.templates import filled

WIDTH, HEIGHT = 168.0, 43.0  # of a picture, in its own units


def render(name: str, version: Artifact, findings: dict[str, Any]) -> str:
    """The page of a model version's features, the most important first, with the drift of `findings`."""
    feature_set = FeatureSet.from_json(version.read_json("features.json"))
    reference = version.read_json("reference.json")
    entries = [_entry(one, feature_set, reference, findings) for one in feature_set.features]
    most = max((one["importance"] for one in entries), default=0.0)
    for one in entries:
        one["share"] = max(0.0, 100 * one["importance"] / most) if most > 0 else 0.0
    entries.sort(key=lambda one: -one["importance"])
    return filled("catalogue.html", name=name, version=version.key, feature_set=feature_set.digest, entries=entries)


def _entry(
    one: Feature, features: FeatureSet, reference: Mapping[str, Any], findings: dict[str, Any]
) -> dict[str, Any]:
    drift = next((found for found in findings["drift"] if found["name"] == one.name), None)
    shape, sources = reference["shapes"][one.name], words.sources(one, features)
    missing = [reference["source_missing"][name] for name in sources if name in reference["source_missing"]]
    return {
        "name": one.name,
        "definition": words.definition(one),
        "sources": sources,
        "source_missing": max(missing, default=None),
        "missing": reference["profile"]["features"][one.name]["null_share"],
        "importance": reference["importance"][one.name],
        "drift": drift,
        "bars": bars(shape["counts"]),
        "line": line(shape["counts"], findings["shapes"][one.name] if drift else []),
        "low": _short(shape["low"], shape),
        "high": _short(shape["high"], shape, end=True),
    }


def bars(counts: Sequence[int]) -> list[tuple[float, ...]]:
    """A rectangle (x, y, width, height) for each bar that is not empty; the highest fills the picture."""
    step = WIDTH / max(len(counts), 1)
    heights = _heights(counts, max(counts, default=0))
    gap = min(1.0, step / 5)
    return [
        (round(step * i + gap / 2, 2), round(HEIGHT - h, 2), round(step - gap, 2), round(h, 2))
        for i, h in enumerate(heights)
        if h > 0
    ]


def line(reference: Sequence[int], current: Sequence[int]) -> str:
    """The other window's bars as one stepped line on the same scale of shares, as an SVG path; cut at the top."""
    total, now = sum(reference), sum(current)
    if not total or not now:
        return ""
    heights = _heights(current, max(reference) / total * now)
    step = WIDTH / len(heights)
    steps = " ".join(f"V{round(HEIGHT - h, 2)} H{round(step * (i + 1), 2)}" for i, h in enumerate(heights))
    return f"M0 {HEIGHT} {steps}"


def _heights(counts: Sequence[int], full: float) -> list[float]:
    """At least a hair for what is there at all."""
    return [float(np.clip(HEIGHT * count / full, 1.0, HEIGHT)) if count and full else 0.0 for count in counts]


def _short(value: float | None, shape: Mapping[str, Any], end: bool = False) -> str:
    """An end of the picture; bars of whole numbers begin and end half a one beside them."""
    if value is None:
        return ""
    if shape["whole"]:
        value += -0.5 if end else 0.5
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
