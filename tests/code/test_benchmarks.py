"""The benchmarks can be believed: equal inputs, equal outputs, and a measure of the whole process tree."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from benchmarks import (
    automl,
    canary,
    feature_check,
    feature_peers,
    features,
    incremental,
    leak_clean,
    leak_plants,
    leakcheck,
    training_peers,
)
from benchmarks.usage import Usage, tree
from workbench.config import BenchmarkConfig, Config, ScalingConfig
from workbench.data import snapshots
from workbench.data.store import Store
from workbench.errors import EnvironmentFault, InputError
from workbench.families import XGBoostConfig
from workbench.features import columns
from workbench.networks import TorchMLPConfig
from workbench.training.fits import Rows
from workbench.validation import check_learning
from workloads import door

ROOT = Path(__file__).resolve().parents[2]

SMALL = BenchmarkConfig(customers=40, terminals=60, days=50, radius=20.0)
HOLD = "import sys, time; held = bytearray(b'x' * (150 << 20)); print(flush=True); sys.stdin.read()"


@pytest.fixture(scope="module")
def cfg() -> Config:
    return features.windowed(door.composed(["tracker=disabled"]))


@pytest.fixture(scope="module")
def source(cfg: Config, ray_session: None, tmp_path_factory: pytest.TempPathFactory) -> features.Input:
    return features.inputs(cfg, SMALL, 2, Store(str(tmp_path_factory.mktemp("features") / "store")))


def test_the_copies_are_the_same_rows_with_other_ids(source: features.Input) -> None:
    rows = snapshots.read(source.snapshot).drop_columns(["transaction_id", "customer_id", "terminal_id"])
    half = rows.num_rows // 2
    assert half > 1000
    assert rows.slice(0, half).equals(rows.slice(half))
    ids = snapshots.read(source.snapshot, ["transaction_id", "customer_id", "terminal_id"])
    for name in ids.column_names:
        assert pc.max(ids[name].slice(0, half)).as_py() < pc.min(ids[name].slice(half)).as_py()
    assert pc.count_distinct(rows["event_time"].slice(0, half)).as_py() == half, "events tie"


def test_the_peers_get_our_rows_and_their_labels(source: features.Input) -> None:
    theirs = pq.read_table(source.labelled).sort_by("transaction_id")
    assert theirs.drop_columns(["label"]).equals(snapshots.read(source.snapshot).sort_by("transaction_id"))
    frauds = theirs.filter(pc.equal(theirs["label"], 1))
    assert frauds["transaction_id"].to_pylist() == sorted(source.history["transaction_id"].to_pylist())
    assert frauds.num_rows > 20


@pytest.mark.parametrize("peer", feature_peers.PEERS)
def test_a_peer_computes_the_same_numbers(
    cfg: Config, source: features.Input, tmp_path: Path, peer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(
        feature_peers.PACKAGES[peer], reason=f"{peer} is not installed: pip install -e '.[bench,spark]'"
    )
    seen = features.measured(cfg, source, [peer], 1, sys.executable, tmp_path)
    assert {name: len(spent) for name, spent in seen.items()} == {"ours": 1, peer: 1}
    assert all(one.seconds > 0 and one.peak_bytes > 50 << 20 for spent in seen.values() for one in spent)
    assert f"{peer}: {source.snapshot.rows:,} rows, counts equal" in capsys.readouterr().err


def written(path: Path, **changed: list[float]) -> str:
    columns: dict[str, list[float]] = {"id": [3, 1, 2], "n_count": [1.0, 2.0, 0.0], "mean": [0.5, 1e6, 0.0]}
    pq.write_table(pa.table(columns | changed), path)
    return str(path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": [3, 1, 4]}, "id: 3 rows here"),
        ({"n_count": [1.0, 2.0, 1e-12]}, "n_count: 1 rows differ"),
        ({"mean": [0.5, 1e6 * (1 + 1e-8), 0.0]}, "mean: 1 rows differ"),
        ({"mean": [0.5, 1e6, float("nan")]}, "mean: 1 rows differ"),
    ],
)
def test_a_difference_is_found(tmp_path: Path, changed: dict[str, list[float]], said: str) -> None:
    files = written(tmp_path / "ours.parquet"), written(tmp_path / "theirs.parquet", **changed)
    faults, _ = feature_check.disagreements(*files, "id", ["n_count"], ["mean"])
    assert [fault for fault in faults if fault.startswith(said)], faults


def test_the_order_of_rows_and_the_last_bits_of_a_mean_are_no_difference(tmp_path: Path) -> None:
    other = {"id": [1, 2, 3], "n_count": [2.0, 0.0, 1.0], "mean": [1e6 * (1 + 1e-12), 0.0, 0.5]}
    files = written(tmp_path / "ours.parquet"), written(tmp_path / "theirs.parquet", **other)
    faults, worst = feature_check.disagreements(*files, "id", ["n_count"], ["mean"])
    assert faults == []
    assert 0 < worst < 1e-11


def test_all_missing_packages_are_one_error_with_the_remedy(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o700)
    with pytest.raises(EnvironmentFault, match=r"no polars, pyspark\. Install them: pip install .*bench,spark"):
        features.require(str(bare), ["polars", "spark"])


def test_usage_sees_the_memory_of_a_descendant_unless_it_is_left_out() -> None:
    shell = ["sh", "-c", f'{sys.executable} -c "$0"; true', HOLD]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        assert len(tree(child.pid)) == 2
        with Usage(child.pid) as held, Usage(os.getpid(), frozenset([child.pid])) as own:
            pass
        child.communicate()
    assert 150 << 20 < held.peak_bytes < 300 << 20
    assert own.peak_bytes > 0
    assert child.pid not in tree(os.getpid(), frozenset([child.pid]))


WATCHED = """
import os, subprocess, sys
from benchmarks.usage import Usage
with Usage(os.getpid()) as usage:
    subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < 0.5: pass"], check=True)
