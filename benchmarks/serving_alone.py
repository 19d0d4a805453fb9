"""Our endpoint's requests/s at each number of connections, in the Ray that the environment asks for: FILE SECONDS.."""

import json
import sys
from pathlib import Path

from benchmarks import apart, serving, wrk
from benchmarks.serving_fresh import Fresh
from workloads import door
from workloads.endpoint.live import live


def main() -> None:
    """Measure, and write {connections: requests/s} into FILE; the rest of the words are overrides."""
    told, seconds, *overrides = sys.argv[1:]

    def work() -> None:
        cfg = apart.configured(overrides)
        with apart.prepared(cfg) as folder:
            sent = wrk.write_bodies(folder / "ours.jsonl", serving.events(cfg)[0])
            with live(cfg) as endpoint:
                measure = Fresh(f"{endpoint.url}/v1/score", sent, float(seconds), endpoint.api_key)
                measure(serving.CONNECTIONS[0])  # warm
                Path(told).write_text(json.dumps({n: measure(n).requests_per_s for n in serving.CONNECTIONS}))

    sys.exit(door.guarded(work))


if __name__ == "__main__":
    main()
