"""What a fold's networks are told of their inputs before training, estimated by tasks."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from workbench.families import FamilyConfig
from workbench.models.encoding import Encoding
from workbench.models.steps import Layout
from workbench.models.vocabulary import Vocabulary
from workbench.training.gather import Gathered

MOST_ROWS = 200_000  # that quantiles are estimated from


def encoded(hyper: FamilyConfig, names: Sequence[str]) -> list[str]:
    """The columns that a family's input encoding is made of: all that it sees but for those with embeddings."""
    return Layout.of(names).encoded if hyper.sequences else [name for name in names if name not in hyper.embedded]


def encoding_of(fold: Gathered, bins: int, leaves: int, names: Sequence[str] | None = None) -> Encoding:
    """The encoding of these columns (null: of all) of the fold's rows, or of every so many-th row, see `MOST_ROWS`."""
    table = _sample(fold)
    columns = [table[name].to_numpy() for name in (table.column_names[:-1] if names is None else names)]
    return Encoding.of(np.stack(columns, axis=1), table["label"].to_numpy(), bins, leaves)


def vocabularies_of(fold: Gathered, names: Sequence[str]) -> dict[str, Vocabulary]:
    """The values of each of these columns that have an embedding of their own, from the same rows."""
    table = _sample(fold) if names else None
    return {name: Vocabulary.of(table[name].to_numpy()) for name in names} if table else {}


def _sample(fold: Gathered) -> pa.Table:
    return fold.every(-(-fold.rows // MOST_ROWS))
