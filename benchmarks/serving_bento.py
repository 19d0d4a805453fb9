"""The trees as a service of BentoML, as its documentation has it, with an interpreter that has it and XGBoost."""

import os

import bentoml
import numpy as np
import xgboost


@bentoml.service(workers=1)
class Trees:
    """The booster that the environment's TREES names."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["TREES"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    def score(self, features: list[float]) -> float:
        """The probability of fraud."""
        return float(self.booster.inplace_predict(np.array([features], dtype=np.float32))[0])
