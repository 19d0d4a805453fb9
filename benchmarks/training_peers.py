"""The bare libraries, as one would call them without Ray: the peers of `benchmarks.training`.

Each returns of every process the seconds and CPU seconds of its loop and the CPU seconds that ended with it, and the
average precision on the first `scored` rows.
"""

import itertools
import json
import multiprocessing
import socket
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from workbench.config import ScalingConfig
from workbench.families import XGBoostConfig
from workbench.networks import TorchConfig
from workbench.training.fits import Rows, average_precision

Loops = list[tuple[float, float, float]]


def xgboost(data: Rows, scored: int, hyper: XGBoostConfig, scaling: ScalingConfig) -> tuple[Loops, float]:
    """`xgboost.train`, with as many threads as ours has workers."""
    import xgboost as library

    from benchmarks.training_sides import Watch

    parameters = xgboost_parameters(hyper, scaling.workers)
    with Watch() as watch:
        matrix = library.QuantileDMatrix(data.x_NF, data.y_N, max_bin=hyper.max_bin, nthread=scaling.workers)
        booster = library.train(parameters, matrix, hyper.rounds)
    logits_N = booster.inplace_predict(data.x_NF[:scored], predict_type="margin")
    return [(watch.seconds, watch.cpu_s, 0.0)], average_precision(data.y_N[:scored], logits_N)


def xgboost_parameters(hyper: XGBoostConfig, threads: int) -> dict[str, Any]:
    """What `xgboost.train` is told."""
    return {
        "objective": "binary:logistic", "base_score": 0.5, "tree_method": "hist", "nthread": threads, "seed": 0,
        "max_bin": hyper.max_bin, "learning_rate": hyper.learning_rate, "max_depth": hyper.max_depth,
        "min_child_weight": hyper.min_child_weight, "reg_lambda": hyper.reg_lambda,
        "subsample": hyper.subsample, "colsample_bytree": hyper.colsample_bytree,
    }  # fmt: skip


def torch_mlp(data: Rows, scored: int, hyper: TorchConfig, scaling: ScalingConfig) -> tuple[Loops, float]:
    """A loop under `DistributedDataParallel`, a process per worker, each with its tensors in its device's memory."""
    from workbench.models.encoding import Encoding

    every = max(1, len(data.y_N) // 200_000)
    encoding = Encoding.of(data.x_NF[::every].astype(np.float64), data.y_N[::every], hyper.bins, hyper.leaves)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        method = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    workers, gpu = scaling.workers, scaling.gpus_per_worker > 0
    bounds = [len(data.y_N) * worker // workers for worker in range(workers + 1)]
    with tempfile.TemporaryDirectory(prefix="wb-training-") as folder:
        context = multiprocessing.get_context("spawn")
        shards = [Rows(data.x_NF[a:b], data.y_N[a:b]) for a, b in itertools.pairwise(bounds)]
        started = [
            context.Process(target=_worker, args=(method, rank, workers, gpu, shard, scored, encoding, hyper, folder))
            for rank, shard in enumerate(shards)
        ]
        for one in started:
            one.start()
        for one in started:
            one.join()
        said = [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*.json"))]
    return [(seconds, cpu, 0.0) for seconds, cpu, _ in said], said[0][2]


def _worker(
    method: str,
    rank: int,
    workers: int,
    gpu: bool,
    shard: Rows,
    scored: int,
    encoding: Any,
    hyper: TorchConfig,
    folder: str,
) -> None:
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from benchmarks.training_sides import Watch
    from workbench.models.torch_mlp import Network
    from workbench.training.torch_loop import Lookup

    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device("cuda", rank) if gpu else torch.device("cpu")
    torch.distributed.init_process_group("nccl" if gpu else "gloo", method, rank=rank, world_size=workers)
    with Watch() as watch:
        network = Lookup(Network(encoding, hyper.hidden, hyper.dropout), hyper.precision).to(device)
        parallel = torch.nn.parallel.DistributedDataParallel(network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay)
        schedule_steps = hyper.epochs * (len(shard.y_N) // (hyper.batch_size // workers))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, schedule_steps)
        *inputs, y_N = (torch.from_numpy(one).to(device) for one in (*network.network.seen(shard.x_NF), shard.y_N))
        for _ in range(hyper.epochs):
            order = torch.randperm(len(y_N), device=device).split(hyper.batch_size // workers)
            for rows in order[: schedule_steps // hyper.epochs]:
                loss = binary_cross_entropy_with_logits(parallel(*(one[rows] for one in inputs)), y_N[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        if gpu:
            torch.cuda.synchronize()  # the clock stops when the work is done, not when it is asked for
    network.eval()
    with torch.no_grad():
        logits_N = network(*(one[:scored] for one in inputs)).cpu().numpy()
    said = [watch.seconds, watch.cpu_s, average_precision(shard.y_N[:scored], logits_N)]
    Path(folder, f"{rank}.json").write_text(json.dumps(said))
    torch.distributed.destroy_process_group()
