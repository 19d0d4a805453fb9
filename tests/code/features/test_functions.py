"""A function named in YAML gives the same bits for one event as for many, and nothing but numbers from its own code."""

import dataclasses
import json
import struct
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.code.features.test_definitions import COLUMNS, DATA, defined, one, view
from tests.code.features.test_rules import faults
from workbench.errors import InputError, StoreError
from workbench.features import functions, offline
from workbench.features.definitions import FeatureSet
from workbench.features.online import OnlineState
from workbench.features.rows import row_function

HERE = "tests.code.features.row_functions"
NULLS = {
    name: dataclasses.replace(column, nulls=name in ("amount", "rate", "note")) for name, column in COLUMNS.items()
}
NULLABLE = dataclasses.replace(DATA, columns=NULLS)
TYPES = {"amount": pa.int64(), "at": pa.timestamp("us", "UTC"), "rate": pa.float64(), "note": pa.string()}
EVENTS = st.fixed_dictionaries(
    {
        "at": st.integers(0, 10**16),
        "amount": st.one_of(st.none(), st.integers(-(2**53), 2**53)),
        "rate": st.one_of(st.none(), st.floats(-1e9, 1e9)),
        "note": st.one_of(st.none(), st.text(max_size=5)),
    }
)
SOME = [{"at": n, "amount": n % 3, "rate": 0.5, "note": None} for n in range(5)]


def named(name: str, columns: list[str] | None = None, **more: Any) -> FeatureSet:
    given = ["amount", "at", "rate", "note"] if columns is None else columns
    return defined(view(one("function", function=f"{HERE}:{name}", columns=given)), *more.values(), data=NULLABLE)


def table(events: list[dict[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([event[name] for event in events], kind) for name, kind in TYPES.items()})


def refused(name: str) -> str:
    """What is said of a function, offline and online alike but for the number of rows."""
    features = named(name)
    with pytest.raises(InputError) as many:
        offline.row_features(features, table(SOME))
    if name != "ranked":
        with pytest.raises(InputError):
            row_function(features.features[0], features)(SOME[0])
    return str(many.value)


@given(st.lists(EVENTS, min_size=1, max_size=40))
def test_one_event_gets_the_bits_that_its_row_gets(events: list[dict[str, Any]]) -> None:
    features = named("mixed")
    online = row_function(features.features[0], features)
    found = offline.row_features(features, table(events))["f"]
    assert [struct.pack("d", online(event)) for event in events] == [struct.pack("d", value) for value in found]


def test_columns_come_in_their_declared_types_in_any_encoding_and_chunks() -> None:
    features = named("types")
    plain = table(SOME)
    encoded = plain.set_column(3, "note", plain["note"].dictionary_encode())
    for rows in (
        plain,
        encoded,
        pa.concat_tables([plain, plain]),
        plain.set_column(1, "at", plain["at"].cast("int64")),
    ):
        assert set(offline.row_features(features, rows)["f"]) == {1.0}
    assert row_function(features.features[0], features)({"at": 1}) == 1.0, "what an event lacks is null"


def test_a_chunked_array_is_an_array() -> None:
    assert offline.row_features(named("chunked"), table(SOME))["f"].tolist() == [0, 2, 4, 0, 2]


def test_a_block_without_rows_is_not_given_away() -> None:
    assert offline.row_features(named("raising"), table([]))["f"].tolist() == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("short", "gave ndarray of float64, shape (4,) for 5 rows. Give a float64 for each."),
        ("whole", "gave ndarray of int64, shape (5,) for 5 rows. Give a float64 for each."),
        ("nothing", "gave NoneType of object, shape () for 5 rows. Give a float64 for each."),
        ("nulls", "gave 5 nulls for 5 rows. Give a float64 for each."),
        ("infinite", "gave inf in row 4 of 5. Give finite numbers."),
        ("undefined", "gave nan in row 0 of 5. Give finite numbers."),
        ("raising", "raised KeyError: 'price'. Correct the function."),
    ],
)
def test_what_is_no_number_for_each_row_is_refused_by_the_features_name(name: str, said: str) -> None:
    assert refused(name) == f"feature f: {HERE}:{name} {said}"


