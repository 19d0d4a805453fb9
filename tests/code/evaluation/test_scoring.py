"""Folds that nothing can be judged on are refused, all at once, by their counts alone."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from workbench.data import snapshots
from workbench.data.store import Artifact, Store
from workbench.errors import InputError
from workbench.evaluation import protocol, scoring
from workbench.training.fits import Fold
from workloads import door

LABELS = {"test-a": [0, 1, None], "test-b": [0, 0, None], "test-c": [None, None, None]}
FOLDS = [Fold(name, pc.scalar(True), pc.field("part") == name) for name in [*LABELS, "test-d"]]


@pytest.fixture
def features(store: Store) -> Artifact:
    names = [name for name in LABELS for _ in range(3)]
    label = pa.array([one for labels in LABELS.values() for one in labels], pa.int8())
    table = pa.table({"id": range(9), "amount": range(9), "label": label, "part": names})
    return snapshots.write(store, "features", "all", table, parents={}, config={}, rows_per_file=4)


@pytest.mark.usefixtures("ray_session")
def test_every_fold_without_rows_of_both_classes_is_named_with_its_remedy(features: Artifact) -> None:
    scoring.check(features, FOLDS[:1], "Use more")
    with pytest.raises(InputError) as caught:
        scoring.check(features, FOLDS, "Use more")
    assert str(caught.value).split("\n  - ") == [
        "These rows cannot be judged on:",
        "test-b holds 2 labelled rows of 1 class(es) to judge on; figures need both. Use more, or check the labels.",
        "test-c holds 0 labelled rows of 0 class(es) to judge on; figures need both. Use more, or check the labels.",
        "test-d holds 0 labelled rows of 0 class(es) to judge on; figures need both. Use more, or check the labels.",
    ]


@pytest.mark.parametrize("fold", FOLDS[1:], ids=lambda one: one.name)
def test_rows_of_one_class_are_not_scored(features: Artifact, fold: Fold) -> None:
    with pytest.raises(InputError, match=rf"{fold.name} holds \d labelled rows of \d class\(es\) to judge on"):
        scoring._read(features, fold, ["id", "label"], ["amount"])


def test_rows_of_both_classes_are_read_with_what_they_are(features: Artifact) -> None:
    table, x_NF = scoring._read(features, FOLDS[0], ["id", "label"], ["amount"])
    assert table.to_pydict() == {"id": [0, 1], "label": [0, 1]}
    assert x_NF.tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("data.split.train_start=2018-08-01", "data.split.train_start=2018-08-01 and data.split.score_days=7 chose"),
        ('experiment=published evaluate.fold_starts=["2018-08-01"]', "evaluate.fold_starts=['2018-08-01'] and data."),
        ("experiment=credit data.split.test_share=0.1", "data.split.test_share=0.1 dealt them: use a larger share"),
        ("experiment=credit evaluate.protocol=kfold evaluate.folds=4", "evaluate.folds=4 dealt them: use fewer"),
    ],
)
def test_the_remedy_names_what_says_which_rows_judge(overrides: str, said: str) -> None:
    assert said in protocol.remedy(door.composed(overrides.split()))
