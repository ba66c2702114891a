#!/usr/bin/env bash
# Fifty kills of a whole map, each resumed, a hundred maps on disks that fill, two hundred runs of a pool whose workers are
# killed, two hundred requests to stop a program at random moments, a hundred starts of which processes are killed, a
# million random histories of the farm with seeds that no one has tried, a hundred runs of the shared counter, and a
# thousand random programs over shared objects for each number of ranks; and each public header compiled alone, and all
# that runs without MPI under the sanitizers. As root also what a new user does on a fresh Debian 12 and 13.
# KILLS=N, DISKS=N, POOL_KILLS=N, STOPS=N, START_KILLS=N, HISTORIES=N, RUNS=N and INTERLEAVINGS=N take other numbers,
# SEED=N tries those of an earlier night again, DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

seed=${SEED:-$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')}

install_missing build test
build release -DECHELON_TESTS=ON
say "Histories of the farm from seed $seed on"
run env ECHELON_HISTORY_SEED="$seed" ECHELON_HISTORIES="${HISTORIES:-1000000}" "$project/build/release/tests/farm_histories_test"
say "map, killed at random moments and resumed"
run env ECHELON_KILLS="${KILLS:-50}" "$project/build/release/tests/cli_map_test" --gtest_filter='*killed_altogether*'
say "map on disks that fill at random moments, from seed $seed on"
run env ECHELON_DISK_SEED="$seed" ECHELON_DISK_HISTORIES="${DISKS:-100}" "$project/build/release/tests/cli_map_disk_test" \
  --gtest_filter='*fills_at_any_moment*'
say "Pools whose workers are killed and stopped at random moments, from seed $seed on"
run env ECHELON_KILLS="${POOL_KILLS:-200}" ECHELON_KILLS_SEED="$seed" "$project/build/release/tests/app_payloads_test"
say "A program of the library that is asked to stop at random moments"
run env ECHELON_STOP_MOMENTS="${STOPS:-200}" "$project/build/release/tests/app_stops_test" --gtest_filter='*any_other_moment*'
say "Starts of which processes are killed, from seed $seed on"
run env ECHELON_START_KILLS="${START_KILLS:-100}" ECHELON_HISTORY_SEED="$seed" "$project/build/release/tests/launch_start_kills_test"
say "A counter that four ranks increment 100000 times each, atomically and under a lock"
run env ECHELON_COUNTER_RUNS="${RUNS:-100}" "$project/build/release/tests/cli_counter_test" --gtest_filter='*hundred_thousand*'
say "Programs over shared objects from seed $seed on"
run env ECHELON_INTERLEAVING_SEED="$seed" ECHELON_INTERLEAVINGS="${INTERLEAVINGS:-1000}" \
  ctest --preset release --tests-regex '^shared\.interleavings'
build asan -- --target unit_tests
say "Tests without MPI under the sanitizers"
run ctest --preset asan
if [ "$(id -u)" = 0 ]; then
  for suite in bookworm trixie; do run "$project/tests/fresh.sh" "$suite"; done
else
  say "fresh.sh needs root: without a fresh Debian"
fi
