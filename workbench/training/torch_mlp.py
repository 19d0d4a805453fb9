"""A multilayer perceptron in PyTorch, data-parallel: every worker has its shard, gradients are averaged."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import ray.train.torch
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import TensorDataset

from workbench.families import NetworkConfig
from workbench.models import torch_mlp as model_file
from workbench.models.torch_mlp import Lookup, Network
from workbench.training import batches
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits, hyperparameters and the encodings of the folds."""
    hyper: NetworkConfig = config["hyper"]
    torch.set_num_threads(1)
    with torch_group(config["gpu"]):
        return work_off(loop, model_file.to_onnx, config["fits"], hyper.epochs, config)


@contextlib.contextmanager
def torch_group(gpu: bool) -> Iterator[None]:
    """PyTorch's process group, of NCCL on GPUs and gloo elsewhere; none for a single worker."""
    if gpu:
        torch.cuda.set_device(ray.train.torch.get_device())
    if len(all_of_us := workers()) == 1:
        yield
        return
    backend, method = "nccl" if gpu else "gloo", f"tcp://{all_of_us[0]}"
    torch.distributed.init_process_group(backend, method, rank=rank(), world_size=len(all_of_us))
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    hyper, plan = config["hyper"], batches.Plan(shard, config["rows"][fit.fold], config["hyper"].batch_size)
    device = ray.train.torch.get_device()
    torch.manual_seed(fit.seed)
    encoding = config["encodings"][fit.fold]
    network = Network(encoding, hyper.hidden, hyper.dropout).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay)
    fitted, first = _restore(start, network, optimizer)
    lookup = Lookup(network)
    parallel = ray.train.torch.prepare_model(lookup, move_to_device=False)
    data = TensorDataset(*(torch.from_numpy(one).to(device) for one in (*encoding.seen(shard.x_NF), shard.y_N)))
    judged = encoding.seen(scored.x_NF) if scored else None
    for epoch in range(first + 1, steps + 1):
        loss = _epoch(parallel, optimizer, data, plan, hyper, batches.Seed(fit.seed, epoch, config["epochs"]))
        batches.check(loss, fit, epoch)
        _score(lookup, judged, scored, epoch, loss, fitted)
        report(epoch, fitted, lambda: _state(network, optimizer))
    fitted.model = model_file.to_bytes(network.cpu())
    return fitted


def _epoch(
    network: torch.nn.Module,
    optimizer: Any,
    data: TensorDataset,
    plan: batches.Plan,
    hyper: NetworkConfig,
    seed: batches.Seed,
) -> float:
    """The mean loss of one pass over the rows."""
    network.train()
    torch.manual_seed(seed.number(ray.train.get_context().get_world_rank()))  # dropout differs between the workers
    total = 0.0
    for step, rows in enumerate(plan.epoch(seed)):
        for group in optimizer.param_groups:
            group["lr"] = hyper.learning_rate * seed.cosine(step, plan.steps)
        *inputs, y = data[torch.from_numpy(rows).to(data.tensors[0].device)]
        loss = binary_cross_entropy_with_logits(network(*inputs), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += float(loss.detach())
    return total / plan.steps


def _score(lookup: Lookup, judged: Any, scored: Rows | None, epoch: int, loss: float, fitted: Fitted) -> None:
    if scored is None:
        fitted.steps.append(epoch)
        return
    lookup.eval()
    with torch.no_grad():
        device = lookup.first.device
        parts = [lookup(*(torch.from_numpy(one).to(device) for one in part)) for part in batches.parts(*judged)]
    batches.record(fitted, epoch, loss, scored, torch.cat(parts).cpu().numpy())


def _state(network: Network, optimizer: Any) -> dict[str, bytes]:
    sink = io.BytesIO()
    torch.save(optimizer.state_dict(), sink)
    return {"network": model_file.to_bytes(network), "optimizer": sink.getvalue()}


def _restore(start: Partial | None, network: Network, optimizer: Any) -> tuple[Fitted, int]:
    if start is None:
        return Fitted(), 0
    network.load_state_dict(torch.load(io.BytesIO(start.state["network"]), weights_only=True))
    optimizer.load_state_dict(torch.load(io.BytesIO(start.state["optimizer"]), weights_only=True))
    return start.fitted, start.step
