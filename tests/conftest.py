"""What all tests share: a private home for keys, one Ray for the session, stores that vanish."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import hypothesis
import pytest

# Before anything imports Ray: keys, token, journal and tracker files go to a folder of this session's own.
HOME = Path(tempfile.mkdtemp(prefix="wb-tests-"))
os.environ["WORKBENCH_KEYS"] = str(HOME / "keys")
os.environ["WORKBENCH_JOURNAL"] = str(HOME / "journal")
os.environ["WANDB_DIR"] = str(HOME)
os.environ.pop("RAY_ADDRESS", None)

from tests.loop import commands  # noqa: E402
from workbench import cluster  # noqa: E402
from workbench.config import Config, KeysConfig, ScalingConfig  # noqa: E402
from workbench.data.store import Store  # noqa: E402

hypothesis.settings.register_profile("shared", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("shared")
cluster.set_defaults()
cluster.use_token(os.environ["WORKBENCH_KEYS"])


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One real Ray for all tests that need one, started the way the product starts it."""
    cfg = Config(scaling=ScalingConfig(name="tests", ray_cpus=4), keys=KeysConfig(folder=os.environ["WORKBENCH_KEYS"]))
    with cluster.session():
        cluster.up(cfg)
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the loop's one run of the session leaves its store, keys and journal."""
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="session")
def first(folder: Path) -> CompletedProcess[str]:
    """The finished first run of the loop; `tests/model/` asks the model that it shipped."""
    words = (f"serve.port={commands.free_port()}", f"output.json={folder / 'out.json'}")
    done = commands.run(folder, "pipeline", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder with the published files; the test is skipped, visibly, where there is none."""
    folder = os.environ.get("WORKBENCH_REFERENCE_DATA")
    if not folder:
        pytest.skip("WORKBENCH_REFERENCE_DATA is not set: the published files are not here to compare with")
    return Path(folder).resolve()


def pytest_sessionfinish() -> None:
    """Remove what the session wrote outside pytest's own folders."""
    shutil.rmtree(HOME, ignore_errors=True)
