"""The data-parallel loop of every PyTorch network: each worker has its shard, gradients are averaged."""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import ray.train.torch
import torch
from torch import Tensor, nn

from workbench.models import torch_inputs
from workbench.models.composition import Convert
from workbench.networks import TorchConfig
from workbench.training import batches, torch_losses
from workbench.training.fits import Fit, Fitted, Loop, Partial, Report, Rows
from workbench.training.rendezvous import rank, workers
from workbench.training.workers import work_off


class Network(Protocol):
    """What a network offers besides being a module: log-odds from what can be looked up, see `encoding.py`."""

    def seen(self, x_NF: np.ndarray) -> tuple[np.ndarray, ...]:
        """What `looked_up` needs of each row."""

    def looked_up(self, *seen: Tensor) -> Tensor:
        """The log-odds [N]."""


class Lookup(nn.Module):
    """A network as training calls it; while it trains, its forward pass computes in `precision`.

    What is scored chooses epochs, weights and thresholds: it is computed in float32, as the shipped graph computes it.
    """

    def __init__(self, network: Any, precision: str) -> None:
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, *seen: Tensor) -> Tensor:
        """The log-odds [N] as float32."""
        low = self.training and self.precision == "bf16"
        with torch.autocast(seen[0].device.type, torch.bfloat16, enabled=low):
            return self.network.looked_up(*seen).float()


def train(loop: Loop, to_onnx: Convert, config: dict[str, Any]) -> dict[str, bytes] | None:
    """What a worker gives: all fits of `loop`; `config` holds them, hyperparameters and the folds' encodings."""
    torch.set_num_threads(config["threads"])
    with torch_group(config["gpu"]):
        return work_off(loop, to_onnx, config["fits"], config["hyper"].epochs, config)


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


def fit_network(
    build: Callable[[], Any],
    shard: Rows,
    scored: Rows | None,
    steps: int,
    fit: Fit,
    config: Any,
    start: Partial | None,
    report: Report,
) -> Fitted:
    """The network of `build` after `steps` epochs."""
    hyper, plan = config["hyper"], batches.Plan(shard, config["rows"][fit.fold], config["hyper"].batch_size)
    device = ray.train.torch.get_device()
    torch.manual_seed(fit.seed)
    network = build().to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay, fused=True
    )
    fitted, first = restore(start, network, optimizer)
    lookup = Lookup(network, hyper.precision)
    called = torch.compile(lookup) if hyper.compile else lookup
    parallel = averaging(called)
    data = [torch.from_numpy(one).to(device) for one in (*network.seen(shard.x_NF), shard.y_N)]
    judged = network.seen(scored.x_NF) if scored else None
    for epoch in range(first + 1, steps + 1):
        losses = _epoch(parallel, optimizer, data, plan, hyper, batches.Seed(fit.seed, epoch, config["epochs"]))
        loss = batches.check(losses, (one.detach().cpu().numpy() for one in network.parameters()), fit, epoch)
        _score(lookup, judged, scored, epoch, loss, fitted)
        report(epoch, fitted, lambda: state(network, optimizer))
    fitted.model = torch_inputs.to_bytes(network.cpu().state_dict())
    return fitted


def averaging(network: nn.Module) -> nn.Module:
    """The network, its gradients averaged between the workers; one that is alone has nobody to do that with."""
    return ray.train.torch.prepare_model(network, move_to_device=False) if len(workers()) > 1 else network


def _epoch(
    network: nn.Module, optimizer: Any, data: list[Tensor], plan: batches.Plan, hyper: TorchConfig, seed: batches.Seed
) -> batches.Losses:
    """The losses of one pass over the rows."""
    network.train()
    torch.manual_seed(seed.number(rank()))  # dropout differs between the workers
    losses, told = batches.Losses(), []
    for step, rows in enumerate(torch.from_numpy(plan.epoch(seed)).to(data[0].device)):
        for group in optimizer.param_groups:
            group["lr"] = hyper.learning_rate * seed.cosine(step, plan.steps)
        optimizer.zero_grad()
        told.append(_accumulated(network, data, rows.tensor_split(min(hyper.accumulate, len(rows))), hyper))
        optimizer.step()
    losses.add(*torch.stack(told).tolist())  # once an epoch: each look at a number waits for the GPU
    return losses


def _accumulated(network: nn.Module, data: list[Tensor], parts: Sequence[Tensor], hyper: TorchConfig) -> Tensor:
    """The mean loss of a batch whose gradients are there: part by part, and averaged between the workers once."""
    total, rows = torch.zeros((), device=data[0].device), sum(map(len, parts))
    for number, part in enumerate(parts, start=1):
        *inputs, y = (one[part] for one in data)
        with _alone(network) if number < len(parts) else contextlib.nullcontext():
            loss = torch_losses.loss_N(network(*inputs), y, hyper).mean() * (len(part) / rows)
            loss.backward()
        total += loss.detach()
    return total


def _alone(network: nn.Module) -> AbstractContextManager[Any]:
    """While gradients only add up, nobody waits for the other workers."""
    several = isinstance(network, nn.parallel.DistributedDataParallel)
    return network.no_sync() if several else contextlib.nullcontext()


def _score(lookup: Lookup, judged: Any, scored: Rows | None, epoch: int, loss: float, fitted: Fitted) -> None:
    if scored is None:
        fitted.steps.append(epoch)
        return
    lookup.eval()
    device = next(lookup.parameters()).device
    with torch.no_grad():
        parts = [lookup(*(torch.from_numpy(one).to(device) for one in part)) for part in batches.parts(*judged)]
    batches.record(fitted, epoch, loss, scored, torch.cat(parts).cpu().numpy())


def state(network: nn.Module, optimizer: Any) -> dict[str, bytes]:
    """What a fit goes on from, as named files."""
    sink = io.BytesIO()
    torch.save(optimizer.state_dict(), sink)
    return {"network": torch_inputs.to_bytes(network.state_dict()), "optimizer": sink.getvalue()}


def restore(start: Partial | None, network: nn.Module, optimizer: Any) -> tuple[Fitted, int]:
    """What the fit gave so far and its last step; network and optimizer are as they were then."""
    if start is None:
        return Fitted(), 0
    network.load_state_dict(torch_inputs.tensors(start.state["network"]))
    decays = [group["weight_decay"] for group in optimizer.param_groups]  # the state's own may be of other values
    optimizer.load_state_dict(torch.load(io.BytesIO(start.state["optimizer"]), weights_only=True))
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        group["weight_decay"] = decay
    return start.fitted, start.step
