#!/usr/bin/env bash
# A scaling study as several jobs, by the number of nodes that its points need, so that no large allocation waits while
# small points run. Says what that costs before it asks, and at the end a small job puts the results together.
#
#   submit_study.sh --ranks 1,2,4,...,256 [--ranks-per-node N] [--buckets 1,4,16,64] [--time 00:30:00] [--guess SECONDS]
#                   [OPTIONS OF echelon study] -- COMMAND
#
# A point goes to the first bucket that is as large; a bucket's job has as many nodes as its largest point. --guess is a
# run's time on one rank. RESULTS=DIR keeps all in DIR [study]; given again, the same command goes on with what is there.
# YES=1 does not ask, DRY_RUN=1 submits nothing, SBATCH_PARTITION and SBATCH_ACCOUNT (systems/NAME.env) go on to sbatch.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for job.sh
script=$0
# shellcheck source=jobs/slurm/job.sh
source "$here/job.sh"
export LC_NUMERIC=C # awk and printf agree on what a number is
load_system # sets settings

ranks_list=
per_node=${ECHELON_RANKS_PER_NODE:-}
buckets=1,4,16,64,256,1024
limit=00:30:00
guess=
repeat=10
warmup=1
threads=1
weak=
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  case $1 in
    -h | --help)
      sed -n '2,/^[^#]/ s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
      exit
      ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    -*) ;;
    *) die "'$1' is not known; give options, then --, then the command" ;;
  esac
  [ $# -gt 1 ] || die "$1: give a value"
  case $1 in
    --ranks) ranks_list=$2 ;;
    --ranks-per-node) per_node=$2 ;;
    --buckets) buckets=$2 ;;
    --time) limit=$2 ;;
    --guess) guess=$2 ;;
    --out | --resume | --dry-run | --baseline | --launcher | --quiet)
      die "$1 is this script's to give; RESULTS=DIR says where results go"
      ;;
    *)
      case $1 in
        --repeat | --max-repeat) repeat=$2 ;;
        --warmup) warmup=$2 ;;
        --threads) threads=$2 ;;
        --weak) weak=$2 ;;
      esac
      options+=("$1" "$2")
      ;;
  esac
  shift 2
done
[ $# -gt 1 ] || die "there is no command; give one after --, as in: $(basename "$0") --ranks 1,2,4 -- pi --points 1e11"
shift
is_list() { [[ $1 =~ ^[1-9][0-9]*(,[1-9][0-9]*)*$ ]]; }
is_number() { [[ $1 =~ ^[0-9]+$ ]]; }
is_list "$ranks_list" || die "--ranks: '$ranks_list' is no list of numbers; give one as in 1,2,4,8"
is_list "$buckets" || die "--buckets: '$buckets' is no list of numbers of nodes; give one as in 1,4,16"
is_list "$threads" || die "--threads: '$threads' is no list of numbers; give one as in 1,2"
[[ $per_node =~ ^[1-9][0-9]*$ ]] ||
  die "--ranks-per-node: give the ranks of a node, most often its cores, or ECHELON_RANKS_PER_NODE in $settings"
is_number "$repeat" || die "--repeat: '$repeat' is no number of runs; give one as in 10"
is_number "$warmup" || die "--warmup: '$warmup' is no number of runs; give one as in 1"
[[ $guess =~ ^([0-9]+\.?[0-9]*)?$ ]] || die "--guess: '$guess' is no time in seconds; give one as in 90"

sorted() { tr , '\n' <<<"$1" | sort -nu; }
# SLURM's ways to write a time: MINUTES, M:S, H:M:S, D-H, D-H:M, D-H:M:S.
hours() {
  awk -v text="$1" 'BEGIN {
    days = 0; has_days = sub(/^[0-9]+-/, "&", text)
    if (has_days) { days = text + 0; sub(/^[0-9]+-/, "", text) }
    n = split(text, part, ":")
    for (i = 1; i <= n; ++i) if (part[i] !~ /^[0-9]+$/) exit 1
    if (n == 0 || n > 3) exit 1
    if (has_days) print days * 24 + part[1] + part[2] / 60 + part[3] / 3600
    else if (n == 3) print part[1] + part[2] / 60 + part[3] / 3600
    else print part[1] / 60 + part[2] / 3600
  }'
}
# A wrong option is better said now than by a job, where there is an echelon that starts without modules.
if echelon=$(DRY_RUN=0 && find_echelon 2>/dev/null && echo "$echelon"); then
  if ! complaint=$("$echelon" study --dry-run --ranks "$ranks_list" "${options[@]}" -- "$@" 2>&1 >/dev/null); then
    case $complaint in
      *"there is no program"*) ;; # it may be in a module
      *) die "${complaint#echelon: }" ;;
    esac
  fi
fi
limit_h=$(hours "$limit") || die "--time: '$limit' is no time limit; give one as in 00:30:00 or 1-12:00"
most_threads=$(sorted "$threads" | tail -1)
results=$(realpath -m "${RESULTS:-$PWD/study}")

