#!/usr/bin/env bash
# From a fresh machine to a scaling table: installs what is missing, builds Echelon, and runs pi on 1, 2, ... ranks up to
# the cores that this process may use. POINTS=1e10 takes another size, DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

points=${POINTS:-5e9}
results=$project/build/workstation
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

say "pi at $points points, a division a point, on up to $cores ranks: median of 3 repetitions each"
run mkdir -p "$results"
run rm -f "$results"/pi-*.json
for ranks in $(rank_counts "$cores"); do
  # The last run shows all its ranks, the others just their pi.
  quiet=(--quiet)
  [ "$ranks" != "$cores" ] || quiet=()
  run "$echelon" -n "$ranks" pi --points "$points" --kernel direct --repeat 3 "${quiet[@]}" \
    --json "$results/pi-$ranks.json"
done

say "How it scales"
if [ "${DRY_RUN:-0}" = 1 ]; then
  run "$echelon" report "$results/pi-*.json"
else
  run "$echelon" report "$results"/pi-*.json
fi
