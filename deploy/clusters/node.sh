#!/usr/bin/env bash
# Starts Ray on this machine, behind a token and with TLS between nodes; a Ray that this script started before ends first.
#     node.sh head
#     node.sh worker HEAD_IP
# ~/ray-node/given    what prepare.sh made: ray_token, ca/, environment
# ~/ray-node          this node's own: certificate, what Ray spills and logs, pid; 0700
# WORKBENCH_TLS=0     no TLS between nodes: where the network encrypts already (WireGuard, a mesh)
# WORKBENCH_RAY_PORT  of the head (6379)
# WORKBENCH_RAY_OPTIONS  more options for `ray start`
set -euo pipefail
umask 077
role="${1:?head or worker}"
here="$(cd "$(dirname "$0")" && pwd)"
node="$HOME/ray-node"
given="$node/given"

fail() { echo "error: $*" >&2; exit 3; }

check() {
  [ "$role" = head ] || [ "$role" = worker ] || fail "$role is neither head nor worker."
  [ -s "$given/ray_token" ] || fail "$given/ray_token is missing. Run deploy/clusters/prepare.sh where ray up is run."
  chmod 700 "$node" "$given"
  chmod 600 "$given/ray_token" "$given/environment"
  mkdir -p "$node/spill" "$node/tls"
}

settings() {
  set -a
  # shellcheck source=/dev/null
  . "$given/environment"
  set +a
  # the same variables as on a laptop (HAProxy, shuffle, threads); what the environment has set stays
  local ours
  # shellcheck disable=SC2016
  ours="$(cd "$here/../.." && python -c 'from workbench import cluster
for name, value in cluster.ENVIRONMENT.items():
    print(f"export {name}=\"${{{name}:-{value}}}\"")')" || fail "this python cannot import workbench: PATH=~/venv/bin:\$PATH"
  eval "$ours"
  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$given/ray_token"
  if [ -n "${WORKBENCH_GCS_REDIS:-}" ] && [ "$role" = head ]; then
    export RAY_REDIS_ADDRESS="$WORKBENCH_GCS_REDIS" RAY_external_storage_namespace=ray-ai-workbench
  fi
}

certificate() { # of this node, by the cluster's authority; both sides of every gRPC connection show one
  [ "${WORKBENCH_TLS:-1}" = 1 ] || return 0
  local names="DNS:localhost,IP:127.0.0.1" address
  for address in $(hostname -I); do names+=",IP:$address"; done
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$(hostname)" \
    -keyout "$node/tls/node.key" -out "$node/tls/node.csr" 2>/dev/null
  openssl x509 -req -in "$node/tls/node.csr" -CA "$given/ca/ca.crt" -CAkey "$given/ca/ca.key" -days 365 \
    -extfile <(echo "subjectAltName=$names") -set_serial "0x$(openssl rand -hex 16)" \
    -out "$node/tls/node.crt" 2>/dev/null
  export RAY_USE_TLS=1 RAY_TLS_SERVER_CERT="$node/tls/node.crt" RAY_TLS_SERVER_KEY="$node/tls/node.key"
  export RAY_TLS_CA_CERT="$given/ca/ca.crt"
}

end_own() { # by its session: `ray stop` would end every Ray on the machine
  local pid one waited=0
  pid="$(cat "$node/pid" 2>/dev/null || true)"
  [ -n "$pid" ] || return 0
  if grep -qs "ray" "/proc/$pid/cmdline"; then kill -TERM "$pid"; fi
  while [ -d "/proc/$pid" ] && [ "$waited" -lt 30 ]; do sleep 1; waited=$((waited + 1)); done
  for one in $(ps -o pid= -s "$pid"); do
    if grep -qs "ray" "/proc/$one/cmdline"; then kill -KILL "$one" 2>/dev/null || true; fi
  done
  rm -f "$node/pid"
}

options() {
  echo --block --disable-usage-stats "--object-spilling-directory=$node/spill"
  if [ "$role" = worker ]; then
    echo "--address=${1:?address of the head}:${WORKBENCH_RAY_PORT:-6379}"
    return
  fi
  echo --head "--port=${WORKBENCH_RAY_PORT:-6379}" --dashboard-host=127.0.0.1 "--temp-dir=$node/ray"
  [ ! -e "$HOME/ray_bootstrap_config.yaml" ] || echo "--autoscaling-config=$HOME/ray_bootstrap_config.yaml"
  [ -z "${WORKBENCH_GCS_REDIS_PASSWORD:-}" ] || echo "--redis-password=$WORKBENCH_GCS_REDIS_PASSWORD"
}

launch() { # returns when Ray runs, or fails when it has ended
  local all waited=0
  all="$(options "$@")"
  # shellcheck disable=SC2086
  nohup setsid ray start $all ${WORKBENCH_RAY_OPTIONS:-} >"$node/ray.log" 2>&1 </dev/null &
  echo $! >"$node/pid"
  until grep -qs "Ray runtime started" "$node/ray.log"; do
    kill -0 "$(cat "$node/pid")" 2>/dev/null || return 1
    [ "$waited" -lt 120 ] || fail "Ray did not start within 120 s. See $node/ray.log."
    sleep 1
    waited=$((waited + 1))
  done
}

start() { # Ray gives its own processes 30 s, which a busy machine may not: then once more
  local attempt
  ulimit -n 65536 2>/dev/null || true
  for attempt in 1 2 3; do
    if launch "$@"; then return 0; fi
    grep -qs "timed out during startup" "$node/ray.log" || break
    echo "Ray was not up in time (attempt $attempt of 3)." >&2
    end_own
  done
  fail "Ray did not start: $(tail -n 5 "$node/ray.log")"
}

shift
check
settings
certificate
end_own
start "$@"
echo "Ray runs as $role; its log: $node/ray.log"
