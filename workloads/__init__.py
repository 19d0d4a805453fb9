"""Verbs: one file per step; each is a Hydra app, a plain function and a Ray job."""

from workbench import cluster

cluster.set_defaults()  # the one effect at import: Ray reads its environment when the steps import it
