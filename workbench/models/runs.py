"""The fits that a run keeps: one graph and one native file per family, fold and seed; and how they came about."""

from collections.abc import Sequence

import pyarrow as pa

from workbench.data import snapshots
from workbench.data.store import Artifact
from workbench.models import graph

Bags = dict[str, list[str]]  # family -> the names of its fits, without suffix


def fits(trained: Artifact, fold: str, seeds: Sequence[int]) -> Bags:
    """Each family's fits of a fold and some seeds; a family with one seed for all has that one."""
    names = [one.removesuffix(".onnx") for one in trained.manifest["blobs"] if one.endswith(".onnx")]
    found: Bags = {}
    for name in (one for one in names if f"/{fold}-seed" in one):
        found.setdefault(name.split("/")[0], []).append(name)
    asked = {family: [f"{family}/{fold}-seed{seed}" for seed in seeds] for family in found}
    return {family: [one for one in asked[family] if one in there] or there[:1] for family, there in found.items()}


def graphs(trained: Artifact, bags: Bags) -> dict[str, bytes]:
    """One graph per family: the fit, or the mean of its fits."""
    return {
        family: graph.averaged([trained.read_bytes(f"{name}.onnx") for name in names]) for family, names in bags.items()
    }


def natives(trained: Artifact, bags: Bags) -> dict[str, bytes]:
    """The framework's own files: under the family's name, or FAMILY/seedN where several fits make the member."""
    return {
        family if len(names) == 1 else f"{family}/seed{name.rpartition('-seed')[2]}": trained.read_bytes(
            f"{name}.native"
        )
        for family, names in bags.items()
        for name in names
    }


def history(trained: Artifact) -> pa.Table:
    """A row for each family, fit, metric and step: `family, fit, metric, step, value`."""
    files = [one for one in trained.files if one.name.startswith("history-")]
    return pa.concat_tables([snapshots.read_file(trained, one) for one in files])
