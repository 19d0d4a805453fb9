"""The peer of `benchmarks/serving.py`: what a careful engineer writes in an afternoon. It gets ready-made features.

FastAPI, uvicorn (uvloop, httptools), XGBoost's in-place predict on one thread. No key, no features, no log.
"""

import argparse
from pathlib import Path

import numpy as np
import uvicorn
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel


class Row(BaseModel):
    """The features of one transaction, in the model's order."""

    features: list[float]


class Score(BaseModel):
    """The probability of fraud."""

    score: float


def app(model: bytes) -> FastAPI:
    """The service around a booster."""
    booster, api = xgboost.Booster(model_file=bytearray(model)), FastAPI()
    booster.set_param({"nthread": 1})

    @api.post("/score")
    async def score(row: Row) -> Score:
        x = np.array([row.features], dtype=np.float32)
        return Score(score=float(booster.inplace_predict(x)[0]))

    return api


def main() -> None:
    """Serve the model file on a port of loopback until terminated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    uvicorn.run(
        app(arguments.model.read_bytes()), host="127.0.0.1", port=arguments.port, log_level="error", access_log=False
    )


if __name__ == "__main__":
    main()
