"""The benchmark of what does not scale measures the step itself, with the partitions that it was told."""

from pathlib import Path

import pytest

from benchmarks import scaling
from workbench.features import distributed
from workloads import door, featurize

SMALL = ("data.source.benchmark.customers=40", "data.source.benchmark.terminals=60")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_partitions_cost_parts_by_their_square_and_change_neither_rows_nor_labels(tmp_path: Path) -> None:
    rows = scaling.compared(SMALL, [1, 4], tmp_path)
    found = {row.case: row for row in rows}
    assert len(found) == 2 * len(scaling.UNITS)
    assert all(row.ours > 0 for row in rows), found
    assert all(row.ours == row.peer for row in rows if row.case.startswith("1 per core"))
    assert found["4 per core: parts"].ratio >= 4
    assert found["4 per core: labels"].ratio == 1
    assert found["4 per core: manifest"].ratio > 1
    for count in ("1 per core", "4 per core"):
        assert found[f"{count}: driver"].ours >= found[f"{count}: labels"].ours, "labels are in the driver"
    assert distributed.chain.__module__ == "workbench.features.distributed", "the step is its own again"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_the_features_are_the_same_however_many_partitions_there_are(tmp_path: Path) -> None:
    cfg = door.composed(["experiment=payments", "tracker=disabled", *SMALL, f"storage.root={tmp_path}"])
    few = scaling.made(cfg, 2)
    names = [name for name, _ in few.artifact.manifest["schema"]]
    first = featurize.table(few.artifact, names).combine_chunks()
    many = scaling.made(cfg, 11)
    assert (few.chain.buckets, many.chain.buckets) == (2, 11) and len(many.artifact.files) > 2
    assert first.num_rows > 0
    assert featurize.table(many.artifact, names).combine_chunks().equals(first)
