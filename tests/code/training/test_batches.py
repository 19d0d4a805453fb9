"""Every worker makes the same steps, sees every row of its shard, and sees the same again for the same seed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import Diverged
from workbench.training import batches
from workbench.training.batches import Losses, Plan, Seed
from workbench.training.fits import Fit, Fitted, Rows


def shard(rows: int) -> Rows:
    return Rows(np.zeros((rows, 1), np.float32), np.zeros(rows, np.float32))


def even(total: int, workers: int) -> list[int]:
    """The sizes of the workers' shards."""
    bounds = [total * worker // workers for worker in range(workers + 1)]
    return [end - start for start, end in itertools.pairwise(bounds)]


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 300), st.integers(1, 400))
def test_all_workers_make_equal_steps_and_each_sees_its_whole_shard(workers: int, more: int, batch_size: int) -> None:
    total = workers + more
    plans = [Plan(shard(rows), (total, workers), batch_size) for rows in even(total, workers)]
    epochs = [list(plan.epoch(Seed(0, 1, 1))) for plan in plans]
    assert len({len(epoch) for epoch in epochs}) == 1
    for plan, epoch in zip(plans, epochs, strict=True):
        assert {len(batch) for batch in epoch} == {plan.size}
        assert set(np.concatenate(epoch)) == set(range(plan.rows))


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 64))
def test_one_worker_sees_no_row_twice_before_it_has_seen_all(rows: int, batch_size: int) -> None:
    seen = np.concatenate(list(Plan(shard(rows), (rows, 1), batch_size).epoch(Seed(3, 2, 5))))
    assert len(set(seen[:rows])) == rows
    assert len(seen) - rows < batch_size, "only the last batch is filled up"


def test_the_batch_size_is_that_of_all_workers_together() -> None:
    assert Plan(shard(500), (1000, 2), 100).size == 50
    assert Plan(shard(500), (1000, 2), 100).steps == 10


def test_more_workers_than_rows_in_a_batch_take_one_row_each() -> None:
    assert Plan(shard(25), (100, 4), 2).size == 1


def order(seed: Seed) -> list[int]:
    return np.concatenate(list(Plan(shard(100), (100, 1), 10).epoch(seed))).tolist()


def test_the_order_is_the_same_for_the_same_seed_and_epoch_only() -> None:
    assert order(Seed(7, 1, 9)) == order(Seed(7, 1, 9))
    assert order(Seed(7, 1, 9)) != order(Seed(7, 2, 9))
    assert order(Seed(7, 1, 9)) != order(Seed(8, 1, 9))


def test_streams_epochs_and_seeds_never_share_their_randomness() -> None:
    numbers = {
        Seed(fit, epoch, 4).number(stream)
        for fit in range(4)
        for epoch in range(1, 5)
        for stream in (*range(4), 10_000)
    }
    assert len(numbers) == 4 * 4 * 5


def test_the_learning_rate_falls_from_full_to_nothing_over_all_epochs() -> None:
    rates = [Seed(0, epoch, 3).cosine(step, 10) for epoch in (1, 2, 3) for step in range(10)]
    assert rates[0] == 1
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[15] == pytest.approx(0.5)
    assert Seed(0, 3, 3).cosine(10, 10) == pytest.approx(0, abs=1e-12)


def test_parts_are_all_rows_of_all_arrays_in_order() -> None:
    rows = np.arange(2 * batches.PART + 3)
    parts = list(batches.parts(rows[:, None], -rows))
    assert [len(first) for first, _ in parts] == [batches.PART, batches.PART, 3]
    np.testing.assert_array_equal(np.concatenate([first[:, 0] for first, _ in parts]), rows)
    np.testing.assert_array_equal(np.concatenate([second for _, second in parts]), -rows)


FIT = Fit("test", 3, selects=False)


def losses(*values: float) -> Losses:
    found = Losses()
    for value in values:
        found.add(value)
    return found


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_fit_by_its_name_and_step(loss: float) -> None:
    with pytest.raises(
        Diverged, match=r"loss is (nan|inf) at step 2 of 3 in epoch 5 of test-seed3. Lower the learning"
    ):
        batches.check(losses(0.5, loss, math.nan), [], FIT, 5)


def test_a_weight_that_is_no_number_stops_the_fit_before_it_is_saved() -> None:
    weights = [np.zeros(3), np.array([[1.0, np.nan]])]
    with pytest.raises(
        Diverged, match=r"A weight is no number after step 2 in epoch 1 .* last good checkpoint is kept"
    ):
        batches.check(losses(0.5, 0.4), weights, FIT, 1)


def test_losses_that_are_numbers_give_their_mean() -> None:
    assert batches.check(losses(0.5, 0.25), [np.ones(2)], FIT, 1) == 0.375


def test_an_epoch_is_recorded_with_its_step_loss_quality_and_scores() -> None:
    fitted, scored = Fitted(), Rows(np.zeros((4, 1), np.float32), np.array([0, 1, 0, 1], np.float32))
    batches.record(fitted, 1, 0.7, scored, np.array([4.0, 3, 2, 1]))
    batches.record(fitted, 2, 0.2, scored, np.array([1.0, 4, 2, 3]))
    assert (fitted.steps, fitted.train_loss) == ([1, 2], [0.7, 0.2])
    assert fitted.average_precision == [pytest.approx(0.5), 1.0]
    assert [one.dtype for one in fitted.logits_SN] == [np.float32, np.float32]
    assert fitted.logits_SN[1].tolist() == [1, 4, 2, 3]
