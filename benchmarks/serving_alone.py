"""Our endpoint's requests/s at each number of connections, in the Ray that the environment asks for: FILE SECONDS.."""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks import apart, serving, wrk
from workbench import cluster
from workloads import deploy, door, register


def main() -> None:
    """Measure, and write {connections: requests/s} into FILE; the rest of the words are overrides."""
    told, seconds, *overrides = sys.argv[1:]

    def work() -> None:
        cfg = apart.configured(overrides)
        with cluster.session(), tempfile.TemporaryDirectory(prefix="wb-benchmark-") as folder:
            register.run(cfg)
            apart.set_apart(cfg, Path(folder))
            sent = wrk.write_bodies(Path(folder) / "ours.jsonl", serving.events(cfg)[0])
            with deploy.live(cfg) as endpoint:
                measure = serving.Fresh(f"{endpoint.url}/v1/score", sent, float(seconds), endpoint.api_key)
                measure(serving.CONNECTIONS[0])  # warm
                Path(told).write_text(json.dumps({n: measure(n).requests_per_s for n in serving.CONNECTIONS}))

    sys.exit(door.guarded(work))


if __name__ == "__main__":
    main()
