"""Merged members keep what each of them says, and are mixed by their weights alone."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.code.models.linear import member
from workbench.models import graph
from workbench.models.scorer import Scorer

X = np.random.default_rng(0).normal(0, 1, (50, 3)).astype(np.float32)
A, B = [1.0, -2.0, 0.5], [0.0, 3.0, 1.0]


def scored(weights: list[float], intercept: float = 0.0) -> Scorer:
    return Scorer(graph.merge({"a": member(A), "b": member(B, 1.0)}, weights, intercept, 3))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 10), min_size=2, max_size=2), st.floats(-5, 5, width=32))
def test_the_log_odds_are_the_weighted_sum_of_the_members_and_the_intercept(tenths: list[int], shift: float) -> None:
    weights = [one / 10 for one in tenths]
    scores = scored(weights, shift).score(X)
    expected_NM = np.stack([X @ A, X @ B + 1], axis=1)
    np.testing.assert_allclose(scores.member_logits_NM, expected_NM, atol=1e-5)
    np.testing.assert_allclose(scores.logit_N, expected_NM @ weights + shift, atol=1e-4)
    np.testing.assert_allclose(scores.score_N, 1 / (1 + np.exp(-scores.logit_N)), atol=1e-6)


def test_a_member_of_weight_zero_is_shown_and_not_heard() -> None:
    scores = scored([1.0, 0.0]).score(X)
    np.testing.assert_array_equal(scores.logit_N, scores.member_logits_NM[:, 0])
    np.testing.assert_allclose(scores.member_logits_NM[:, 1], X @ B + 1, atol=1e-5)


def test_weights_that_are_all_zero_score_a_half() -> None:
    assert set(scored([0.0, 0.0]).score(X).score_N.tolist()) == {0.5}


def test_members_keep_the_order_in_which_they_were_given() -> None:
    swapped = Scorer(graph.merge({"b": member(B, 1.0), "a": member(A)}, [0.5, 0.5], 0.0, 3)).score(X)
    np.testing.assert_array_equal(swapped.member_logits_NM, scored([0.5, 0.5]).score(X).member_logits_NM[:, ::-1])


def test_members_whose_inner_names_are_the_same_do_not_disturb_each_other() -> None:
    twins = Scorer(graph.merge({"a": member(A), "a2": member(A, 2.0)}, [1.0, 0.0], 0.0, 3)).score(X)
    np.testing.assert_allclose(twins.member_logits_NM[:, 1] - twins.member_logits_NM[:, 0], 2, atol=1e-5)


def test_members_of_older_operator_sets_are_levelled() -> None:
    model = graph.merge({"old": member(A, opset=13), "new": member(B)}, [0.5, 0.5], 0.0, 3)
    assert {one.domain: one.version for one in onnx.load_from_string(model).opset_import}[""] == graph.OPSET
    np.testing.assert_allclose(Scorer(model).score(X).member_logits_NM, np.stack([X @ A, X @ B], axis=1), atol=1e-5)


def test_merging_is_repeatable_to_the_last_byte() -> None:
    made = [graph.merge({"a": member(A), "b": member(B)}, [0.5, 0.5], 0.1, 3) for _ in range(2)]
    assert made[0] == made[1]


def test_a_weight_for_each_member_or_no_graph() -> None:
    with pytest.raises(onnx.shape_inference.InferenceError, match=r"[Ii]ncompatible dimensions"):
        graph.merge({"a": member(A), "b": member(B)}, [1.0], 0.0, 3)


def test_a_member_of_some_columns_takes_all_and_looks_at_its_own_in_its_order() -> None:
    some = graph.select_inputs(member(A), [4, 0, 2], 5)
    wide = np.random.default_rng(1).normal(0, 1, (20, 5)).astype(np.float32)
    merged = Scorer(
        graph.merge({"some": some, "all": graph.select_inputs(member([1.0] * 5), range(5), 5)}, [1, 1], 0, 5)
    )
    np.testing.assert_allclose(merged.score(wide).member_logits_NM[:, 0], wide[:, [4, 0, 2]] @ A, atol=1e-5)
    np.testing.assert_allclose(merged.score(wide).member_logits_NM[:, 1], wide.sum(axis=1), atol=1e-5)


def column_model() -> onnx.ModelProto:
    """A graph as converters give it: an input of another name, the log-odds as a column [N, 1]."""
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1, noop_with_empty_axes=0)
    node.input.append("axes")
    made = helper.make_graph(
        [node],
        "column",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 1])],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [1])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", graph.OPSET)], ir_version=graph.IR_VERSION)


def test_a_converters_names_and_shapes_become_ours() -> None:
    model = graph.flatten_output(graph.rename_input(column_model(), graph.INPUT), graph.OUTPUT)
    onnx.checker.check_model(model, full_check=True)
    assert [one.name for one in model.graph.input] == [graph.INPUT]
    merged = Scorer(graph.merge({"sum": bytes(model.SerializeToString())}, [1.0], 0.0, 3))
    np.testing.assert_allclose(merged.score(X).logit_N, X.sum(axis=1), atol=1e-5)
