"""Functions that definitions name in tests: some that may be named, others that break each rule."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NO_FUNCTION = 7


def mixed(given):
    """Something of every type, nulls among them."""
    hours = pc.divide(given["at"].cast(pa.int64()), 3_600_000_000).to_numpy() % 24
    length = pc.fill_null(pc.utf8_length(given["note"]), -1).to_numpy()
    rate = pc.fill_null(given["rate"], 0.1).to_numpy()
    return np.log1p(np.abs(rate)) + pc.fill_null(given["amount"], 3).to_numpy() / 7 + hours * length


def types(given):
    """1 where the columns come as they are declared."""
    wanted = {"amount": pa.int64(), "at": pa.timestamp("us", "UTC"), "rate": pa.float64(), "note": pa.string()}
    return pa.array([float(dict(zip(given.schema.names, given.schema.types, strict=True)) == wanted)] * len(given))


def chunked(given):
    """A column of the table itself, as Arrow has it."""
    return pc.multiply(given["amount"].cast(pa.float64()), 2.0)


def short(given):
    return np.zeros(len(given) - 1)


def whole(given):
    return np.zeros(len(given), np.int64)


def nothing(given):
    return None


def nulls(given):
    return pa.array([None] * len(given), pa.float64())


def infinite(given):
    return np.append(np.zeros(len(given) - 1), np.inf)


def undefined(given):
    return np.full(len(given), np.nan)


def raising(given):
    raise KeyError("price")


def ranked(given):
    """Looks at the other rows."""
    return given["amount"].to_numpy().argsort().astype(float)
