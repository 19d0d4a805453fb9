"""AWS's control plane on loopback: moto's server, with the one call of ours that it lacks."""

import contextlib
import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any
from unittest import mock

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@contextlib.contextmanager
def control_plane() -> Iterator[dict[str, str]]:
    """The environment in which AWS is a server of this process; it forgets everything at the end."""
    from moto.sagemaker.responses import SageMakerResponse
    from moto.server import ThreadedMotoServer

    SageMakerResponse.update_endpoint = _update_endpoint  # moto 5.2 answers NotImplementedError
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    told = {**VARIABLES, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    try:
        with mock.patch.dict(os.environ, told):
            yield told
    finally:
        forget(told)
        server.stop()


def forget(told: dict[str, str]) -> None:
    """Nothing is in it any more."""
    request = urllib.request.Request(f"{told['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")
    with urllib.request.urlopen(request, timeout=10):
        pass


def _update_endpoint(self: Any) -> str:
    """As AWS does it: an endpoint that is there takes the variants of another configuration, which has to be there."""
    name, config = self._get_param("EndpointName"), self._get_param("EndpointConfigName")
    self.sagemaker_backend.describe_endpoint(name)
    return json.dumps({"EndpointArn": self.sagemaker_backend.create_endpoint(name, config, tags=[]).arn})
