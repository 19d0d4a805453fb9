"""AutoGluon as its documentation has it, with an interpreter of its own: `TRAIN JUDGED ANSWER SECONDS FOLDER`."""

import sys


def main() -> None:
    """Fit on TRAIN (Parquet, the label in `label`) for so many seconds, and write the scores of JUDGED's rows."""
    import pandas as pd
    from autogluon.tabular import TabularPredictor

    train, judged, answer, seconds, folder = sys.argv[1:]
    predictor = TabularPredictor("label", eval_metric="average_precision", path=folder, verbosity=1)
    predictor.fit(pd.read_parquet(train), time_limit=float(seconds), presets="best_quality", dynamic_stacking=False)
    score_N = predictor.predict_proba(pd.read_parquet(judged))[1]
    pd.DataFrame({"score": score_N.to_numpy()}).to_parquet(answer)


if __name__ == "__main__":
    main()
