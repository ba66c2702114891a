#!/usr/bin/env bash
# Measures the pool against Python's pools, bare MPI and the ideal, in turn, and prints medians beside what they are to
# be. Meant for two cores to which nobody else gives work; where there are more, start it by taskset -c 0,1. Takes three
# minutes. ROUNDS=9 measures more often; PAYLOAD_GIB=1 is for less than 16 GiB of memory; DRY_RUN=1 only says what
# would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
payload_gib=${PAYLOAD_GIB:-3}
bench=$project/build/release/tests/bench
peers=$project/tests/bench/pool_peers.py
work=$project/build/bench/pool
export OMP_WAIT_POLICY=passive

install_missing build bench python
build release -DECHELON_BENCHMARKS=ON -- --target pool_bench mpi_pingpong
run rm -rf "$work"
run mkdir -p "$work"

# As pool_bench -n starts its own ranks: shared memory, a core for each rank where they are enough, and where they are
# not, ranks that wait yield.
here=(--mca plm isolated --mca pml ob1 --mca btl 'self,vader')
two_ranks=(mpirun -n 2 --host localhost:2 "${here[@]}")
three_ranks=(mpirun -n 3 --host localhost:3 "${here[@]}" --bind-to none)
if [ "$(nproc)" = "$(nproc --all)" ]; then two_ranks+=(--bind-to core); else two_ranks+=(--bind-to none); fi
if [ "$(nproc)" -lt 3 ]; then three_ranks+=(--mca mpi_yield_when_idle 1); fi

say "Measuring: $rounds rounds"
for ((round = 0; round < rounds; ++round)); do
  take chunk1 "$bench/pool_bench" -n 3 noop 3e6 1
  take mpi4py "${three_ranks[@]}" "$python" -m mpi4py.futures "$peers" mpi4py 20000 1
  take chunks "$bench/pool_bench" -n 3 noop 3e7 0
  take multiprocessing "$python" "$peers" multiprocessing 2000000 0
  take apply "$bench/pool_bench" -n 2 apply 2e5
  take pingpong "${two_ranks[@]}" "$bench/mpi_pingpong" 200000
  take idle "$bench/pool_bench" -n 3 idle 10
  for workers in 2 4; do
    for order in last random; do
      take "skew_${order}_$workers" "$bench/pool_bench" -n $((workers + 1)) skew "$order" 6
    done
  done
done
take memory "$bench/pool_bench" -n 2 memory 1e7
take payload "$bench/pool_bench" -n 2 payload "$payload_gib"
if [ "${DRY_RUN:-0}" = 1 ]; then exit 0; fi

say "The pool on $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), medians of $rounds"
head_line
line "no-op tasks, chunk = 1, 3 ranks" "$(med chunk1.tasks_a_second)" tasks/s
line "  the master's CPU a task" "$(med chunk1.master_ns_a_task)" ns
line "  mpi4py.futures, chunksize=1, 3 ranks" "$(med mpi4py.tasks_a_second)" tasks/s
line "  against it" "$(times "$(med chunk1.tasks_a_second)" "$(med mpi4py.tasks_a_second)")" times ">= 40" 100
line "no-op tasks, default chunks, 3 ranks" "$(med chunks.tasks_a_second)" tasks/s
line "  multiprocessing.Pool(2).map, default chunks" "$(med multiprocessing.tasks_a_second)" tasks/s
line "  against it" "$(times "$(med chunks.tasks_a_second)" "$(med multiprocessing.tasks_a_second)")" times ">= 2" 5
line "apply, 2 ranks" "$(med apply.apply_us)" us
line "  a round trip of bare MPI" "$(med pingpong.pingpong_us)" us
line "  against it" "$(times "$(med apply.apply_us)" "$(med pingpong.pingpong_us)")" times "<= 8" 3
line "CPU of 3 ranks while 2 sleep through tasks of 100 ms" "$(med idle.cpu_percent)" "% of one" "<= 5" 2
line "  mpirun's" "$(med idle.mpirun_percent)" "% of one"
line "growth of the master over 10 million lazy tasks, imap" "$(med memory.growth_mib)" MiB "<= 64" 16
line "  at" "$(med memory.tasks_a_second)" tasks/s
for workers in 2 4; do
  for order in last random; do
    name=skew_${order}_$workers
    where="in random order"
    [ "$order" = random ] || where="the longest last"
    line "lognormal tasks, $where, $workers workers, to the ideal" "$(med "$name.to_ideal")" times "<= 1.15" 1.05
    line "  the best in this order, to the ideal" "$(med "$name.list_to_ideal")" times
    line "  to the best in this order" "$(med "$name.to_list")" times
  done
done
for what in argument result; do
  line "$payload_gib GiB as $what" "$(med "payload.${what}_gb_s")" GB/s works
  line "  the master's memory at most" "$(med "payload.${what}_master_times")" payloads
  line "  the worker's" "$(med "payload.${what}_worker_times")" payloads
done
