"""No row calibrates a mixture that it helped to choose."""

import numpy as np
import pytest

from workbench.config import TrainConfig
from workbench.decisions import CalibrationConfig, EnsembleConfig
from workbench.training import calibrate, ensemble, mixture

Fold = tuple[np.ndarray, np.ndarray]


def fold(seed: int, rows: int = 900) -> Fold:
    random = np.random.default_rng(seed)
    label = (random.random(rows) < 0.1).astype(float)
    return label, label[:, None] * [2.0, 1.0, 0.5] + random.normal(0, 1, (rows, 3))


def config(method: str, rows: str = "crossed") -> TrainConfig:
    return TrainConfig(ensemble=EnsembleConfig(draws=10), calibration=CalibrationConfig(method, rows))


FOLDS = {f"select-2018-07-{day:02}": fold(day) for day in (11, 18, 4)}  # as configured: not in the order of time
LAST = "select-2018-07-18"


def test_without_a_calibration_all_folds_choose_the_weights() -> None:
    found = mixture.mixture(FOLDS, config("none"))
    assert found.weights == pytest.approx(ensemble.weights(list(FOLDS.values()), config("none").ensemble))
    assert (found.calibration, found.assessed) == (None, {})


def test_the_last_fold_in_time_calibrates_and_chooses_no_weight() -> None:
    cfg = config("platt", "last_fold")
    found = mixture.mixture(FOLDS, cfg)
    earlier = [FOLDS[name] for name in sorted(FOLDS) if name != LAST]
    assert found.weights == ensemble.weights(earlier, cfg.ensemble)
    label, logits = FOLDS[LAST]
    assert found.calibration == calibrate.platt(label, logits @ np.array(found.weights))
    other = mixture.mixture({**FOLDS, LAST: (1 - label, logits)}, cfg)
    assert other.weights == found.weights, "whatever its labels are"


def test_crossed_every_row_is_mixed_by_weights_that_other_folds_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[int]] = []

    def chosen(folds: list[Fold], _: EnsembleConfig) -> list[float]:
        seen.append({number for number, (label, _) in enumerate(FOLDS.values()) if any(label is y for y, _ in folds)})
        return [1.0, 0.0, 0.0]

    monkeypatch.setattr(ensemble, "weights", chosen)
    mixed = mixture.crossed(list(FOLDS.values()), config("platt"))
    assert seen == [{1, 2}, {0, 2}, {0, 1}]
    for (label, logit), (own_label, own) in zip(mixed, FOLDS.values(), strict=True):
        assert (label == own_label).all()
        assert (logit == own[:, 0]).all()


def test_a_single_fold_is_crossed_in_fifths_that_each_hold_both_classes() -> None:
    label, logits = fold(1)
    parts = mixture._parts(label, logits)
    assert [len(y) for y, _ in parts] == pytest.approx([len(label) / 5] * 5, abs=2)
    assert [y.mean() for y, _ in parts] == pytest.approx([label.mean()] * 5, abs=0.01)
    mixed = mixture.crossed([(label, logits)], config("platt"))
    assert sorted(np.concatenate([y for y, _ in mixed])) == sorted(label)


def test_every_method_is_assessed_on_rows_that_did_not_fit_it() -> None:
    sure = {name: (label, 3 * logits) for name, (label, logits) in FOLDS.items()}
    found = mixture.mixture(sure, config("isotonic"))
    assert found.calibration is not None
    assert found.calibration.method == "isotonic"
    assert set(found.assessed) == {"none", "platt", "isotonic"}
    assert found.assessed["platt"]["log_loss"] < found.assessed["none"]["log_loss"]
