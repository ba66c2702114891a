#!/usr/bin/env bash
# Measures queues, pipes, locks and values against Python's queue and bare MPI, in turn, and prints medians beside what
# they are to be. Meant for two cores to which nobody else gives work; where there are more, start it by taskset -c 0,1.
# Takes a minute. ROUNDS=9 measures more often; DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
bench=$project/build/release/tests/bench
work=$project/build/bench/shared

install_missing build bench python
build release -DECHELON_BENCHMARKS=ON -- --target shared_bench mpi_pingpong mpi_fetch_add
run rm -rf "$work"
run mkdir -p "$work"

# As shared_bench -n starts its own ranks: shared memory, a core for each rank.
two_ranks=(mpirun -n 2 --host localhost:2 --mca plm isolated --mca pml ob1 --mca btl 'self,vader')
if [ "$(nproc)" = "$(nproc --all)" ]; then two_ranks+=(--bind-to core); else two_ranks+=(--bind-to none); fi

say "Measuring: $rounds rounds"
for ((round = 0; round < rounds; ++round)); do
  for producers in 1 2; do
    take "queue_$producers" "$bench/shared_bench" -n $((2 * producers)) queue "$producers" 2e7
    take "python_$producers" "$python" "$project/tests/bench/queue_peer.py" "$producers" 2e5
  done
  take pipe "$bench/shared_bench" -n 2 pipe 5e5
  take pingpong "${two_ranks[@]}" "$bench/mpi_pingpong" 500000
  take lock "$bench/shared_bench" -n 2 lock 2e6
  take value "$bench/shared_bench" -n 2 fetch_add 2e6
  take mpi "${two_ranks[@]}" "$bench/mpi_fetch_add" 2000000
  # As if each rank had a node of its own: by messages, which are shared memory's here.
  export ECHELON_RANKS_A_NODE=1
  take apart "$bench/shared_bench" -n 2 queue 1 2e6
  take apart "$bench/shared_bench" -n 2 pipe 1e4
  take apart "$bench/shared_bench" -n 2 fetch_add 1e4
  unset ECHELON_RANKS_A_NODE
done
if [ "${DRY_RUN:-0}" = 1 ]; then exit 0; fi

say "Shared objects on $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), medians of $rounds"
head_line
for producers in 1 2; do
  if [ "$producers" = 1 ]; then limits=(">= 15" 50); else limits=(">= 8" 25); fi
  line "queue of 8-byte items, $producers to $producers" "$(med "queue_$producers.items_a_second")" items/s
  line "  multiprocessing.Queue" "$(med "python_$producers.items_a_second")" items/s
  line "  against it" "$(times "$(med "queue_$producers.items_a_second")" "$(med "python_$producers.items_a_second")")" \
    times "${limits[@]}"
done
line "pipe, a round trip" "$(med pipe.pipe_us)" us
line "  a round trip of bare MPI" "$(med pingpong.pingpong_us)" us
line "  against it" "$(times "$(med pipe.pipe_us)" "$(med pingpong.pingpong_us)")" times "<= 4" 2
line "lock and unlock, nobody else wants it" "$(med lock.lock_us)" us "<= 5" 1
line "fetch_add on another rank's value" "$(med value.fetch_add_us)" us
line "  MPI_Fetch_and_op and MPI_Win_flush" "$(med mpi.mpi_fetch_add_us)" us
line "  against it" "$(times "$(med value.fetch_add_us)" "$(med mpi.mpi_fetch_add_us)")" times "<= 1.5" 1.1
line "by messages, as between nodes: queue, 1 to 1" "$(med apart.items_a_second)" items/s
line "  pipe, a round trip" "$(med apart.pipe_us)" us
line "  fetch_add" "$(med apart.fetch_add_us)" us
