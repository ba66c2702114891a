#!/usr/bin/env bash
# What a new user sees: makes a fresh Debian in a folder, clones the committed HEAD of the project into it, and runs README's
# two commands there, as root and without a terminal. Needs root, debootstrap, git, a mirror and 10 GB.
#   tests/fresh.sh bookworm|trixie [COMMAND]    COMMAND in place of the two, with the terminal: KEEP=1 tests/fresh.sh trixie bash
# ROOT=FOLDER is where it goes (build/fresh-SUITE); KEEP=1 leaves it there, and takes it, clone included, where it is already;
# DRY_RUN=1 only says what would be done.
set -euo pipefail
# shellcheck source=jobs/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/setup.sh"

suite=${1:-}
command=${2:-}
case $suite in bookworm | trixie) ;; *) die "give bookworm or trixie" ;; esac
root=${ROOT:-$project/build/fresh-$suite}
keep=${KEEP:-0}
dry_run=${DRY_RUN:-0}
if [ "$dry_run" != 1 ]; then
  [ "$(id -u)" = 0 ] || die "only root can make a Debian"
  [ ! -e "$root" ] || [ "$keep" = 1 ] || die "$root is there already; KEEP=1 takes it"
  command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
fi

first=
clean_up() {
  [ -z "$first" ] || kill -KILL "$first" 2>/dev/null || true
  # The second time nothing dies any more.
  [ "$keep" = 1 ] || rm -rf --one-file-system "$root" 2>/dev/null || { sleep 5 && rm -rf --one-file-system "$root"; }
}
[ "$dry_run" = 1 ] || trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# This machine's mirrors as lines for sources.list, with the suite in place of this machine's own.
mirrors() {
  local own
  own=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016
  apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) main' 'Created-By: Packages' 'Component: main' |
    sed -nE "s, $own(-updates|-security)? main, $suite\1 main,p" | sort -u
}

make_root() {
  local sources mirror
  sources=$(mirrors)
  mirror=$(awk -v suite="$suite" '$3 == suite { print $2; exit }' <<<"$sources")
  [ -n "$mirror" ] || die "apt knows no mirror of Debian here"
  # With git, by which a user has the clone.
  run unshare --mount debootstrap --variant=minbase --include=git,ca-certificates "$suite" "$root" "$mirror"
  if [ "$dry_run" != 1 ]; then
    printf '%s\n' "$sources" >"$root/etc/apt/sources.list"
    # Proxies, and what a mirror of a past day needs.
    apt-config dump --format '%f "%v";%n' Acquire::http Acquire::https Acquire::Check-Valid-Until Acquire::Check-Date \
      >"$root/etc/apt/apt.conf.d/99as-outside"
    cp /etc/hosts "$root/etc/hosts"
  fi
  # As a clone, which git refuses of a folder of another user's.
  run git init --quiet "$root/root/echelon"
  run git --git-dir="$project/.git" push --quiet --no-verify "$root/root/echelon" HEAD:refs/heads/fresh
  run git -C "$root/root/echelon" checkout --quiet fresh
}

# Runs a command in the clone. It has processes and mounts of its own, which end with it.
# shellcheck disable=SC2016
inside=(unshare --mount --pid --kill-child bash -euc '
  mount -t proc proc "$0/proc"
  mount --rbind /sys "$0/sys"
  mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=666 devpts "$0/dev/pts"
  mount --bind "$0/dev/pts/ptmx" "$0/dev/ptmx"
  chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM="${TERM:-dumb}" \
    bash -c "cd && cd echelon && $1" || exit' "$root")

timed() {
  local begin=$SECONDS status=0
  say "In a fresh $suite: $1"
  if [ "$dry_run" = 1 ]; then return; fi
  setsid "${inside[@]}" "$1" </dev/null > >(exec cat) 2>&1 &
  first=$!
  wait "$first" || status=$?
  first=
  say "In a fresh $suite: $1: status $status after $(((SECONDS - begin) / 60)) min $(((SECONDS - begin) % 60)) s"
  return "$status"
}

[ -e "$root/root/echelon/README.md" ] || make_root
if [ -n "$command" ]; then
  [ "$dry_run" = 1 ] || "${inside[@]}" "$command"
else
  timed ./jobs/workstation.sh
  timed 'CI=true ./tests/run.sh'
fi
