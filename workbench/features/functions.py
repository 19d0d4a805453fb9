"""Features that YAML cannot say: a pure Python function of Arrow columns, the same code for many rows and for one.

It is named, never stored: a model version holds the digest of its module's source, and nothing is computed by another.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.config import DataConfig, FeatureConfig
from workbench.data.casting import ARROW_TYPES
from workbench.digest import sha256
from workbench.errors import ConfigError, InputError, StoreError

if TYPE_CHECKING:
    from workbench.features.definitions import Feature

Floats = NDArray[np.float64]
PROBES = 16  # rows of each block that are computed alone as well


@dataclass(frozen=True)
class Function:
    """Where a function is, what it is given and which code it is."""

    path: str  # package.module:name
    columns: tuple[tuple[str, str], ...]  # name and declared type
    source: str  # digest of its module's source

    @classmethod
    def of(cls, feature: FeatureConfig, data: DataConfig) -> "Function":
        """The function that a definition names, as its code is now."""
        path = str(feature.function)
        types = tuple((name, data.columns[name].type) for name in feature.columns)
        return cls(path, types, _source(path))

    @classmethod
    def from_json(cls, value: dict[str, Any] | None) -> "Function | None":
        """The function from its JSON, which knows lists only."""
        if value is None:
            return None
        return cls(value["path"], tuple((name, kind) for name, kind in value["columns"]), value["source"])

    @property
    def schema(self) -> pa.Schema:
        """The table that it is given."""
        return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in self.columns])


def column_of(feature: "Feature", events: pa.Table) -> Floats:
    """The feature of every row of a table; some rows are computed alone too, as they will be online."""
    call, schema = _bound(feature), _function(feature).schema
    given = events.select(schema.names).cast(schema).combine_chunks()
    if not given.num_rows:
        return np.empty(0)
    values = call(given)
    for row in np.linspace(0, len(values) - 1, min(PROBES, len(values)), dtype=int).tolist():
        if (alone := call(given.slice(row, 1))[0]).tobytes() != values[row].tobytes():
            raise InputError(
                f"{_named(feature)} gave {values[row]!r} for a row among {len(values)} and {alone!r} for the same row"
                " alone. Each value may depend on its own row only: an endpoint has no other."
            )
    return values


def row_function(feature: "Feature") -> Callable[[Mapping[str, Any]], float]:
    """The function that gives the feature of an event; times are int microseconds since 1970."""
    call, schema = _bound(feature), _function(feature).schema

    def value(event: Mapping[str, Any]) -> float:
        arrays = [pa.array([event.get(field.name)], field.type) for field in schema]
        return float(call(pa.Table.from_arrays(arrays, schema=schema))[0])

    return value


def check(features: "Iterable[Feature]") -> None:
    """Raise `StoreError` where the code here is not the code that a model was trained with."""
    for feature in features:
        if feature.function:
            _bound(feature)


def broken(feature: FeatureConfig, data: DataConfig) -> Iterator[str]:
    """What is wrong with a feature of kind function, without its own name."""
    try:
        _source(str(feature.function))
    except ConfigError as error:
        yield f".function={feature.function} {error}"
    if not feature.columns:
        yield ".columns is empty. Name the columns that the function is given."
    if len(set(feature.columns)) < len(feature.columns):
        yield f".columns={feature.columns} names a column twice. Name each once."
    for name in dict.fromkeys(feature.columns):
        if name not in data.columns:
            yield f".columns={name} names no column of the data. Use some of: {', '.join(data.columns)}."
        elif name in data.entities:
            yield f".columns={name} is an entity, which the endpoint knows by a token. Use other columns."


def _bound(feature: "Feature") -> Callable[[pa.Table], Floats]:
    """The checked function, if its code is the code that the definition was made with."""
    function = _function(feature)
    try:
        found, (_, call) = _source(function.path), _loaded(function.path)
    except ConfigError as error:
        raise StoreError(f"{_named(feature)} {error}") from error
    if found != function.source:
        raise StoreError(
            f"{_named(feature)} is other code here (source {found}) than the features were made with"
            f" ({function.source}). Use the code of that time, or train again."
        )
    return lambda given: _checked(feature, call, given)


def _checked(feature: "Feature", call: Callable[[pa.Table], Any], given: pa.Table) -> Floats:
    try:
        result = call(given)
    except Exception as error:
        raise InputError(f"{_named(feature)} raised {type(error).__name__}: {error}. Correct the function.") from error
    nulls = result.null_count if isinstance(result, pa.Array | pa.ChunkedArray) else 0
    values = result.to_numpy() if isinstance(result, pa.ChunkedArray) else np.asarray(result)
    if values.dtype != np.float64 or values.shape != (given.num_rows,) or nulls:
        shown = f"{nulls} nulls" if nulls else f"{type(result).__name__} of {values.dtype}, shape {values.shape}"
        raise InputError(f"{_named(feature)} gave {shown} for {given.num_rows} rows. Give a float64 for each.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise InputError(f"{_named(feature)} gave {values[row]} in row {row} of {len(values)}. Give finite numbers.")
    return values


def _source(path: str) -> str:
    """The digest of the whole module of a function: what stands beside it is its code too."""
    module, _ = _loaded(path)
    try:
        return sha256(inspect.getsource(module).encode())[:16]
    except (OSError, TypeError):
        raise ConfigError(f"has no Python source in {module.__name__}. Use a function of a .py file.") from None


def _loaded(path: str) -> tuple[ModuleType, Callable[[pa.Table], Any]]:
    """The module and the function; raises `ConfigError` with what is wrong (a sentence without its subject)."""
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise ConfigError("is no name of a function. Write package.module:name.")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise ConfigError(f"cannot be imported ({type(error).__name__}: {error}). Correct the module.") from error
    if not callable(found := getattr(module, name, None)):
        raise ConfigError(f"is not there: {module_name} has no function {name}. Correct the name.")
    return module, found


def _named(feature: "Feature") -> str:
    return f"feature {feature.name}: {_function(feature).path}"


def _function(feature: "Feature") -> Function:
    assert feature.function is not None
    return feature.function
