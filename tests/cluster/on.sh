#!/usr/bin/env bash
# Runs a command on a node of the cluster that up.sh has brought up: on.sh ctl|n1|n2|n3|n4 COMMAND [ARGUMENT...]
set -euo pipefail
cluster=${ECHELON_CLUSTER:-/run/echelon-cluster}
[ $# -ge 2 ] || { sed -n 2p "$0" >&2; exit 2; }
first=$(cat "$cluster/pid" 2>/dev/null || true)
# Else the number is an older cluster's.
if [ ! -e "$cluster/up" ] || [ ! "/proc/${first:-none}/fd/9" -ef "$cluster" ]; then
  echo "on.sh: no cluster is up; $(dirname "$0")/up.sh brings one up" >&2
  exit 1
fi
node=$1
shift
# Everyone is root there, which Open MPI refuses unless told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
command=(env --chdir="$PWD" "$@")
if [ "$node" != ctl ]; then
  # shellcheck disable=SC2016 # read on ctl
  enter='read -r pid <"/run/nodes/$0" && exec nsenter --target "$pid" --pid --mount --uts --ipc --net --root "$@"'
  command=(env --chdir=/ bash -c "$enter" "$node" "${command[@]}")
fi
exec nsenter --target "$first" --pid --mount --uts --net --root "${command[@]}"
