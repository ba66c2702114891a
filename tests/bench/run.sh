#!/usr/bin/env bash
# Measures Echelon against its rivals and against the hardware, side by side, and prints ratios of medians. Give it a quiet
# machine. The pool's figures are pool.sh's, fill's are fill.sh's. ROUNDS=9 repeats the whole runs more often; DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/setup.sh"
# shellcheck source=tests/bench/figures.sh
source "$project/tests/bench/figures.sh"

rounds=${ROUNDS:-5}
bin=$project/build/release
work=$project/build/bench
echelon=$bin/echelon

install_missing build bench
build release -DECHELON_BENCHMARKS=ON -- --target pi_kernels_bench mpi_empty echelon_program
run mkdir -p "$work"

say "Kernels on one core: medians of 9 repetitions in random order"
run "$bin/tests/bench/pi_kernels_bench" --benchmark_repetitions=9 --benchmark_enable_random_interleaving=true \
  --benchmark_report_aggregates_only=true --benchmark_min_time=0.2 --benchmark_out="$work/kernels.csv" \
  --benchmark_out_format=csv
if [ "${DRY_RUN:-0}" = 1 ]; then exit 0; fi

# points NAME: the median of a kernel's points a second.
points() { awk -F, -v name="\"$1_median\"" '$1 == name { print $NF }' "$work/kernels.csv"; }

say "Ratios on one core ($(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1))"
ratio "fused against the texts' formula in plain C++ (-O3)" "$(points fused)" "$(points text_plain)"
ratio "direct against the texts' formula in plain C++ (-O3)" "$(points direct)" "$(points text_plain)"
ratio "direct against the compiler's best loop (-Ofast, omp simd)" "$(points direct)" "$(points text_simd)"
division_limit=$(printf '%s\n' "$(points division_limit_32_bytes)" "$(points division_limit_widest)" | sort -g | tail -1)
ratio "direct against the core's division throughput" "$(points direct)" "$division_limit"
ratio "fused against the core's multiply-add throughput" "$(points fused)" "$(points fma_limit)"

# seconds COMMAND...: of a whole process.
seconds() {
  local begin=$EPOCHREALTIME
  "$@" >/dev/null
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.6f\n", b - a }'
}
# pi_seconds OPTION...: of one run of pi, without startup.
pi_seconds() {
  "$echelon" pi --kernel direct --points 1e10 "$@" --json - | sed -n 's/.*"time_s": \([0-9.e-]*\).*/\1/p'
}
med() { median <"$work/$1"; }

say "Whole runs: medians of $rounds, in turn"
rm -f "$work"/t.*
for ((round = 0; round < rounds; ++round)); do
  pi_seconds -n 1 >>"$work/t.one"
  pi_seconds -n 2 >>"$work/t.two"
  pi_seconds -n 2 --schedule dynamic >>"$work/t.dynamic"
  for ((short = 0; short < 3; ++short)); do
    seconds "$echelon" -n 2 pi --points 1e6 >>"$work/t.short"
    seconds mpirun -n 2 "$bin/tests/bench/mpi_empty" >>"$work/t.empty"
    seconds mpirun -n 2 --mca pml ob1 --mca btl self,vader "$bin/tests/bench/mpi_empty" >>"$work/t.empty_vader"
    seconds mpirun -n 2 "$echelon" pi --points 1e6 >>"$work/t.short_mpirun"
  done
done
printf 'pi at 1e10 points, direct: %s s on 1 rank, %s s on 2, %s s on 2 with dynamic\n' "$(med t.one)" "$(med t.two)" \
  "$(med t.dynamic)"
printf 'pi at 1e6 points on 2 ranks: %s s; an empty MPI program: %s s\n' "$(med t.short)" "$(med t.empty)"
ratio "efficiency of 2 ranks" "$(med t.one)" "$(awk -v t="$(med t.two)" 'BEGIN { print 2 * t }')"
ratio "time of dynamic against static" "$(med t.dynamic)" "$(med t.two)"
ratio "time of echelon -n 2 pi --points 1e6 against mpirun, empty" "$(med t.short)" "$(med t.empty)"
ratio "the same, mpirun told to use shared memory" "$(med t.short)" "$(med t.empty_vader)"
ratio "time of mpirun -n 2 echelon pi against mpirun, empty" "$(med t.short_mpirun)" "$(med t.empty)"
