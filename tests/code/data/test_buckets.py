"""A value's bucket is the same in every process, and no bucket gets much more than its share."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.buckets import bucket_of


def buckets(values: list[Any], count: int, kind: pa.DataType | None = None) -> list[int]:
    found: list[int] = bucket_of(pa.chunked_array([pa.array(values, kind)]), count).to_pylist()
    return found


def test_buckets_are_the_same_on_every_machine_and_for_ever() -> None:
    assert buckets([0, 1, 2, 3, -1, 2**63 - 1], 8) == [0, 4, 1, 6, 3, 3]
    assert buckets(["", "a", "card-7", "é", None], 8) == [0, 3, 4, 5, 6]


@pytest.mark.parametrize("step", [1, 2, 7, 8, 1000, 4096, 10**6, 2**32])
def test_evenly_spaced_ids_fill_all_buckets_alike(step: int) -> None:
    found = Counter(buckets([number * step for number in range(8000)], 8))
    assert len(found) == 8
    assert max(found.values()) < 1300


@pytest.mark.parametrize("form", ["{}", "card-{}", "{:08}", "{}-eu"])
def test_numbered_texts_fill_all_buckets_alike(form: str) -> None:
    found = Counter(buckets([form.format(number) for number in range(8000)], 8))
    assert len(found) == 8
    assert max(found.values()) < 1300


@settings(deadline=None)
@given(
    st.one_of(
        st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=30),
        st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30),
    ),
    st.integers(1, 9),
)
def test_equal_values_meet_in_one_bucket_wherever_they_are(values: list[Any], count: int) -> None:
    kind = pa.string() if any(isinstance(value, str) for value in values) else pa.int64()
    together = buckets(values, count, kind)
    assert together == [buckets([value], count, kind)[0] for value in values]
    assert set(together) <= set(range(count))


def test_chunks_widths_and_encodings_do_not_matter() -> None:
    cut = pa.chunked_array([pa.array(["a", "b"]), pa.array([], pa.string()), pa.array(["a", None])])
    assert bucket_of(cut, 5).to_pylist() == buckets(["a", "b", "a", None], 5)
    assert buckets([1, 2, -3], 5, pa.int32()) == buckets([1, 2, -3], 5)


def test_one_bucket_holds_everything_and_no_values_need_none() -> None:
    assert set(buckets(list(range(100)), 1)) == {0}
    assert buckets([], 3, pa.string()) == buckets([], 3, pa.int64()) == []
