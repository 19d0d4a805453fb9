"""Values that are common in training have a row of their own, all others one together."""

import numpy as np

from workbench.models.vocabulary import LEAST_ROWS, Vocabulary


def test_common_values_have_a_row_each_and_rare_and_unseen_ones_share_the_first() -> None:
    seen = np.repeat([7.0, -1.0, 900.0, 3.0], [LEAST_ROWS, LEAST_ROWS + 3, LEAST_ROWS - 1, 40]).astype(np.float32)
    vocabulary = Vocabulary.of(seen)
    assert vocabulary.values.tolist() == [-1, 3, 7]
    assert vocabulary.rows(np.array([-1, 3, 7, 900, 5, 1e9, -9], np.float32)).tolist() == [1, 2, 3, 0, 0, 0, 0]


def test_where_every_value_is_rare_all_share_one_row() -> None:
    vocabulary = Vocabulary.of(np.arange(30, dtype=np.float32))
    assert vocabulary.rows(np.arange(3, dtype=np.float32)).tolist() == [0, 0, 0]
