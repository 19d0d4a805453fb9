"""The input layer's constants."""

import numpy as np
import pytest

from workbench.models.encoding import Encoding


def edges(values: list[float], bins: int) -> tuple[list[float], list[float]]:
    """Where the bins of one feature begin and how wide they are."""
    encoding = Encoding.of(np.array(values, np.float32)[:, None], np.zeros(len(values), np.float32), bins, 0)
    return encoding.low.tolist(), (1 / encoding.slope).tolist()


def test_bins_cut_the_distinct_values_however_common_one_of_them_is() -> None:
    low, width = edges([0.0] * 1000 + [1.0, 2.0, 3.0, 4.0], 4)
    assert low == [0, 1, 2, 3]
    assert width == [1, 1, 1, 1]


@pytest.mark.parametrize(("values", "bins"), [([0.0, 1.0], 128), ([3.0, 3.0], 8)])
def test_every_bin_is_wider_than_nothing(values: list[float], bins: int) -> None:
    low, width = edges(values, bins)
    assert low[0] == min(values)
    assert min(width) > 0


def test_no_bins_leave_only_the_standardised_inputs() -> None:
    encoding = Encoding.of(np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros(3, np.float32), 0, 0)
    assert encoding.width - len(encoding.low) == 2
    assert len(encoding.low) == 0


@pytest.mark.parametrize("bins", [0, 1, 8])
def test_a_value_has_the_codes_that_its_place_says(bins: int) -> None:
    x_NF = np.random.default_rng(0).lognormal(3, 2, (500, 3)).astype(np.float32)
    encoding = Encoding.of(x_NF[:100], np.zeros(100, np.float32), bins, 0)
    code_NF, value_NF = encoding.places(x_NF)
    dense_NC = np.clip((x_NF[:, encoding.feature] - encoding.low) * encoding.slope, 0, 1)
    looked_up_NC = np.zeros_like(dense_NC)
    for codes, values, row in zip(code_NF, value_NF, looked_up_NC, strict=True):
        for code, value in zip(codes, values, strict=True):
            row[encoding.first[encoding.feature[code]] : code] = 1
            row[code] = value
    np.testing.assert_allclose(looked_up_NC, dense_NC, atol=1e-5)


def test_a_cut_of_the_label_becomes_a_bin_between_its_neighbours() -> None:
    amount = np.arange(1, 1001, dtype=np.float32)
    encoding = Encoding.of(amount[:, None], (amount > 220).astype(np.float32), 2, 2)
    assert encoding.low.tolist() == [1.0, 220.0, 221.0, 500.5]
    code, value = encoding.places(np.array([[220.0], [221.0]], np.float32))
    below, above = encoding.low[code[:, 0]], value[:, 0]
    assert below.tolist() == [220.0, 221.0]
    assert above.tolist() == [0.0, 0.0], "the code of the bin from 220 to 221 jumps from 0 to 1"


def test_a_label_of_one_class_gives_no_cuts() -> None:
    values = np.arange(100, dtype=np.float32)[:, None]
    cut, plain = (Encoding.of(values, np.zeros(100, np.float32), 4, leaves) for leaves in (16, 0))
    assert cut.low.tolist() == plain.low.tolist()


def test_the_encoding_of_some_features_says_of_them_what_the_whole_says() -> None:
    x_NF = np.random.default_rng(0).lognormal(3, 2, (500, 3)).astype(np.float32)
    whole = Encoding.of(x_NF, (x_NF[:, 0] > 20).astype(np.float32), 8, 4)
    some = whole.take([2, 0])
    np.testing.assert_array_equal(some.logs(x_NF[:, [2, 0]]), whole.logs(x_NF)[:, [2, 0]])
    low = [whole.low[whole.feature == one] for one in (2, 0)]
    assert some.low.tolist() == np.concatenate(low).tolist()
    assert some.feature.tolist() == [0] * len(low[0]) + [1] * len(low[1])
    np.testing.assert_array_equal(some.places(x_NF[:, [2, 0]])[1], whole.places(x_NF)[1][:, [2, 0]])
