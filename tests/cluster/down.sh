#!/usr/bin/env bash
# Ends the cluster that up.sh has brought up, with everything in it. Fine where none is up.
set -euo pipefail
cluster=${ECHELON_CLUSTER:-/run/echelon-cluster}
[ -e "$cluster" ] || exit 0
exec 9<"$cluster"
for ((tenths = 0; tenths < 300; ++tenths)); do
  if flock --nonblock 9; then
    rm -rf "$cluster"
    exit
  fi
  first=$(cat "$cluster/pid" 2>/dev/null || true)
  # The number may be an older cluster's, and another process's by now.
  [ ! "/proc/${first:-none}/fd/9" -ef "$cluster" ] || kill -KILL "$first"
  sleep 0.1
done
echo "down.sh: processes of $cluster do not end" >&2
exit 1
