#!/usr/bin/env bash
# Brings up a SLURM cluster on this machine: four nodes of two CPUs, n1 to n4, and ctl, from where jobs are submitted.
# All of it lives in namespaces of its own, of processes, mounts, networks and host names: the machine sees none of its
# mounts and addresses, several may be up at once, and when its first process ends, so does everything.
# ECHELON_CLUSTER=DIR names another cluster than /run/echelon-cluster. With --with-parent it ends with the process that
# started this script. Status 77: this machine cannot, with the reason.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cluster=${ECHELON_CLUSTER:-/run/echelon-cluster}

cannot() {
  printf 'no cluster here: %s\n' "$*" >&2
  exit 77
}
die() {
  printf 'up.sh: %s\n' "$*" >&2
  exit 1
}

[ "$(id -u)" = 0 ] || cannot "only root may make one"
for command in slurmctld slurmd srun munged ip unshare nsenter flock; do
  command -v "$command" >/dev/null || cannot "$command is missing (Debian: slurmctld slurmd slurm-client munge iproute2)"
done
# In a chroot nobody may make all mounts private, so they have to be.
propagation=private
if ! unshare --mount true 2>/dev/null; then
  ! grep -q ' shared:' /proc/1/mountinfo || cannot "this is a chroot of shared mounts; unshare --mount before chroot"
  propagation=unchanged
fi
spaces=(--pid --fork --kill-child --mount --propagation "$propagation" --uts --net)
unshare "${spaces[@]}" sh -c 'mount -t proc proc /proc && mount -t tmpfs tmpfs /dev/shm' 2>/dev/null ||
  cannot "namespaces of processes, mounts and networks are not permitted"
unshare --net sh -c 'ip link add bridge type bridge && ip link add n1 type veth peer name eth0' 2>/dev/null ||
  cannot "network bridges and pairs of interfaces are not permitted"

# Who holds the lock on the folder is up, coming up or going down: the cluster's processes inherit it.
while :; do
  mkdir -p "$cluster"
  exec 9<"$cluster"
  if ! flock --nonblock 9; then
    [ ! -e "$cluster/up" ] || die "the cluster is up already; $here/down.sh ends it"
    flock --timeout 90 9 || die "$cluster is locked by another process"
  fi
  [ "$cluster" -ef /proc/self/fd/9 ] && break # else down.sh took the folder away meanwhile
done
rm -f "$cluster"/{pid,up,log}

# Folders in /proc tell whether a process lives, from another namespace too, and for no other process of the same number.
exec 8<"/proc/$$"
exec 7<"/proc/1"
[ "${1:-}" != --with-parent ] || exec 7<"/proc/$PPID"
trap 'kill -KILL "$first" 2>/dev/null || true; rm -rf "$cluster"' EXIT
trap 'exit 1' HUP INT TERM
setsid unshare "${spaces[@]}" "$here/ctl.sh" "$cluster" </dev/null >"$cluster/log" 2>&1 &
first=$!
disown # no word from the shell of how it ended
for ((tenths = 0; tenths < 600; ++tenths)); do
  [ ! -e "$cluster/up" ] || break
  kill -0 "$first" 2>/dev/null || break
  sleep 0.1
done
if [ ! -e "$cluster/up" ]; then
  cat "$cluster/log" >&2
  die "the cluster did not come up"
fi
trap - EXIT

echo "Four nodes of two CPUs are up, n1 to n4, and ctl, from where jobs are submitted. Type"
[ "$cluster" = /run/echelon-cluster ] || echo "  export ECHELON_CLUSTER=$cluster"
cat <<END
  on=$here/on.sh
  \$on ctl sinfo
  \$on ctl srun --mpi=pmix -N 4 -n 8 hostname
  \$on ctl sbatch job.sbatch
  \$on n2 bash                   # on a node
  \$on ctl ip link set n2 down   # takes it off the network; up: brings it back
  \$on ctl $here/node.sh n2   # switches it off and on
  $here/down.sh   # ends everything
END
