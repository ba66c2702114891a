#!/usr/bin/env bash
# Starts a node, ending it first where it runs: node.sh NODE, on ctl. The node's processes, mounts (with its own /dev/shm
# and /run), host name and network are its own, and end with its first process, whose number on ctl is in /run/nodes/NODE.
set -euo pipefail
node=$1

if [ $$ != 1 ]; then
  if [ -e "/run/nodes/$node" ]; then
    first=$(cat "/run/nodes/$node")
    rm "/run/nodes/$node"
    kill -KILL "$first" 2>/dev/null || true
    while kill -0 "$first" 2>/dev/null; do sleep 0.05; done
    while ip link show "$node" >/dev/null 2>&1; do sleep 0.05; done # goes with the other end
    scontrol update NodeName="$node" State=DOWN Reason=off # else its jobs would be waited for, for a minute or more
  fi
  setsid unshare --pid --fork --kill-child --mount --propagation unchanged --uts --ipc --net "$0" "$node" </dev/null \
    >"/run/nodes/$node.log" 2>&1 &
  until [ -s "/run/nodes/$node" ]; do sleep 0.05; done
  ip link add "$node" type veth peer name eth0 netns "$(cat "/run/nodes/$node")"
  ip link set "$node" master bridge up
  exit
fi

read -r pid _ </proc/self/stat # as ctl counts
echo "$pid" >"/run/nodes/$node"
hostname "$node"
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/munge /run/slurm/spool /run/slurm/tmp
until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
ip link set lo up
ip address add "10.77.0.${node#n}/24" dev eth0
ip link set eth0 up
munged --key-file=/etc/slurm/munge.key --log-file=/run/munge/log --seed-file=/run/munge/seed
slurmd -N "$node"
while :; do sleep infinity; done # as ctl.sh
