"""Is a manifest one that Kubernetes and KubeRay know? Strict: a key that no schema has is a fault, as is a lost one."""

import functools
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parent / "schemas"
Manifest = dict[str, Any]


def faults(manifest: Manifest) -> Iterator[str]:
    """Each fault as `Kind/name: where: what`."""
    name = named(manifest)
    validator = _validator(str(manifest.get("apiVersion")), str(manifest.get("kind")))
    if validator is None:
        yield f"{name}: no schema of apiVersion={manifest.get('apiVersion')} kind={manifest.get('kind')}"
        return
    for error in validator.iter_errors(manifest):
        where = ".".join(map(str, error.absolute_path)) or "the manifest"
        yield f"{name}: {where}: {error.message[:200]}"


def named(manifest: Manifest) -> str:
    """How a fault calls it."""
    meta = manifest.get("metadata", {})
    return f"{manifest.get('kind')}/{meta.get('name') or meta.get('generateName')}"


@functools.cache
def _validator(version: str, kind: str) -> jsonschema.protocols.Validator | None:
    schema = _custom().get((version, kind)) or _native(version, kind)
    return None if schema is None else jsonschema.Draft7Validator(schema)


def _native(version: str, kind: str) -> Manifest | None:
    for name, one in _kubernetes()["$defs"].items():
        known = one.get("properties", {})
        if version in known.get("apiVersion", {}).get("enum", ()) and kind in known.get("kind", {}).get("enum", ()):
            return {"$ref": f"#/$defs/{name}", "$defs": _kubernetes()["$defs"]}
    return None


@functools.cache
def _kubernetes() -> Manifest:
    return json.loads(gzip.decompress((FOLDER / "kubernetes-1.37.json.gz").read_bytes()))


@functools.cache
def _custom() -> dict[tuple[str, str], Manifest]:
    found = {}
    for path in sorted(FOLDER.glob("*.yaml.gz")):
        spec = yaml.load(gzip.decompress(path.read_bytes()), Loader=yaml.CSafeLoader)["spec"]
        for version in (one for one in spec["versions"] if one["name"] == "v1"):
            identity = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            found[identity] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:
    """The schema as Kubernetes' strict field validation applies it: unknown keys refused, defaults filled in before."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    left = {key: value for key, value in schema.items() if key not in ("description", "format", "properties")}
    made = {key: _strict(value) for key, value in left.items()}
    if (properties := schema.get("properties")) is not None:
        made["properties"] = {name: _strict(one) for name, one in properties.items()}
        made["required"] = [name for name in schema.get("required", ()) if "default" not in properties.get(name, {})]
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            made["additionalProperties"] = False
        made["properties"] |= _whole_metadata(properties)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


def _whole_metadata(properties: Manifest) -> Manifest:
    """The metadata of the resource itself, which a definition leaves open: Kubernetes checks it like any other's."""
    if properties.get("metadata") != {"type": "object"}:
        return {}
    known = ("name", "generateName", "namespace")
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    fields = {name: {"type": "string"} for name in known} | {"labels": texts, "annotations": texts}
    return {"metadata": {"type": "object", "properties": fields, "additionalProperties": False}}
