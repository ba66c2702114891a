#!/usr/bin/env bash
# Measures map against xargs, GNU parallel and itself without a journal, in turn, and prints medians beside what they are
# to be. Times are of whole runs, from the command to the prompt. Meant for two cores to which nobody else gives work;
# where there are more, start it by taskset -c 0,1. Takes some five minutes. ROUNDS=9 measures more often; DRY_RUN=1 only
# says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
tasks=5000
work=$project/build/bench/map
echelon=$project/build/release/echelon
map=("$echelon" -n 3 map --quiet)

install_missing build test python
build release -- --target echelon_program
run rm -rf "$work"
run mkdir -p "$work"
if [ "${DRY_RUN:-0}" != 1 ]; then
  seq "$tasks" >"$work/inputs"
  seq 1000000 >"$work/million"
  seq 200 | sed 's/.*/0.1/' >"$work/sleeps"
fi

# whole COMMAND...: a run's time, without what it prints.
whole() {
  local begin=$EPOCHREALTIME
  "$@" <"$inputs" >/dev/null
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "time_s %.6f\n", b - a }'
}
# with FILES OPTION...: `whole` for map, without the FILES of an earlier round.
with() {
  local files=$1
  shift
  rm -f "$work/$files"*
  whole "${map[@]}" "$@" true
}
# master_bytes COMMAND_LINES: what rank 0 takes at most for so many inputs.
master_bytes() {
  head -n "$1" "$work/million" | "${map[@]}" --journal "$work/long.journal" --force --json "$work/long.json" true
  "$python" -c 'import json, sys; print("rss_mib", json.load(open(sys.argv[1]))["ranks"][0]["max_rss_bytes"] / 2**20)' \
    "$work/long.json"
}

inputs=$work/inputs
say "Measuring: $rounds rounds"
for ((round = 0; round < rounds; ++round)); do
  take xargs whole xargs -P2 -n1 true
  take map whole "${map[@]}" true
  take journal with new.journal --journal "$work/new.journal"
  take output with new.out --output "$work/new.out"
  take parallel whole parallel -j2 true
  inputs=$work/sleeps take sleep whole "${map[@]}" sleep
  inputs=$work/sleeps take xargs_sleep whole xargs -P2 -n1 sleep
done
if [ "${MILLION:-1}" = 1 ]; then
  take one master_bytes 1
  take million master_bytes 1000000
fi
if [ "${DRY_RUN:-0}" = 1 ]; then exit 0; fi

# against NAME: how many times as fast as NAME map is.
against() { times "$(med "$1.time_s")" "$(med map.time_s)"; }
say "map on $(nproc) cores ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)), medians of $rounds"
head_line
line "$tasks times true, -n 3, with its start" "$(med map.time_s)" s
line "  xargs -P2 -n1" "$(med xargs.time_s)" s
line "  against it" "$(against xargs)" times ">= 1" 1.5
line "  GNU parallel -j2" "$(med parallel.time_s)" s
line "  against it" "$(against parallel)" times ">= 5" 10
line "with --journal, against without" "$(times "$(med map.time_s)" "$(med journal.time_s)")" times ">= 0.9" 0.97
line "with --output and its journal, against without" "$(times "$(med map.time_s)" "$(med output.time_s)")" times
line "200 times sleep 0.1" "$(med sleep.time_s)" s "<= 10.5" 10.2
line "  xargs -P2 -n1" "$(med xargs_sleep.time_s)" s
if [ "${MILLION:-1}" = 1 ]; then
  line "the master's memory for 1e6 inputs, above that for 1" \
    "$(awk -v a="$(med million.rss_mib)" -v b="$(med one.rss_mib)" 'BEGIN { print a - b }')" MiB "<= 64" 16
fi
