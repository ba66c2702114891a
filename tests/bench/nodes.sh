#!/usr/bin/env bash
# Measures what giving out work between nodes takes, in messages and time: two nodes of two ranks each, as
# ECHELON_RANKS_A_NODE has it, which talk by TCP over this machine's loopback. BEFORE=PROGRAM measures another build of
# echelon in turn. Takes a minute. ROUNDS=9 measures more often; RANKS=8 A_NODE=4 is another shape; DRY_RUN=1 only says
# what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
ranks=${RANKS:-4}
bench=$project/build/release/tests/bench
work=$project/build/bench/nodes
export ECHELON_RANKS_A_NODE=${A_NODE:-2}

install_missing build bench python
build release -DECHELON_BENCHMARKS=ON -- --target echelon_program pool_bench
run rm -rf "$work"
run mkdir -p "$work"

start=(mpirun -n "$ranks" --host "localhost:$ranks" --bind-to none --mca plm isolated --mca pml ob1 --mca btl 'self,tcp'
       --mca btl_tcp_if_include lo)
if [ "$(nproc)" -lt "$ranks" ]; then start+=(--mca mpi_yield_when_idle 1); fi

# pi PROGRAM OPTIONS...: seconds, and messages between nodes a chunk.
pi() {
  "${start[@]}" "$@" --quiet --json "$work/record" >/dev/null 2>&1 || return
  "$python" - "$work/record" <<'PYTHON'
import json, sys
record = json.load(open(sys.argv[1]))
ranks = record["ranks"]
messages = sum(rank["between_nodes_messages"] for rank in ranks)
print("time_s", record["result"]["time_s"])
print("messages", messages)
print("messages_a_chunk", messages / sum(rank["tasks"] for rank in ranks))
PYTHON
}

say "Measuring: $rounds rounds"
builds=(now)
programs=("$project/build/release/echelon")
if [ -n "${BEFORE:-}" ]; then
  builds+=(before)
  programs+=("$BEFORE")
fi
for ((round = 0; round < rounds; ++round)); do
  for ((i = 0; i < ${#builds[@]}; ++i)); do
    take "default_${builds[i]}" pi "${programs[i]}" pi --points 1e10 --schedule dynamic
    take "block_${builds[i]}" pi "${programs[i]}" pi --points 2e9 --schedule dynamic --chunk 65536
    take "guided_${builds[i]}" pi "${programs[i]}" pi --points 1e10 --schedule guided
  done
  take pool_1 "${start[@]}" "$bench/pool_bench" noop 3e5 1
  take pool_default "${start[@]}" "$bench/pool_bench" noop 1e7 0
done
if [ "${DRY_RUN:-0}" = 1 ]; then exit 0; fi

say "$ranks ranks, $ECHELON_RANKS_A_NODE a node, on $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), medians of $rounds"
head_line
for what in "default_:pi, dynamic, 128 chunks a rank" "block_:pi, dynamic, a block a chunk" "guided_:pi, guided"; do
  for build in "${builds[@]}"; do
    line "${what#*:}, $build" "$(med "${what%%:*}$build.time_s")" s
    line "  messages between nodes" "$(med "${what%%:*}$build.messages")" ""
    line "  a chunk" "$(med "${what%%:*}$build.messages_a_chunk")" ""
  done
done
for what in "1:pool, no-op tasks, one a message" "default:pool, no-op tasks, default chunks"; do
  line "${what#*:}" "$(med "pool_${what%%:*}.tasks_a_second")" tasks/s
  line "  messages between nodes a task" "$(med "pool_${what%%:*}.between_nodes_messages_a_task")" ""
  line "  the master's CPU a task" "$(med "pool_${what%%:*}.master_ns_a_task")" ns
done
