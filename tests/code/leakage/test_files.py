"""Any file with a label can be checked: its columns are what their values are, and what is wrong is told at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.config import LeakcheckConfig
from workbench.errors import ConfigError, InputError
from workbench.leakage import files


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "when": ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z", "2024-01-04T00:00:00Z"],
            "card": ["a", "b", "a", "c"],
            "amount": [1.5, None, 3.25, 4.0],
            "code": ["x1", "x2", None, "x1"],
            "part": ["train", "train", "test", "test"],
            "paid": ["yes", "no", "no", "yes"],
        }
    )


def check(path: Path, **keys: Any) -> LeakcheckConfig:
    return LeakcheckConfig(**{"path": str(path), "label": "paid", **keys})


def written(folder: Path, kind: str) -> Path:
    path = folder / f"rows.{kind}"
    writers = {"csv": frame().to_csv, "parquet": frame().to_parquet}
    if kind == "jsonl":
        frame().to_json(path, orient="records", lines=True)
    else:
        writers[kind](path, index=False)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_format_gives_the_same_table(kind: str, tmp_path: Path) -> None:
    table, unread = files.audited(check(written(tmp_path, kind), time="when", entities=["card"], part="part"))
    assert [one.name for one in table.columns] == ["amount", "code"]
    np.testing.assert_array_equal(table.columns[0].value_N, [1.5, np.nan, 3.25, 4.0])
    assert table.columns[1].categories == ("x1", "x2")
    assert table.label_N.tolist() == [1, 0, 0, 1]
    assert table.time_N is not None
    assert np.diff(table.time_N).tolist() == [86_400_000_000] * 3
    assert [one.name for one in table.entities] == ["card"]
    assert (table.split, unread) == ("time", [])


@pytest.mark.parametrize(
    ("values", "positive", "expected"),
    [
        ([0, 1, 1, 1], None, [0, 1, 1, 1]),
        (["False", "True", "True", "True"], None, [0, 1, 1, 1]),
        (["bad", "good", "good", "good"], None, [1, 0, 0, 0]),
        ([1, 2, 1, 1], None, [0, 1, 0, 0]),
        (["a", "b", "c", "b"], "b", [0, 1, 0, 1]),
    ],
)
def test_the_positive_value_is_said_or_plain(
    values: list, positive: str | None, expected: list, tmp_path: Path
) -> None:
    frame().assign(paid=values).to_csv(tmp_path / "rows.csv", index=False)
    table, _ = files.audited(check(tmp_path / "rows.csv", positive=positive))
    assert table.label_N.tolist() == expected


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    frame().assign(paid=["yes", None, "no", "no"]).to_csv(tmp_path / "rows.csv", index=False)
    table, _ = files.audited(check(tmp_path / "rows.csv"))
    assert table.label_N.tolist() == [1, 0, 0]
    assert table.columns[0].name == "when"


def test_a_column_that_no_check_reads_is_told(tmp_path: Path) -> None:
    frame().assign(tags=[["a"], ["b"], [], ["c"]]).to_parquet(tmp_path / "rows.parquet")
    assert files.audited(check(tmp_path / "rows.parquet"))[1] == ["tags"]


def test_all_wrong_names_are_told_at_once(tmp_path: Path) -> None:
    wrong = check(written(tmp_path, "csv"), label="lable", time="tiem", entities=["crad"], part="prat")
    with pytest.raises(InputError) as caught:
        files.audited(wrong)
    for said in ("leakcheck.label=lable", "leakcheck.time=tiem", "leakcheck.part=prat", "leakcheck.entities=crad"):
        assert f"{said} is no column. Use " in str(caught.value)


@pytest.mark.parametrize("values", [["a", "b", "c", "d"], ["a", "a", "a", "a"]])
def test_a_label_that_has_not_two_values_asks_for_the_positive_one(values: list[str], tmp_path: Path) -> None:
    frame().assign(paid=values).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match=r"Set leakcheck\.positive=VALUE"):
        files.audited(check(tmp_path / "rows.csv"))


def test_a_time_with_gaps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"leakcheck\.time=amount does not hold a time or a number in every row"):
        files.audited(check(written(tmp_path, "csv"), time="amount"))


def test_a_time_that_is_infinite_is_refused(tmp_path: Path) -> None:
    frame().assign(amount=[1.0, np.inf, 2.0, 3.0]).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match=r"leakcheck\.time=amount does not hold a time or a number in every row"):
        files.audited(check(tmp_path / "rows.csv", time="amount"))


def test_a_duration_is_a_number_that_is_rising_with_it(tmp_path: Path) -> None:
    spans = pd.to_timedelta(["3h", None, "1h", "2h"])
    frame().assign(amount=spans).to_parquet(tmp_path / "rows.parquet")
    table, unread = files.audited(check(tmp_path / "rows.parquet", time="when", entities=["card"], part="part"))
    assert [one.name for one in table.columns] == ["amount", "code"]
    hour = table.columns[0].value_N[2]
    np.testing.assert_array_equal(table.columns[0].value_N, [3 * hour, np.nan, hour, 2 * hour])
    assert (table.columns[0].whole, unread) == (True, [])


def test_a_file_that_would_be_left_out_is_told_in_the_checks_own_keys(tmp_path: Path) -> None:
    written(tmp_path, "csv")
    (tmp_path / "more.csv.gz").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"leakcheck\.path=.* holds files .*: more\.csv\.gz\. .* set leakcheck\.format"
    ):
        files.audited(check(tmp_path))


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"rows\.parquet is no readable parquet file"):
        files.audited(check(tmp_path / "rows.parquet"))


def test_all_wrong_keys_are_told_at_once() -> None:
    wrong = LeakcheckConfig(label="y", split="blocks", cuts=0, sample_rows=0, false_alarm_rate=1.0)
    with pytest.raises(ConfigError) as caught:
        files.config_faults(wrong)
    assert str(caught.value).count("\n  - ") == 5
    with pytest.raises(ConfigError, match=r"leakcheck\.label is not set"):
        files.config_faults(LeakcheckConfig(path="f.csv"))
