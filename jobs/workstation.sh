#!/usr/bin/env bash
# From a fresh machine to a scaling study: installs what is missing, builds Echelon, and runs pi on 1, 2, ... ranks up to
# the cores that this process may use. POINTS=1e10 takes another size, REPEAT=20 more runs of each number of ranks,
# DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

points=${POINTS:-5e9}
repeat=${REPEAT:-7}
results=$project/build/study-$(date +%Y%m%d-%H%M%S)
echelon=$project/build/release/echelon

install_missing build

# Without the tests there is less to build; where they are configured already, they stay.
tests=()
[ -e "$project/build/release/CMakeCache.txt" ] || tests=(-DECHELON_TESTS=OFF)
build release "${tests[@]}" -- --target echelon_program

# All counts while they are few, then in doublings; the last is all cores.
rank_counts() {
  local ranks=1
  while [ "$ranks" -lt "$1" ]; do
    echo "$ranks"
    if [ "$ranks" -lt 4 ]; then ranks=$((ranks + 1)); else ranks=$((ranks * 2)); fi
  done
  echo "$1"
}

say "Where this runs"
run "$echelon" info
cores=$(nproc)
if [ "${DRY_RUN:-0}" != 1 ]; then
  cores=$("$echelon" info --json - | sed -n 's/.*"usable_cores": \([0-9]*\).*/\1/p')
fi

ranks=$(rank_counts "$cores" | paste -sd ,)
say "How pi at $points points, a division a point, scales over $ranks ranks"
run "$echelon" study --ranks "$ranks" --repeat "$repeat" --out "$results" -- pi --points "$points" --kernel direct
