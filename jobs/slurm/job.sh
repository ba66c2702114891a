# shellcheck shell=bash
# For job files to source: the system's settings and modules, the program, the folder of results and what is kept there,
# signals before the time limit, the way back into the queue. What is missing ends the job, with a line that says what to
# do. DRY_RUN=1 only says what would be run, with or without SLURM.

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
job_file=$(basename "${script:?is set by the job file}")
nodes=${SLURM_JOB_NUM_NODES:-1}
# A task of an array: the number of the last is that of all of them, too.
array_task=${SLURM_ARRAY_TASK_ID:-}
job=${array_task:+${SLURM_ARRAY_JOB_ID:-}_$array_task}
job=${job:-${SLURM_JOB_ID:-}}
# sbatch --export=NONE would keep the environment, and PATH with it, from other nodes.
unset SLURM_EXPORT_ENV

say() { printf '%s: %s\n' "$job_file" "$*" >&2; }
die() {
  say "$*"
  exit 2
}
is_dry() { [ "${DRY_RUN:-0}" = 1 ]; }
# A command as a shell takes it.
shown() {
  local word
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_%+,./:=@-]+$ ]]; then printf ' %s' "$word"; else printf ' %s' "${word@Q}"; fi
  done
}
# Runs a command after showing it; with DRY_RUN=1 only shows it.
run() {
  printf '+%s\n' "$(shown "$@")"
  is_dry || "$@"
}

# The file of settings: ECHELON_SYSTEM is its name or path; else the cluster's name, where it has one; else generic.
load_system() {
  settings=${ECHELON_SYSTEM:-}
  if [ -z "$settings" ]; then
    settings=${SLURM_CLUSTER_NAME:-generic}
    [ -e "$home/jobs/systems/$settings.env" ] || settings=generic
  fi
  case $settings in */*) ;; *) settings=$home/jobs/systems/$settings.env ;; esac
  [ -r "$settings" ] || die "there is no $settings; set ECHELON_SYSTEM to a name in $home/jobs/systems, or to a path"
  # shellcheck disable=SC1090 # the user's choice
  source "$settings" || die "$settings cannot be read by bash: see above"
  # Open MPI refuses root unless told twice.
  if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
}

load_modules() {
  local module at
  for module in ${ECHELON_MODULES:-}; do
    # Batch jobs often start without the function that logins have.
    for at in /etc/profile.d/lmod.sh /etc/profile.d/modules.sh /usr/share/lmod/lmod/init/bash /usr/share/modules/init/bash; do
      ! command -v module >/dev/null || break
      # shellcheck disable=SC1090 # a site's
      [ ! -r "$at" ] || source "$at"
    done
    command -v module >/dev/null ||
      die "there is no module command here for '$module'; empty ECHELON_MODULES in $settings, or source there what defines it"
    module load "$module" || die "module '$module' cannot be loaded; see module avail, and change ECHELON_MODULES in $settings"
  done
}

find_echelon() {
  local at
  echelon=${ECHELON:-$(command -v echelon)}
  case $echelon in */*) echelon=$(realpath -ms "$echelon") ;; esac # nodes are asked from another folder
  for at in "$home/build/release/echelon" "$home/../../bin/echelon"; do
    if [ -z "$echelon" ] && [ -x "$at" ]; then echelon=$(realpath -s "$at"); fi
  done
  if [ -z "$echelon" ] && is_dry; then echelon=echelon; fi
  [ -n "$echelon" ] || die "no echelon here: load its module, put it on PATH, or build it by $home/jobs/workstation.sh"
  is_dry || "$echelon" --version >/dev/null ||
    die "$echelon does not start: see above; does ECHELON_MODULES in $settings have what it was built with?"
}

# check_launcher NAME: what starts ranks is ECHELON_LAUNCHER, as in echelon --launcher. auto: srun, where it serves. A map
# always takes mpirun, with which it goes on when ranks are lost.
check_launcher() {
  local otherwise=", or set ECHELON_LAUNCHER=srun there"
  launcher=${ECHELON_LAUNCHER:-auto}
  [ "$1" != map ] || { launcher=mpirun && otherwise=; }
  is_dry && return
  case $launcher in
    srun)
      srun --mpi=list 2>&1 | grep -qw pmix ||
        die "srun has no PMIx here (srun --mpi=list), by which ranks find each other; set ECHELON_LAUNCHER=mpirun in $settings"
      ;;
    auto | mpirun)
      command -v mpirun >/dev/null ||
        die "there is no mpirun; name Open MPI's module in ECHELON_MODULES of $settings$otherwise"
      ;;
  esac
}

