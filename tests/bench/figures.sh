# shellcheck shell=bash
# For the scripts of this folder to source: medians and ratios.

# median: of numbers on standard input.
median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }
# ratio WHAT A B
ratio() { awk -v what="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%-64s %8.3f\n", what, a / b }'; }
