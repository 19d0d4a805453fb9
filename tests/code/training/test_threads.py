"""A worker computes with the CPUs that it reserves; how many there are changes no forest."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest, RandomForestClassifier

from tests.code.tuning import samples
from workbench.families import RandomForestConfig
from workbench.training import isolation_forest, plan, random_forest
from workbench.training.fits import Fit, Fitted, Rows
from workbench.tuning import alone
from workbench.unsupervised import AutoencoderConfig, IsolationForestConfig

FORESTS = [
    (random_forest, RandomForestConfig(trees=10), RandomForestClassifier),
    (isolation_forest, IsolationForestConfig(trees=10), IsolationForest),
]


@pytest.mark.parametrize(("family", "hyper", "kind"), FORESTS)
def test_a_forest_grows_in_the_workers_threads_and_is_the_same_forest(
    family: Any, hyper: Any, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    x_NF = random.normal(size=(200, 3)).astype(np.float32)
    rows, fit, seen = Rows(x_NF, (x_NF[:, 0] > 0).astype(np.float32)), Fit("select", 0, selects=True), []
    whole = kind.fit
    monkeypatch.setattr(kind, "fit", lambda forest, *data: seen.append(forest.n_jobs) or whole(forest, *data))

    def fitted(threads: int) -> Fitted:
        return family.loop(rows, rows, 10, fit, {"hyper": hyper, "threads": threads}, None, lambda *_: None)

    one, four = fitted(1), fitted(4)
    assert seen == [1, 4]
    kept = family.model_file.from_bytes(four.model)
    assert kept.n_jobs is None, "it is scored with whatever scores it"
    np.testing.assert_array_equal(family.model_file.log_odds(kept, -x_NF), family.model_file.logits(one.model, -x_NF))
    np.testing.assert_array_equal(one.logits_SN[0], four.logits_SN[0])


@pytest.mark.usefixtures("ray_session")
def test_a_trial_computes_with_the_cpus_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = samples.config(tmp_path, cpus_per_trial=3.0)
    shared, seen = samples.shared(cfg), []
    whole = plan.config_of
    monkeypatch.setattr(plan, "config_of", lambda *told: seen.append(found := whole(*told)) or found)
    fits = [Fit("select-0", 0, selects=True)]
    for having in (alone.ALONE, alone.scaling(cfg.tune)):
        alone.fit("xgboost", cfg.train.xgboost, fits, shared.rows, lambda _: False, having=having)
    assert [one["threads"] for one in seen] == [1, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_networks_compute_with_the_threads_of_their_worker(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from workbench.training import autoencoder, rendezvous, torch_loop

    set_to: list[int] = []
    rendezvous.tell_alone()
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    config = {"threads": threads, "gpu": False, "fits": [], "hyper": AutoencoderConfig()}
    config["work_off"] = lambda *_: {}
    torch_loop.train(autoencoder.loop, lambda *_: b"", config)
    autoencoder.train(config)
    assert set_to == [threads, threads]


KERAS = """
import tensorflow as tf
from workbench.families import NetworkConfig
from workbench.training import keras_loop, rendezvous
rendezvous.rank = keras_loop.rank = lambda: 0
rendezvous.tell_alone()
keras_loop.train(None, None, {"threads": 3, "fits": [], "hyper": NetworkConfig(), "work_off": lambda *_: {}})
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.slow
def test_keras_computes_with_the_threads_of_its_worker_in_a_process_without_pytorch() -> None:
    done = subprocess.run([sys.executable, "-c", KERAS], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1:] == ["3"], done.stderr[-2000:]
