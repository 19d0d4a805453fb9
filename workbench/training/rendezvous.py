"""How the workers of a group find each other, whatever their framework.

Ray's trainers of one framework each import it wherever they are unpickled: in the driver and in the controller too,
which never use it, and a small training was half over by then. Here the controller tells every worker the addresses of
all, and the framework is imported by the workers alone.
"""

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator

import ray
import ray.train
from ray.train.backend import Backend, BackendConfig
from ray.train.collective import broadcast_from_rank_zero

WORKERS = "WORKBENCH_TRAINING_WORKERS"  # the addresses of all workers by rank, in each worker's environment


class _Told(Backend):
    share_cuda_visible_devices = True  # NCCL wants to see all devices of its machine

    def on_start(self, worker_group: "ray.train._internal.base_worker_group.BaseWorkerGroup", _: BackendConfig) -> None:
        worker_group.execute(_tell, worker_group.execute(_address))


class Rendezvous(BackendConfig):
    """Every worker knows the addresses of all workers when its training function starts."""

    @property
    def backend_cls(self) -> type[Backend]:
        """What the controller does when a worker group starts."""
        return _Told


def _address() -> str:
    host = ray.util.get_node_ip_address()
    with socket.socket() as free:
        free.bind((host, 0))
        return f"{host}:{free.getsockname()[1]}"


def _tell(addresses: list[str]) -> None:
    os.environ[WORKERS] = json.dumps(addresses)


def _workers() -> list[str]:
    return list(json.loads(os.environ[WORKERS]))


def _rank() -> int:
    return ray.train.get_context().get_world_rank()


@contextlib.contextmanager
def torch_group(gpu: bool) -> Iterator[None]:
    """PyTorch's process group, of NCCL on GPUs and gloo elsewhere; none for a single worker."""
    import ray.train.torch
    import torch

    if gpu:
        torch.cuda.set_device(ray.train.torch.get_device())
    if len(workers := _workers()) == 1:
        yield
        return
    method = f"tcp://{workers[0]}"
    torch.distributed.init_process_group("nccl" if gpu else "gloo", method, rank=_rank(), world_size=len(workers))
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def tell_tensorflow() -> None:
    """What `MultiWorkerMirroredStrategy` reads when it is made: all workers, and which of them this is."""
    task = {"type": "worker", "index": _rank()}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": _workers()}, "task": task})


@contextlib.contextmanager
def xgboost_group() -> Iterator[None]:
    """XGBoost's communicator, its tracker in the first worker; none for a single worker."""
    import xgboost

    if len(workers := _workers()) == 1:
        yield
        return
    told = broadcast_from_rank_zero(_track(workers) if _rank() == 0 else None)
    with xgboost.collective.CommunicatorContext(**told, dmlc_task_id=f"{_rank():08}"):  # sorted as text
        yield


def _track(workers: list[str]) -> dict[str, str | int]:
    import xgboost

    tracker = xgboost.RabitTracker(len(workers), workers[0].rsplit(":", 1)[0], sortby="task")
    tracker.start()
    threading.Thread(target=tracker.wait_for, daemon=True).start()  # `worker_args` wants someone to wait
    return dict(tracker.worker_args())
