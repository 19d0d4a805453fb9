"""What the three families over the last transactions share; the loop is `torch_loop.py`."""

from collections.abc import Callable
from typing import Any

from workbench.models.sequences import MakeBody, Network, Shape
from workbench.models.steps import Layout
from workbench.training.fits import Fit


def builder(config: dict[str, Any], fit: Fit, make_body: MakeBody, heads: int = 1) -> Callable[[], Network]:
    """What makes a new network with this body."""
    hyper, encoding, layout = config["hyper"], config["encodings"][fit.fold], Layout.of(config["names"])
    own, step = encoding.take(range(len(layout.own))), layout.step_inputs
    standard, places = (encoding.mean[step], encoding.scale[step]), (layout.own_places, layout.places_TS)
    shape = Shape(tuple(hyper.hidden), hyper.width, hyper.layers, heads, len(layout.places_TS), hyper.dropout)
    return lambda: Network(own, standard, places, make_body, shape)
