"""A fold's input encoding, estimated by a task."""

import numpy as np

from workbench.models.composition import Anomaly, appended
from workbench.models.encoding import Encoding
from workbench.training.gather import Gathered

MOST_ROWS = 200_000  # that quantiles are estimated from


def encoding_of(fold: Gathered, bins: int, leaves: int, anomaly: Anomaly | None = None) -> Encoding:
    """The encoding of the fold's rows, or of every so many-th where there are more than `MOST_ROWS`."""
    table = fold.every(-(-fold.rows // MOST_ROWS))
    *columns, label = (column.to_numpy() for column in table.columns)
    return Encoding.of(appended(np.stack(columns, axis=1), anomaly), label, bins, leaves)