# All nodes see the results and the program: a file that this one makes is looked for from each.
check_shared() {
  local mark blind what at count
  mkdir -p "$results" 2>/dev/null
  mark=$(mktemp "$results/.seen-XXXXXX" 2>/dev/null) ||
    die "cannot write $results; submit from a folder that you may write to, or set RESULTS"
  blind=
  if [ "$nodes" -gt 1 ]; then
    # shellcheck disable=SC2016 # read on the nodes
    blind=$(srun --mpi=none --nodes="$nodes" --ntasks="$nodes" --ntasks-per-node=1 --cpus-per-task=1 --chdir=/ bash -c '
      for try in 1 2 3 4 5; do [ ! -e "$0" ] || break; sleep 1; done # others may hear of it later
      [ -e "$0" ] || { echo results "$(hostname)"; exit; }
      [ -x "$1" ] || echo program "$(hostname)"' "$mark" "$(command -v "$echelon")") || {
      rm -f "$mark"
      die "srun cannot run a command on each of the $nodes nodes: see above; try it in a job by hand, srun hostname"
    }
  fi
  rm -f "$mark"
  [ -n "$blind" ] || return 0
  rmdir "$results" 2>/dev/null
  read -r what at < <(sort <<<"$blind")
  count=$(wc -l <<<"$blind")
  [ "$count" = 1 ] || at="$at and $((count - 1)) more"
  if [ "$what" = program ]; then
    die "$echelon is not seen on $at; install it in a folder that all nodes share, not in /tmp"
  fi
  die "$results is not seen on $at; submit from a folder that all nodes share (home, project, scratch; not /tmp), or set RESULTS"
}

# What a result needs to be explained later, in a folder of this run's own. Values that look like secrets are left out.
keep_surroundings() {
  kept=$results/job-${SLURM_JOB_ID:-none}${SLURM_RESTART_COUNT:+.$SLURM_RESTART_COUNT}
  mkdir -p "$kept"
  env -0 | sed -z -E 's/^([^=]*(TOKEN|SECRET|PASS|KEY|CREDENTIAL)[^=]*)=.*/\1=(left out)/I' | sort -z | tr '\0' '\n' >"$kept/environment"
  ! command -v module >/dev/null || module -t list >"$kept/modules" 2>&1
  "$echelon" --version >"$kept/version"
  "$echelon" info --quiet --json "$kept/info.json" >/dev/null
  if git -C "$home" rev-parse HEAD >"$kept/commit" 2>/dev/null; then
    git -C "$home" status --short >>"$kept/commit"
  else
    rm -f "$kept/commit"
  fi
  scontrol show job "$job" >"$kept/job" 2>/dev/null || true
  cp "$0" "$kept/$job_file"
  cp "$settings" "$kept/"
}

# begin NAME: all that comes before the work. Results go to RESULTS, or to a folder named after the job; each task of an
# array has its own.
begin() {
  load_system
  load_modules
  find_echelon
  check_launcher "$1"
  results=$(realpath -ms "${RESULTS:-${SLURM_JOB_NAME:-$1}}")${array_task:+-$array_task}
  is_dry && kept=$results/job-ID && return
  [ -n "${SLURM_JOB_ID:-}" ] || die "this is for a job: submit it with sbatch, or try it with DRY_RUN=1"
  check_shared
  keep_surroundings
}

# Signals: USR1 comes before the time limit (--signal=B:USR1@...), TERM with scancel and at the limit itself.
asked=
child=
told() {
  asked=$1
  # To echelon a second TERM would mean haste, and with scancel it has had one.
  [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null
}
trap 'told USR1' USR1
trap 'told TERM' TERM

# Runs a command to its end, or to where it stops by a signal. Sets `status`.
run_and_listen() {
  printf '+%s\n' "$(shown "$@")"
  if is_dry; then exit; fi
  status=75
  [ -z "$asked" ] || return # before it began
  "$@" & # a function would have a process of its own, and take the signals
  child=$!
  status=0
  wait "$child" || status=$?
  while kill -0 "$child" 2>/dev/null; do # a signal has ended wait, not the child
    status=0
    wait "$child" || status=$?
  done
  child=
}

# finish BEFORE NOW: ends the job with `status`. Stopped by the time limit, it goes back into the queue, where it has done
# anything: BEFORE and NOW count what was done before this run, and is now.
finish() {
  if [ "$status" != 75 ] || [ "$asked" != USR1 ]; then exit "$status"; fi
  if [ "$1" = "$2" ]; then
    say "the time limit came before anything new had ended, so another run like this would not help;" \
      "submit it again with a longer --time, and it goes on"
  elif (trap '' TERM && exec scontrol requeue "$job"); then # SLURM ends all of the job at once, scontrol too
    say "the time limit is near; $2 done, $(($2 - $1)) in this run; job $job is in the queue again, and goes on there"
  else
    say "the time limit is near, and this site does not requeue; submit the same again, and it goes on"
  fi
  exit "$status"
}
