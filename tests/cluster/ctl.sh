#!/usr/bin/env bash
# The cluster's first process, which up.sh starts in new namespaces: makes the network, runs SLURM's controller, starts
# the nodes. up.sh's open files: 7 and 8 are the folders in /proc of the process with which the cluster ends, and of up.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes=(n1 n2 n3 n4)
lives() { [ -e "/proc/self/fd/$1/stat" ]; }

cd "$1" # the mounts below may hide its name
read -r pid _ </proc/self/stat # as the machine counts: this is still its /proc
echo "$pid" >pid
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir -p /run/nodes /run/slurm/state /run/munge
cp -a /etc /run/etc # of the cluster's own, so that files in it can be changed
mount --bind /run/etc /etc
mkdir -p /etc/slurm

show_logs() {
  tail -n 20 /run/slurm/slurmctld.log
  for node in "${nodes[@]}"; do
    tail -n 20 "/run/nodes/$node.log" "/proc/$(cat "/run/nodes/$node")/root/run/slurm/slurmd.log"
  done
}
trap show_logs EXIT

{
  echo "127.0.0.1 localhost"
  echo "10.77.0.254 ctl"
  for node in "${nodes[@]}"; do echo "10.77.0.${node#n} $node"; done
} >/etc/hosts

# Open MPI's own files belong to a node as well: /tmp is one for all, as a cluster's shared file system is. Eight ranks on
# the few CPUs of this machine must not spin.
defaults=/etc/openmpi/openmpi-mca-params.conf
[ ! -e $defaults ] || printf '\norte_tmpdir_base = /run\nmpi_yield_when_idle = 1\n' >>$defaults

# As on most clusters, ranks are bound, where there are the CPUs of one node.
binding=task/affinity
[ "$(nproc)" -ge 2 ] || binding=task/none
# TmpFS, where PMIx keeps its files, must be a node's own. Jobs start, and are killed after they were cancelled, sooner than
# by default.
cat >/etc/slurm/slurm.conf <<END
ClusterName=echelon
SlurmctldHost=ctl(10.77.0.254)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/run/slurm/state
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmctldLogFile=/run/slurm/slurmctld.log
SlurmdSpoolDir=/run/slurm/spool
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmdLogFile=/run/slurm/slurmd.log
TmpFS=/run/slurm/tmp
ProctrackType=proctrack/pgid
TaskPlugin=$binding
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=pmix
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
KillWait=3
NodeName=n[1-4] NodeAddr=10.77.0.[1-4] CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END

hostname ctl
ip link set lo up
ip link add bridge type bridge
ip address add 10.77.0.254/24 dev bridge
ip link set bridge up

(umask 077 && head -c 128 /dev/urandom >/etc/slurm/munge.key)
munged --key-file=/etc/slurm/munge.key --log-file=/run/munge/log --seed-file=/run/munge/seed
slurmctld
for node in "${nodes[@]}"; do "$here/node.sh" "$node"; done
until [ "$(sinfo --noheader --states=idle --format=%D)" = ${#nodes[@]} ]; do
  lives 8 || exit 1
  sleep 0.1
done
touch up
exec 8<&-

# As the first process it has to take leave of others' children, which bash does while it waits.
trap - EXIT
while lives 7; do sleep 1; done
