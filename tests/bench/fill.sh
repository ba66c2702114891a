#!/usr/bin/env bash
# Measures fill against NumPy, in turn, and prints medians of ratios within a round beside what they are to be. Takes two
# minutes on two quiet cores, and 16 GB of memory besides. ROUNDS=9 measures more often; SIZE=100000000 is for less memory;
# FOLDER=/scratch measures a disk; DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
size=${SIZE:-1000000000}
bin=$project/build/release
peers=$project/tests/bench/fill_peers.py
work=$project/build/bench/fill

install_missing build bench test
build release -DECHELON_BENCHMARKS=ON -- --target echelon_program mpi_empty
run rm -rf "$work"
run mkdir -p "$work"
if [ "${DRY_RUN:-0}" = 1 ]; then
  run "$bin/echelon" fill --size "$size" --out "${FOLDER:-/dev/shm}/x.npy" --json -
  run "$python" "$peers" "$size" "${FOLDER:-/dev/shm}/y.npy"
  exit 0
fi
folder=$(mktemp -d "${FOLDER:-/dev/shm}/echelon_bench.XXXXXX")
trap 'rm -rf "$folder"' EXIT

# fill_s OPTION...: seconds of one run, without startup.
fill_s() {
  "$bin/echelon" fill --size "$size" --out "$folder/x.npy" --json - "$@" | sed -n 's/.*"time_s": \([0-9.e-]*\).*/\1/p'
  rm -f "$folder/x.npy"
}
# memory COMMAND...: the most that it had, in bytes. Without a launcher, as echelon starts MPI then.
memory() {
  OMPI_MCA_ess_singleton_isolated=1 OMPI_MCA_pml=ob1 OMPI_MCA_btl=self "$python" "$peers" memory "$@" |
    sed -n 's/^memory_bytes //p'
}

# A virtual machine gets memory from its host when it touches it for the first time, which takes far longer than later.
say "Warming up"
fill_s >"$work/ignored"
"$python" "$peers" "$size" "$folder/y.npy" >"$work/ignored"

say "Measuring: $rounds rounds"
for ((round = 0; round < rounds; ++round)); do
  one=$(fill_s --threads 1)
  two=$(fill_s)
  "$python" "$peers" "$size" "$folder/y.npy" >"$work/numpy"
  random=$(sed -n 's/^random_s //p' "$work/numpy")
  save=$(sed -n 's/^save_s //p' "$work/numpy")
  printf 'round %d: fill %s s, with one thread %s s; NumPy: random %s s, save %s s\n' "$round" "$two" "$one" "$random" "$save"
  awk -v work="$work" -v one="$one" -v two="$two" -v random="$random" -v save="$save" 'BEGIN {
    print two >>(work "/two"); print one >>(work "/one"); print random >>(work "/random")
    print random / two >>(work "/random_two"); print random / one >>(work "/random_one")
    print (random + save) / two >>(work "/saved_two"); print (random + save) / one >>(work "/saved_one")
  }'
done
empty=$(memory "$bin/tests/bench/mpi_empty")
filling=$(memory "$bin/echelon" fill --size "$size" --out "$folder/x.npy" --quiet)

med() { median <"$work/$1"; }
# line WHAT NUMBER [AT_LEAST_OR_MOST DREAM]
line() { awk -v w="$1" -v n="$2" -v l="${3:-}" -v d="${4:-}" 'BEGIN { printf "%-72s %8.3g %8s %6s\n", w, n, l, d }'; }

say "$size doubles on $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), medians of $rounds"
printf '%-72s %8s %8s %6s\n' "" measured required dream
line "seconds of fill, one rank" "$(med two)"
line "seconds of fill, one rank with one thread" "$(med one)"
line "seconds of numpy.random.Generator.random into memory" "$(med random)"
line "times as fast as that, writing the file" "$(med random_two)" ">= 1.5" 4
line "  with one thread" "$(med random_one)"
line "times as fast as random and numpy.save into the same folder" "$(med saved_two)"
line "  with one thread" "$(med saved_one)"
line "memory beyond an empty MPI rank, MiB" \
  "$(awk -v a="$filling" -v b="$empty" 'BEGIN { print (a - b) / 1048576 }')" "<= 64" 32