def test_a_function_that_looks_at_other_rows_is_found_out() -> None:
    assert "for the same row alone. Each value may depend on its own row only" in refused("ranked")


def test_an_event_whose_function_raises_is_not_remembered() -> None:
    count = view(one("count", name="n"), name="card", entity=["card"], windows=["1d"])
    state = OnlineState(named("raising", count=count))
    with pytest.raises(InputError, match="raised KeyError"):
        state.observe({"id": 1, "card": 1, **SOME[0]})
    assert len(state) == 0


class TestOtherCode:
    @pytest.fixture
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "their_functions", raising=False)
        path = tmp_path / "their_functions.py"
        path.write_text(
            "import numpy as np\nSTEP = 2\ndef f(given):\n    return given['amount'].to_numpy() * 1.0 * STEP\n"
        )
        return path

    def test_is_refused_offline_online_and_before_a_start_whatever_changed_in_its_file(self, module: Path) -> None:
        features = defined(view(one("function", function="their_functions:f", columns=["amount"])))
        assert offline.row_features(features, table(SOME))["f"].tolist() == [0, 2, 4, 0, 2]
        again = FeatureSet.from_json(json.loads(json.dumps(features.to_json())))
        assert again == features
        functions.check(again.features)
        module.write_text(module.read_text().replace("STEP = 2", "STEP = 3"))
        told = r"feature f: their_functions:f is other code here \(source \w+\) than the features were made with"
        for refuse in (
            lambda: offline.row_features(again, table(SOME)),
            lambda: OnlineState(again),
            lambda: functions.check(again.features),
        ):
            with pytest.raises(StoreError, match=told):
                refuse()
        changed = defined(view(one("function", function="their_functions:f", columns=["amount"])))
        assert changed.digest != features.digest

    def test_that_is_gone_is_refused(self, module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        features = defined(view(one("function", function="their_functions:f", columns=["amount"])))
        monkeypatch.delitem(sys.modules, "their_functions")
        module.unlink()
        with pytest.raises(StoreError, match=r"their_functions:f cannot be imported \(ModuleNotFoundError"):
            OnlineState(features)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (None, "is no name of a function. Write package.module:name."),
        ("math.log", "is no name of a function. Write package.module:name."),
        (f"{HERE}:absent", f"is not there: {HERE} has no function absent. Correct the name."),
        (f"{HERE}:NO_FUNCTION", f"is not there: {HERE} has no function NO_FUNCTION. Correct the name."),
        (
            "not_there:f",
            "cannot be imported (ModuleNotFoundError: No module named 'not_there'). Correct the module.",
        ),
        ("math:sqrt", "has no Python source in math. Use a function of a .py file."),
    ],
)
def test_what_is_wrong_with_a_function(path: str | None, said: str) -> None:
    wrong = view(one("function", function=path, columns=["amount"]))
    assert faults(wrong) == [f"features.views[v].f.function={path} {said}"]


def test_all_that_is_wrong_with_its_columns_is_told_at_once() -> None:
    wrong = view(
        one("function", function=f"{HERE}:mixed", columns=["card", "price", "price"]),
        one("function", "amount", "g", function=f"{HERE}:mixed"),
        one("weekend", name="h", function="a:b", columns=["amount"], table="t"),
    )
    names = ", ".join(COLUMNS)
    assert faults(wrong) == [
        "features.views[v].f.columns=['card', 'price', 'price'] names a column twice. Name each once.",
        "features.views[v].f.columns=card is an entity, which the endpoint knows by a token. Use other columns.",
        f"features.views[v].f.columns=price names no column of the data. Use some of: {names}.",
        "features.views[v].g.column=amount is not used by function. Leave it out.",
        "features.views[v].g.columns is empty. Name the columns that the function is given.",
        "features.views[v].h.table=t is not used by weekend. Leave it out.",
        "features.views[v].h.function=a:b is not used by weekend. Leave it out.",
        "features.views[v].h.columns=['amount'] is not used by weekend. Leave it out.",
    ]
