#!/usr/bin/env bash
# Starts JupyterLab on the head, on loopback and behind a token, attached to the cluster.
#     ssh -L 8888:127.0.0.1:8888 HEAD, then http://127.0.0.1:8888 with the token in HEAD:~/ray-node/jupyter_token
set -euo pipefail
umask 077
node="$HOME/ray-node"
port="${WORKBENCH_JUPYTER_PORT:-8888}"
command -v jupyter >/dev/null || { echo "JupyterLab is not installed: no notebooks on this head."; exit 0; }
[ -s "$node/jupyter_token" ] || openssl rand -hex 32 >"$node/jupyter_token"
pid="$(cat "$node/jupyter_pid" 2>/dev/null || true)"
if [ -n "$pid" ] && grep -qs jupyter "/proc/$pid/cmdline"; then
  kill "$pid"
  for _ in $(seq 60); do [ -e "/proc/$pid" ] || break; sleep 0.5; done # it holds the port until it has ended
fi
set -a
# shellcheck source=/dev/null
. "$node/given/environment"
set +a
export RAY_ADDRESS="127.0.0.1:${WORKBENCH_RAY_PORT:-6379}"
export RAY_API_SERVER_ADDRESS="http://127.0.0.1:${WORKBENCH_DASHBOARD_PORT:-8265}" # where notebooks send their jobs
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$node/given/ray_token"
if [ "${WORKBENCH_TLS:-1}" = 1 ]; then
  export RAY_USE_TLS=1 RAY_TLS_SERVER_CERT="$node/tls/node.crt" RAY_TLS_SERVER_KEY="$node/tls/node.key"
  export RAY_TLS_CA_CERT="$node/given/ca/ca.crt"
fi
JUPYTER_TOKEN="$(cat "$node/jupyter_token")"
export JUPYTER_TOKEN # not on the command line, which every user of the machine can read
folder="$(cd "$(dirname "$0")/../.." && pwd)"
nohup setsid jupyter lab --ip=127.0.0.1 --port="$port" --ServerApp.port_retries=0 --no-browser --allow-root \
  --ServerApp.root_dir="$folder" >"$node/jupyter.log" 2>&1 </dev/null &
echo $! >"$node/jupyter_pid"
sleep 3
[ -e "/proc/$(cat "$node/jupyter_pid")" ] || { echo "JupyterLab did not start: see $node/jupyter.log"; exit 1; }
echo "JupyterLab listens on 127.0.0.1:$port; its token: $node/jupyter_token"
