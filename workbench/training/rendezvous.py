"""How the workers of a group find each other, whatever their framework.

Ray's trainers of one framework each import it wherever they are unpickled: in the driver and in the controller too,
which never use it, and a small training was half over by then. Here the controller tells every worker the addresses of
all; the rest is the framework's own, in the file of its family, and imported by the workers alone.
"""

import json
import os
import socket
from typing import Any

import ray
import ray.train
from ray.train.backend import Backend, BackendConfig
from ray.train.collective import broadcast_from_rank_zero

WORKERS = "WORKBENCH_TRAINING_WORKERS"  # the addresses of all workers by rank, in each worker's environment


class _Told(Backend):
    share_cuda_visible_devices = True  # NCCL wants to see all devices of its machine

    def on_start(self, worker_group: Any, _: BackendConfig) -> None:
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


def tell_alone() -> None:
    """This process is a group of its own: a loop that runs in it finds no others."""
    _tell([_address()])


def workers() -> list[str]:
    """The address, host:port, of every worker of this group by rank."""
    return list(json.loads(os.environ[WORKERS]))


def rank() -> int:
    """Which of them this worker is; Ray Train tells that to no one whom Ray Tune started, as a trial that is alone."""
    return ray.train.get_context().get_world_rank() if len(workers()) > 1 else 0


def agreed(value: Any) -> Any:
    """What the first worker says, on every worker; all must ask."""
    return broadcast_from_rank_zero(value) if len(json.loads(os.environ.get(WORKERS, "[]"))) > 1 else value
