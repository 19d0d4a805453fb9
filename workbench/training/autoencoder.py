"""An autoencoder in PyTorch, data-parallel as the supervised network is; it never sees the rows' labels."""

from typing import Any

import numpy as np
import ray.train.torch
import torch
from torch import Tensor, nn

from workbench.models import autoencoder as model_file
from workbench.models.autoencoder import Network
from workbench.training import batches, torch_loop
from workbench.training.anomaly import learnt_from
from workbench.training.fits import Fit, Fitted, Partial, Report, Rows
from workbench.training.rendezvous import workers
from workbench.training.workers import work_off
from workbench.unsupervised import AutoencoderConfig


class Errors(nn.Module):
    """What is to become small: the mean error of the standardised rows of a batch."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, z_NF: Tensor) -> Tensor:
        """The mean over the rows."""
        return self.network.errors(z_NF).mean()


def train(config: dict[str, Any]) -> dict[str, bytes] | None:
    """The worker's entry; `config` holds the fits and hyperparameters."""
    hyper: AutoencoderConfig = config["hyper"]
    torch.set_num_threads(config["threads"])
    with torch_loop.torch_group(config["gpu"]):
        return work_off(loop, model_file.to_onnx, config["fits"], hyper.epochs, config)


def loop(
    shard: Rows, scored: Rows | None, steps: int, fit: Fit, config: Any, start: Partial | None, report: Report
) -> Fitted:
    """The network after `steps` epochs."""
    hyper: AutoencoderConfig = config["hyper"]
    shard = learnt_from(shard, hyper.rows, fit)
    plan, device = batches.Plan(shard, config["rows"][fit.fold], hyper.batch_size), ray.train.torch.get_device()
    network = _network(shard, hyper, fit.seed).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=hyper.learning_rate, weight_decay=hyper.weight_decay, fused=True
    )
    fitted, first = torch_loop.restore(start, network, optimizer)
    parallel = torch_loop.averaging(Errors(network))
    z_NF = network.standardised(torch.from_numpy(shard.x_NF).to(device))
    for epoch in range(first + 1, steps + 1):
        losses = _epoch(parallel, optimizer, z_NF, plan, hyper, batches.Seed(fit.seed, epoch, hyper.epochs))
        loss = batches.check(losses, (one.detach().cpu().numpy() for one in network.parameters()), fit, epoch)
        _score(network, scored, epoch, loss, fitted)
        report(epoch, fitted, lambda: torch_loop.state(network, optimizer))
    fitted.model = model_file.to_bytes(network.cpu())
    return fitted


def _network(shard: Rows, hyper: AutoencoderConfig, seed: int) -> Network:
    """A new network that standardises by the rows of all workers; what is constant is not stretched."""
    x_NF = torch.from_numpy(shard.x_NF).double()
    count = torch.full((1, x_NF.shape[1]), float(len(x_NF)), dtype=torch.float64)
    mean_F = _summed(torch.cat([x_NF.sum(0, keepdim=True), count]))
    mean_F = mean_F[0] / mean_F[1]
    spread = _summed(torch.cat([(x_NF - mean_F).square().sum(0, keepdim=True), count]))
    deviation_F = (spread[0] / spread[1]).sqrt()
    scale_F = torch.where(deviation_F > 1e-6 * mean_F.abs().clamp(min=1e-6), 1 / deviation_F, 1.0)
    torch.manual_seed(seed)
    return Network(mean_F.float(), scale_F.float(), hyper.hidden, hyper.code)


def _summed(own: Tensor) -> Tensor:
    """The sum over all workers, the same on each."""
    if len(workers()) == 1:
        return own
    shared = own.to(ray.train.torch.get_device())
    torch.distributed.all_reduce(shared)
    return shared.cpu()


def _epoch(
    parallel: nn.Module,
    optimizer: Any,
    z_NF: Tensor,
    plan: batches.Plan,
    hyper: AutoencoderConfig,
    seed: batches.Seed,
) -> batches.Losses:
    """The losses of one pass over the rows."""
    losses = batches.Losses()
    for step, rows in enumerate(plan.epoch(seed)):
        for group in optimizer.param_groups:
            group["lr"] = hyper.learning_rate * seed.cosine(step, plan.steps)
        loss = parallel(z_NF[torch.from_numpy(rows).to(z_NF.device)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.add(float(loss.detach()))
    return losses


def _score(network: Network, scored: Rows | None, epoch: int, loss: float, fitted: Fitted) -> None:
    if scored is None:
        fitted.steps.append(epoch)
        return
    device = network.mean.device
    with torch.no_grad():
        parts = [network(torch.from_numpy(part).to(device)).cpu().numpy() for (part,) in batches.parts(scored.x_NF)]
    batches.record(fitted, epoch, loss, scored, np.concatenate(parts))