# Of --guess and ideal scaling: hours of all runs of a list of ranks. The runs of one block end one after another.
guessed_h() {
  awk -v ranks="$1" -v threads="$threads" -v runs=$((10#$repeat + 10#$warmup)) -v guess="$guess" -v weak="$weak" 'BEGIN {
    for (n = split(ranks, r, ","); n > 0; --n)
      for (m = split(threads, t, ","); m > 0; --m) s += runs * guess / (weak == "" ? r[n] * t[m] : 1)
    print s / 3600
  }'
}
product() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.9g", a * b }'; }
short() { [ "$1" = - ] && echo - || printf '%.3g' "$1"; }
sum() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.9g", a + b }'; }

# Which points go where: bucket_nodes[i] and bucket_ranks[i].
bucket_nodes=()
bucket_ranks=()
before=0
while read -r bucket; do
  list=
  while read -r count; do
    needed=$(((count + per_node - 1) / per_node))
    if [ "$needed" -gt "$before" ] && [ "$needed" -le "$bucket" ]; then list+=${list:+,}$count && largest=$needed; fi
  done < <(sorted "$ranks_list")
  if [ -n "$list" ]; then
    bucket_nodes+=("$largest")
    bucket_ranks+=("$list")
  fi
  before=$bucket
done < <(sorted "$buckets")
most=$(sorted "$ranks_list" | tail -1)
most_nodes=$(((most + per_node - 1) / per_node))
[ "$most_nodes" -le "$before" ] || die "--buckets: $most ranks need $most_nodes nodes, $per_node a node; give a bucket as large"

# What it costs.
row() { printf '%5s  %10s  %19s  %7s  %s\n' "$@"; }
all_guessed=-
at_most=0
[ -z "$guess" ] || all_guessed=0
row nodes "time limit" "node-hours, guessed" "at most" ranks
for i in "${!bucket_nodes[@]}"; do
  bound=$(product "$limit_h" "${bucket_nodes[i]}")
  guessed=-
  if [ -n "$guess" ]; then
    guessed=$(product "$(guessed_h "${bucket_ranks[i]}")" "${bucket_nodes[i]}")
    all_guessed=$(sum "$all_guessed" "$guessed")
  fi
  at_most=$(sum "$at_most" "$bound")
  row "${bucket_nodes[i]}" "$limit" "$(short "$guessed")" "$(short "$bound")" "${bucket_ranks[i]}"
done
row all "" "$(short "$all_guessed")" "$(short "$at_most")" "$ranks_list"
echo "At most is the limit times the nodes; a job that reaches its limit goes into the queue again, and costs that again."
[ -z "$guess" ] || echo "In one allocation of $most_nodes nodes: $(short "$(product "$(guessed_h "$ranks_list")" "$most_nodes")") node-hours, guessed."
echo "Results: $results"

if ! is_dry && [ "${YES:-0}" != 1 ]; then
  [ -t 0 ] || die "nobody to ask whether to submit these; YES=1 does so"
  read -r -p "Submit these ${#bucket_nodes[@]} jobs, and one that makes the report? [y/N] " answer
  [[ $answer == [yY]* ]] || exit 1
fi
command -v sbatch >/dev/null || is_dry || die "there is no sbatch; type this on a login node of the cluster"

job_ids=
# submit NAME RESULTS OPTION... FILE ARGUMENT...: sets `id`, the job's number. The folder may have % in its name, which SLURM
# takes for one of its own.
submit() {
  local name=$1 to=$2
  shift 2
  # shellcheck disable=SC2154 # home is job.sh's
  set -- env RESULTS="$to" ECHELON_HOME="$home" sbatch --parsable --export=ALL --job-name="$name" \
    --output="${results//%/%%}/%x-%j.log" "$@"
  echo "+$(shown "$@")" >&2
  if is_dry; then
    id=ID-of-$name
  elif ! id=$("$@"); then
    [ -z "$job_ids" ] || die "sbatch refuses $name: see above; in the queue already:$(tr : ' ' <<<"$job_ids") (scancel takes them away)"
    die "sbatch refuses $name: see above"
  fi
  id=${id%%;*} # ID, or ID;CLUSTER
}
is_dry || mkdir -p "$results"
folders=()
for i in "${!bucket_nodes[@]}"; do
  folder=$results/nodes-${bucket_nodes[i]}
  folders+=("$folder")
  submit "study-${bucket_nodes[i]}" "$folder" --nodes="${bucket_nodes[i]}" --ntasks-per-node="$per_node" \
    --cpus-per-task="$most_threads" --time="$limit" "$here/study.sbatch" --ranks "${bucket_ranks[i]}" "${options[@]}" -- "$@"
  job_ids+=:$id
done
# Whatever becomes of them: a report says what is missing.
submit study-report "$results/report" --dependency="afterany$job_ids" "$here/report.sbatch" "${folders[@]}"
is_dry || echo "Jobs$(tr : ' ' <<<"$job_ids"); the report is in $results/report when job $id has ended."