print(usage.cpu_s)
"""  # a process of its own: in this one the processes of other tests' Ray come and go


def test_usage_counts_the_cpu_time_of_children_that_have_ended() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True, cwd=ROOT)
    assert 0.4 < float(done.stdout) < 5


def test_a_side_that_writes_other_numbers_is_refused(cfg: Config, source: features.Input, tmp_path: Path) -> None:
    class Unlike(features.Ours):
        name = "unlike"

    ours, other = features.Ours(cfg, source), Unlike(cfg, source)
    ours.run(frozenset())
    rows = feature_check.read(ours.output)
    place = rows.column_names.index("terminal_risk_7d")
    other.output = str(tmp_path / "unlike.parquet")
    pq.write_table(rows.set_column(place, "terminal_risk_7d", pc.add(rows["terminal_risk_7d"], 1e-3)), other.output)
    with pytest.raises(
        InputError, match=r"unlike does not compute what we do(.|\n)*- terminal_risk_7d: [\d,]+ rows differ"
    ):
        features.agree(ours, other)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_session")
def test_an_added_day_is_measured_on_top_of_the_others_and_alone(tmp_path: Path) -> None:
    size = dataclasses.replace(SMALL, days=100)
    rows = incremental.compared(door.composed(["experiment=payments", "tracker=disabled"]), size, tmp_path, 2, 1)
    assert [row.case.rpartition(": ")[2] for row in rows] == ["time", "CPU time", "peak memory"]
    updated, whole = (Store(str(tmp_path / name)) for name in ("store", "alone"))
    (key,) = whole.keys("features")
    made = updated.get("features", key), whole.get("features", key)
    last_day = made[0].rows - made[0].figures["kept"]
    assert 0 < last_day < made[0].rows / 50
    incremental.agree(*made)
    with pytest.raises(InputError, match="neither case or in both"):
        incremental.agree(made[1], made[1])
    with pytest.raises(InputError, match="- customer_id"):
        incremental.agree(updated.get("features", made[0].figures["kept_from"]), made[1])


def test_planted_leaks_are_counted_by_their_column(capsys: pytest.CaptureFixture[str]) -> None:
    real = {name: one for name, one in leak_clean.published(None) if name in ("lending_club", "diabetes")}
    rows = {row.case: (row.ours, row.peer) for row in leakcheck.planted(real, 1, ["target encoding", "class median"])}
    assert rows == {
        "leak: target encoding": (2, 2),
        "leak: class median": (1, 2),
        "named in a note only": (0, 4),
        "another column blamed": (0, 4),
    }
    assert "class median in diabetes: nothing" in capsys.readouterr().err, "and what was missed is told"


def test_there_are_many_kinds_of_leaks_and_of_clean_tables() -> None:
    assert (len(leak_plants.PLANTS), len(leak_clean.KINDS)) == (26, 12)


def test_a_clean_table_that_is_refused_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    small = leak_clean.KINDS["small"]
    leaking = lambda random: leak_plants.PLANTS["inverted"]((one := small(random)).frame, one.label_N, random)  # noqa: E731
    monkeypatch.setattr(leak_clean, "KINDS", {"small": small, "leaking": leaking})
    assert [(row.case, row.ours, row.peer) for row in leakcheck.simulated(1, 2)] == [
        ("clean: small", 0, 2),
        ("clean: leaking", 2, 2),
    ]


@pytest.mark.parametrize("kind", leak_clean.KINDS)
def test_a_clean_table_has_both_classes_and_its_roles(kind: str) -> None:
    case = leak_clean.KINDS[kind](np.random.default_rng(3))
    assert 0 < case.label_N.sum() < len(case.label_N) == len(case.frame)
    named = [one for role in ("time", "part") if (one := case.roles.get(role))] + case.roles.get("entities", [])
    assert set(named) <= set(case.frame.columns)


@pytest.mark.parametrize("family", ["xgboost", "torch_mlp"])
def test_the_bare_training_of_a_family_learns_what_there_is(family: str) -> None:
    random = np.random.default_rng(0)
    x_NF = random.normal(size=(4000, 3)).astype(np.float32)
    rows = Rows(x_NF, (x_NF[:, 0] > 1).astype(np.float32))
    hyper = (
        XGBoostConfig(rounds=5)
        if family == "xgboost"
        else TorchMLPConfig(epochs=4, hidden=[8], leaves=0, batch_size=64)
    )
    loops, average_precision = getattr(training_peers, family)(rows, 4000, hyper, ScalingConfig(workers=1))
    assert len(loops) == 1
    assert average_precision > 0.9


@pytest.mark.skipif("WORKBENCH_REFERENCE_DATA" not in os.environ, reason="the published tables are not at hand")
@pytest.mark.parametrize("name", list(automl.FILES))
def test_a_published_table_is_declared_as_it_is_and_fits_its_features(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CONF", str(automl.declared(name, tmp_path)))
    cfg = columns.completed(door.composed([f"data={name}", "features=columns", "tune=auto"]))
    check_learning(cfg)
    table = pq.read_table(tmp_path / "table.parquet")
    told = automl.FILES[name]
    used = {one.source for one in cfg.data.columns.values()} - {None}
    assert used == set(table.column_names) - {"row_id", "seen_at", told["label"], *told["ignore"]}
    assert {one.column for one in cfg.features.views[0].features} == set(cfg.data.columns) - {"row_id", "seen_at"}


def test_a_worse_canary_is_rolled_back_and_an_equal_one_is_left_alone_in_a_few_replays() -> None:
    worse, equal, pairs = canary.compared(range(20261126, 20261129))
    assert (worse.ours, equal.ours) == (3, 3)
    assert 100 <= pairs.ours <= 2500
    assert pairs.peer < pairs.ours, "who looks as often at another level is sooner, and wrong more often"
