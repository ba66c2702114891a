#!/usr/bin/env bash
# Ends the cluster that up.sh has brought up, with everything in it. Fine where none is up.
set -euo pipefail
cluster=${ECHELON_CLUSTER:-/run/echelon-cluster}
[ -e "$cluster" ] || exit 0
exec 9<"$cluster"
if ! flock --nonblock 9; then # or it is not up, and its first process is another's by now
  kill -KILL "$(cat "$cluster/pid")"
  flock --timeout 30 9 || { echo "down.sh: processes of $cluster do not end" >&2; exit 1; }
fi
rm -rf "$cluster"
