"""The step refuses what leaks with a table of it, lets our own features pass, and does no work twice."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.code.leakage.planted import PLANTS, loaded
from tests.workloads.samples import benchmark_config
from workbench.config import Config, LeakcheckConfig, StorageConfig
from workbench.errors import ConfigError, GateRefused
from workloads import door, featurize, leakcheck


def config(folder: Path, **keys: object) -> Config:
    storage = StorageConfig(root=str(folder / "store"))
    return Config(name="t", leakcheck=LeakcheckConfig(**keys), storage=storage)  # type: ignore[arg-type]


def loans(folder: Path, kind: str | None) -> Path:
    frame, label_N = loaded("lending_club")
    if kind:
        frame = PLANTS[kind][0](frame, label_N, np.random.default_rng(1))
    path = folder / f"{kind or 'clean'}.csv"
    frame.assign(bad=label_N).to_csv(path, index=False)
    return path


class TestAFile:
    def test_without_a_leak_passes(self, tmp_path: Path) -> None:
        report = leakcheck.run(config(tmp_path, path=str(loans(tmp_path, None)), label="bad"))
        assert (report.figures["leaks"], report.figures["notes"]) == ([], [])
        assert (report.figures["rows"], report.figures["columns"], report.figures["positives"]) == (9857, 22, 517)
        assert "Nothing found" in report.read_bytes("report.html").decode()

    def test_with_a_leak_is_refused_with_its_column_numbers_and_remedy(self, tmp_path: Path) -> None:
        with pytest.raises(GateRefused, match=r"leaks in 1 of its 23 columns") as refused:
            leakcheck.run(config(tmp_path, path=str(loans(tmp_path, "gap")), label="bad"))
        last = str(refused.value).splitlines()[-1]
        assert last.startswith("missingness tells the label  planted  missing in ")
        assert "of them of class 1 (5.2% of all rows are)" in last

    def test_is_refused_again_without_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cfg = config(tmp_path, path=str(loans(tmp_path, "gap")), label="bad")
        with pytest.raises(GateRefused) as first:
            leakcheck.run(cfg)
        monkeypatch.setattr(leakcheck, "audit", lambda *_: pytest.fail("it worked again"))
        with pytest.raises(GateRefused) as second:
            leakcheck.run(cfg)
        assert str(first.value) == str(second.value)

    def test_passes_once_a_person_accepted_the_column(self, tmp_path: Path) -> None:
        cfg = config(tmp_path, path=str(loans(tmp_path, "gap")), label="bad", accept=["planted"])
        assert [one["column"] for one in leakcheck.run(cfg).figures["notes"]] == ["planted"]

    def test_is_checked_again_when_its_content_changes(self, tmp_path: Path) -> None:
        path = loans(tmp_path, None)
        cfg = config(tmp_path, path=str(path), label="bad")
        before = leakcheck.key(cfg)
        pd.read_csv(path).head(5000).to_csv(path, index=False)
        assert leakcheck.key(cfg) != before

    def test_has_keys_that_fit_together(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"leakcheck\.label is not set"):
            leakcheck.run(config(tmp_path, path="loans.csv"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("data=file data.source.path=F data.label=C", "leakcheck.path=F leakcheck.label=C"),
        ("data=file data.label.column=C data.entities=[a,b]", "leakcheck.label=C leakcheck.entities=[a,b]"),
        ("data=file data.columns={} data.label.column=C", "data=file data.columns={} data.label.column=C"),
        ("data=lending_club data.label.column=C", "data=lending_club data.label.column=C"),
    ],
)  # fmt: skip
def test_a_file_may_be_named_as_the_data_set(words: str, meant: str) -> None:
    assert leakcheck.spelled(words.split()) == meant.split()


@pytest.mark.parametrize(("kind", "code"), [(None, 0), ("class mean", 1)])
def test_the_command_answers_with_its_exit_code(kind: str | None, code: int, tmp_path: Path) -> None:
    words = [
        "data=file",
        f"data.source.path={loans(tmp_path, kind)}",
        "data.label=bad",
        f"storage.root={tmp_path}/store",
    ]
    command = [sys.executable, "-m", "workloads.leakcheck", *words, f"output.json={tmp_path}/out.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    if code == 0:
        assert json.loads((tmp_path / "out.json").read_text())["figures"]["leaks"] == []
    else:
        assert "gaps filled by class  planted" in done.stderr


@pytest.mark.usefixtures("ray_session")
class TestOurOwnFeatures:
    def test_of_payments_pass(self, tmp_path: Path) -> None:
        cfg = benchmark_config(tmp_path / "store", customers=150, terminals=200, days=90)
        report = leakcheck.run(cfg)
        assert (report.figures["leaks"], report.figures["notes"]) == ([], [])
        assert report.figures["rows"] == featurize.run(cfg).rows
        assert report.manifest["parents"] == {"features": featurize.key(cfg)}

    def test_of_loans_pass(self, tmp_path: Path) -> None:
        cfg = door.composed(["experiment=credit", f"storage.root={tmp_path / 'store'}"])
        assert leakcheck.run(cfg).figures["leaks"] == []

    def test_are_refused_where_one_sees_the_future(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A kernel that forgets the known time of labels, put in the place of the right one."""
        right = leakcheck.functions.of_feature_set

        def hasty(*defined: object) -> leakcheck.functions.FeatureFunction:
            def compute(events, labels):  # type: ignore[no-untyped-def]
                index = labels.column_names.index("known_time")
                return right(*defined)(events, labels.set_column(index, "known_time", labels["event_time"]))

            return compute

        monkeypatch.setattr(leakcheck.functions, "of_feature_set", hasty)
        with pytest.raises(GateRefused) as refused:
            leakcheck.run(benchmark_config(tmp_path / "store", customers=150, terminals=200, days=90))
        named = {line.split("  ")[1] for line in str(refused.value).splitlines()[2:]}
        assert named == {"terminal_risk_1d", "terminal_risk_7d", "terminal_risk_30d"}
