#!/usr/bin/env bash
# Installs what is missing, builds Echelon, and runs every test: once as users have it, and those without MPI of what has
# memory, files, threads or processes of its own once more under the address and undefined-behaviour sanitizers, as
# nightly.sh does with all. DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# run_tests PRESET [ctest option...]
run_tests() {
  say "Running the tests of the $1 preset"
  # One more than there are processors, as some tests wait more than they work.
  run ctest --preset "$@" --parallel "$(($(nproc) + 1))" | tee "$log"
  # In CI a test that could not run is a test that failed.
  if [ "${CI:-}" = true ] && grep -q '(Skipped)' "$log"; then die "tests were skipped, which CI does not allow"; fi
}

install_missing build test
build release -DECHELON_TESTS=ON
run_tests release
build asan -- --target sanitized_tests
run_tests asan --label-regex sanitized
[ "${DRY_RUN:-0}" = 1 ] || say "All tests passed"
