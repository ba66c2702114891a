# shellcheck shell=bash
# For the scripts of this folder to source: medians, ratios, tables.

# median: of numbers on standard input.
median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
# ratio WHAT A B
ratio() { awk -v what="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%-64s %8.3f\n", what, a / b }'; }

# ---- for scripts that keep what they measure in files ----
# shellcheck disable=SC2154 # of setup.sh
work=$project/build/bench # unless a script takes another folder

# take NAME COMMAND...: adds its figures, a name and a number a line, to the files NAME.FIGURE.
take() {
  local name=$1 figure number
  shift
  if [ "${DRY_RUN:-0}" = 1 ]; then
    printf '+ %s\n' "$*"
    return
  fi
  "$@" >"$work/output" || die "this failed: $*"
  while read -r figure number; do printf '%s\n' "$number" >>"$work/$name.$figure"; done <"$work/output"
}
# med NAME.FIGURE: the median of what was taken.
med() { median <"$work/$1"; }
# A table of what was measured beside what it is to be: head_line, then line WHAT NUMBER UNIT [REQUIRED DREAM].
head_line() { printf '%-66s %9s %-9s %8s %8s\n' "" measured "" required dream; }
line() { awk -v w="$1" -v n="$2" -v u="$3" -v l="${4:-}" -v d="${5:-}" 'BEGIN { printf "%-66s %9.4g %-9s %8s %8s\n", w, n, u, l, d }'; }
times() { awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'; }
