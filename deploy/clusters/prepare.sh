#!/usr/bin/env bash
# Makes what every node of a cluster is given, on the machine that starts it: Ray's token, a certificate authority and
# the environment of jobs. What is there stays. Everything is readable by its owner only.
#     bash deploy/clusters/prepare.sh [FOLDER]
set -euo pipefail
umask 077
folder="${1:-$HOME/.config/ray-ai-workbench/cluster}"
mkdir -p "$folder/ca"
[ -s "$folder/ray_token" ] || openssl rand -hex 32 >"$folder/ray_token"
if [ ! -s "$folder/ca/ca.crt" ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=ray-ai-workbench" \
    -keyout "$folder/ca/ca.key" -out "$folder/ca/ca.crt" 2>/dev/null
fi
[ -e "$folder/environment" ] || cat >"$folder/environment" <<'ENVIRONMENT'
# KEY=VALUE for Ray and the jobs on every node. A store and a journal that all nodes share are needed.
WORKBENCH_STORE=
WORKBENCH_JOURNAL=
# Where offline runs of W&B are written (tracker=offline), for jobs that `workloads.submit` has not sent.
#WORKBENCH_WANDB=
# The keys of `serve/README.md`, the same on all nodes: 64 hex digits each (openssl rand -hex 32). The endpoint's key,
# the last of them, may be any text of 32 characters or more.
#WORKBENCH_SIGNING_KEY=
#WORKBENCH_PSEUDONYM_KEY=
#WORKBENCH_API_KEY=
# A Redis in which the head keeps what it knows: a new head then goes on where the lost one was.
#WORKBENCH_GCS_REDIS=redis.internal:6379
#WORKBENCH_GCS_REDIS_PASSWORD=
ENVIRONMENT
echo "$folder is ready: fill in $folder/environment, then run ray up."
echo "To talk to the cluster: export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$folder/ray_token"
