"""A job is sent its code and nothing else, in the same bytes each time, and never more than fits."""

import io
import zipfile
from pathlib import Path

import pytest

from workbench.errors import ConfigError, InputError
from workbench.jobs import package
from workbench.jobs.package import LIMIT_BYTES


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a module and a package of the user's, and much that is no code."""
    code = ("single.py", "mine/__init__.py", "mine/deep/sums.py")
    none = (
        "mine/.git/config",
        "mine/__pycache__/sums.pyc",
        "mine/env/pyvenv.cfg",
        "mine/env/lib/big.py",
        "data/rows.csv",
    )
    files = (*code, *none, "mine/node_modules/x.js", ".git/HEAD")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def names(made: package.Package) -> set[str]:
    with zipfile.ZipFile(io.BytesIO(made.archive)) as zipped:
        return set(zipped.namelist())


def test_a_package_holds_the_three_rooms_of_code_and_the_config_and_nothing_else(tmp_path: Path) -> None:
    made = package.package([], {"job.json": b"{}"}, tmp_path)
    assert {name.partition("/")[0] for name in names(made)} == {"workbench", "workloads", "serve", "job.json"}
    assert {"workloads/train.py", "workbench/data/samples/lending_club.parquet"} <= names(made)
    assert len(made.archive) < LIMIT_BYTES
    assert not [name for name in names(made) if name.endswith(".pyc") or "/." in name]


def test_modules_of_the_users_own_travel_without_what_is_no_code(own: Path) -> None:
    made = package.package(["single", "mine"], {}, own)
    sent = {name for name in names(made) if name.partition("/")[0] not in package.OURS}
    assert sent == {"single.py", "mine/__init__.py", "mine/deep/sums.py"}


def test_what_is_installed_is_not_sent_and_the_cluster_has_its_own(own: Path) -> None:
    assert package.package(["numpy", "nothing_of_that_name"], {}, own).digest == package.package([], {}, own).digest


def test_the_same_code_gives_the_same_bytes_whenever_it_was_written(own: Path) -> None:
    first = package.package(["mine"], {"job.json": b"1"}, own)
    (own / "mine" / "deep" / "sums.py").touch()
    again = package.package(["mine"], {"job.json": b"1"}, own)
    assert (again.archive, again.digest) == (first.archive, first.digest)
    with zipfile.ZipFile(io.BytesIO(again.archive)) as zipped:
        assert {one.date_time[0] for one in zipped.infolist()} == {1980}, "a zip of tomorrow is the same"


def test_the_name_of_the_code_changes_with_the_code_and_not_with_the_config(own: Path) -> None:
    first = package.package(["mine"], {"job.json": b"1"}, own)
    assert package.package(["mine"], {"job.json": b"2"}, own).digest == first.digest
    (own / "mine" / "deep" / "sums.py").write_text("other")
    assert package.package(["mine"], {"job.json": b"1"}, own).digest != first.digest


def test_a_package_of_more_than_two_mebibytes_is_refused_with_its_largest_files(own: Path) -> None:
    import random

    (own / "mine" / "rows.bin").write_bytes(random.Random(0).randbytes(LIMIT_BYTES))
    with pytest.raises(InputError, match=r"too large") as caught:
        package.package(["mine"], {}, own)
    listed = str(caught.value).splitlines()[1:11]
    assert len(listed) == 10
    assert "2,097,152 mine/rows.bin" in listed[0]
    assert "Move data out" in str(caught.value)


def test_its_size_and_its_ten_largest_files_are_told(tmp_path: Path) -> None:
    first, *lines = package.package([], {}, tmp_path).told().splitlines()
    sizes = [int(line.split()[0].replace(",", "")) for line in lines]
    assert first.split()[1] == "bytes"
    assert len(sizes) == 10
    assert sizes == sorted(sizes, reverse=True)


def test_a_link_that_leads_out_of_the_code_is_refused(own: Path) -> None:
    (own / "mine" / "all").symlink_to("/")
    with pytest.raises(ConfigError, match="leads out of the code"):
        package.package(["mine"], {}, own)


def test_the_modules_of_a_config_are_those_of_its_functions_once_each() -> None:
    paths = ["mine.deep.sums:total", None, "mine.other:f", "single:g", "workbench.data.store:Store"]
    assert package.modules(paths) == ["mine", "single"]
