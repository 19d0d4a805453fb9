#!/usr/bin/env bash
# Builds images of deploy/Dockerfile where no Docker engine runs: buildah with chroot isolation, on a base by debootstrap.
#
#   deploy/build_without_docker.sh [TARGET ...]      serve | full | sagemaker; makes localhost/ray-ai-workbench:0.1.0-TARGET
#
# BUILD_ARGS="SAGEMAKER_FROM=serve ACCELERATOR=cpu": passed on. Needs root, buildah, debootstrap; ends with 69 and the
# reason where it cannot work. The host's certificates and pip's settings are lent to the build and not kept in an image.
set -euo pipefail
cd "$(dirname "$0")/.."
NAME=localhost/ray-ai-workbench:0.1.0
BASE=localhost/ray-ai-workbench-base:bookworm
STORAGE=(buildah --storage-driver "${STORAGE_DRIVER:-overlay}")
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT

cannot() { # a reason that is no fault of the images
  echo "skipped: $1" >&2
  exit 69 # EX_UNAVAILABLE of sysexits
}

check_host() {
  [ "$(id -u)" = 0 ] || cannot "buildah's chroot isolation needs root here"
  for tool in buildah debootstrap; do
    which "$tool" >/dev/null || cannot "$tool is not installed: apt-get install buildah debootstrap"
  done
  "${STORAGE[@]}" images >/dev/null 2>"$made/why" || cannot "buildah cannot store images: $(tail -1 "$made/why")"
}

make_base() { # as small as Debian's own slim image
  "${STORAGE[@]}" images --quiet "$BASE" >/dev/null 2>&1 && return
  debootstrap --variant=minbase bookworm "$made/root" >"$made/log" 2>&1 || cannot "debootstrap: $(tail -1 "$made/log")"
  rm -rf "$made"/root/var/{cache/apt,lib/apt/lists}/* "$made"/root/usr/share/{doc,man,locale,info}
  container=$("${STORAGE[@]}" from scratch)
  "${STORAGE[@]}" add --quiet "$container" "$made/root" / >/dev/null
  "${STORAGE[@]}" config --cmd bash "$container"
  "${STORAGE[@]}" commit --quiet --rm "$container" "$BASE" >/dev/null
}

check_run() { # a container of the base can be started at all
  local container
  container=$("${STORAGE[@]}" from "$BASE" 2>"$made/why") || cannot "no container can be made: $(tail -1 "$made/why")"
  "${STORAGE[@]}" run --isolation chroot "$container" -- true 2>"$made/why" || cannot "no container runs: $(tail -1 "$made/why")"
  "${STORAGE[@]}" rm "$container" >/dev/null
}

lend_pip() { # writes a pip.conf like the host's and prints the volumes that it needs, one a line
  python3 - "$made/pip.conf" <<'PYTHON'
import pathlib, re, subprocess, sys
said = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
found = dict(re.findall(r"^(?:global|:env:)\.(cert|find-links|index-url|extra-index-url)='(.*)'$", said, re.MULTILINE))
if cert := found.get("cert"):
    print(f"{cert}:/run/host-certificates.pem:ro")
    found["cert"] = "/run/host-certificates.pem"
words = " ".join(v for k, v in found.items() if k != "cert").split()
folders = {pathlib.Path(w.removeprefix("file://")) for w in words}
for folder in sorted({f.parent if f.name == "simple" else f for f in folders if f.is_dir()}):
    print(f"{folder}:{folder}:ro")
lines = [f"{k} = {v}" for k, v in found.items()]
pathlib.Path(sys.argv[1]).write_text("\n".join(["[global]", *lines, ""]))
PYTHON
  echo "$made/pip.conf:/etc/pip.conf:ro"
}

build() { # one target
  local arguments=(--build-arg "BASE=$BASE" --build-arg "COMMIT=$(git rev-parse HEAD 2>/dev/null || echo unknown)") one
  for one in ${BUILD_ARGS:-}; do arguments+=(--build-arg "$one"); done
  for one in $(lend_pip); do arguments+=(--volume "$one"); done
  "${STORAGE[@]}" bud --isolation chroot --format docker --layers --file deploy/Dockerfile --target "$1" \
    "${arguments[@]}" --tag "$NAME-$1" . >"$made/build" 2>&1 || { tail -40 "$made/build" >&2; exit 1; }
  echo "$NAME-$1 $("${STORAGE[@]}" images --format '{{.Size}}' "$NAME-$1"), in ${SECONDS} s"
}

check_host
make_base
check_run
for target in "${@:-serve}"; do build "$target"; done
