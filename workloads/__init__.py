"""Verbs: one file per step; each is a Hydra app, a plain function and a Ray job."""
