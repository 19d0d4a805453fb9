"""JupyterLab for these notebooks, on loopback and behind a token, beside one Ray that all of them share.

Run: make notebooks, or python -m notebooks.lab, and after it what JupyterLab itself takes, such as --port=8889.
A Ray that RAY_ADDRESS names is joined (on the head node of a cluster: RAY_ADDRESS=auto); else one is started, with the
dashboard that jobs are submitted to, and ends with JupyterLab.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench import cluster
from workbench.config import Config
from workbench.governance.keys import Keys
from workbench.progress import say
from workloads import door

HERE = Path(__file__).resolve().parent


def main(more: Sequence[str]) -> None:
    """JupyterLab, until it is ended."""
    cfg = door.composed([])
    with cluster.session():
        own = environment(cfg) | _ray(cfg)
        say(f"  JupyterLab asks for a token: it is in {own['JUPYTER_TOKEN_FILE']}")
        lab = subprocess.Popen(command(more), env=os.environ | own, cwd=HERE)
        try:
            lab.wait()
        except KeyboardInterrupt:
            lab.wait(30)  # it was interrupted too, and ends its kernels


def command(more: Sequence[str]) -> list[str]:
    """How JupyterLab is started: it listens on loopback alone, whatever its own configuration says."""
    listens = ["--ServerApp.ip=127.0.0.1", "--ServerApp.allow_remote_access=False", "--no-browser"]
    listens += ["--KernelManager.transport=ipc"]  # kernels listen on no port at all
    return [sys.executable, "-m", "jupyterlab", *listens, f"--ServerApp.root_dir={HERE.parent}", *more]


def environment(cfg: Config) -> Mapping[str, str]:
    """What kernels need: the store and the journal wherever they run, this Python and code, the token's file."""
    storage = cfg.storage.root if "://" in cfg.storage.root else str(Path(cfg.storage.root).expanduser().resolve())
    return {
        "WORKBENCH_STORE": storage,
        "WORKBENCH_JOURNAL": str(Path(cfg.serve.journal).resolve()),
        "JUPYTER_TOKEN_FILE": str(Keys(cfg.keys.folder).path_of_jupyter_token()),
        "PATH": _before("PATH", Path(sys.executable).parent),
        "PYTHONPATH": _before("PYTHONPATH", HERE.parent),
    }


def _before(variable: str, folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get(variable)])])


def _ray(cfg: Config) -> Mapping[str, str]:
    if cluster.joined():
        return {}
    os.environ.update(environment(cfg))  # jobs run in the environment that Ray was started in
    cluster.up(cfg, dashboard=True)
    return cluster.addresses()


if __name__ == "__main__":
    sys.exit(door.guarded(lambda: main(sys.argv[1:])))
