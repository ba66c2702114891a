# shellcheck shell=bash
# For scripts to source: finds out what is missing to build Echelon, installs it, and builds. DRY_RUN=1 says what would be
# done and does nothing.

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# The one that mpi4py is installed for: Debian's, where there may be others.
python=${PYTHON:-$(if [ -x /usr/bin/python3 ]; then echo /usr/bin/python3; else echo python3; fi)}

# What to look for, and the packages that have it on Debian and Ubuntu, Fedora, and Spack; - where there is none.
# needed_for build|test|bench|python
needed_for() {
  case $1 in
    build) cat <<'TABLE'
command:g++                             g++                      gcc-c++             gcc
command:cmake                           cmake                    cmake               cmake
command:ninja                           ninja-build              ninja-build         ninja
command:pkg-config                      pkg-config               pkgconf-pkg-config  pkgconf
command:mpirun                          openmpi-bin              openmpi             openmpi
command:mpicxx                          libopenmpi-dev           openmpi-devel       openmpi
header:boost/mpi.hpp                    libboost-mpi-dev         boost-openmpi-devel boost+mpi+serialization
header:boost/archive/basic_archive.hpp  libboost-serialization-dev boost-devel       boost+mpi+serialization
header:boost/crc.hpp                    libboost-dev             boost-devel         boost
header:boost/math/distributions/students_t.hpp libboost-dev      boost-devel         boost
header:hwy/highway.h                    libhwy-dev               highway-devel       highway
header:Random123/philox.h               librandom123-dev         Random123-devel     random123
header:CLI/CLI.hpp                      libcli11-dev             cli11-devel         cli11
header:fmt/format.h                     libfmt-dev               fmt-devel           fmt
header:nlohmann/json.hpp                nlohmann-json3-dev       json-devel          nlohmann-json
header:hwloc.h                          libhwloc-dev             hwloc-devel         hwloc
header:muParser.h                       libmuparser-dev          muParser-devel      muparser
file:/usr/share/javascript/chart.js/chart.min.js libjs-chart.js  -                   -
TABLE
      ;;
    test) cat <<'TABLE'
header:gtest/gtest.h                    libgtest-dev             gtest-devel         googletest
header:gmock/gmock.h                    libgmock-dev             gmock-devel         googletest+gmock
command:parallel                        parallel                 parallel            parallel
command:shellcheck                      shellcheck               ShellCheck          shellcheck
command:gnuplot                         gnuplot-nox              gnuplot             gnuplot
python:numpy                            python3-numpy            python3-numpy       py-numpy
command:chromium                        chromium                 chromium            -
file:/usr/sbin/slurmctld                slurmctld                -                   -
file:/usr/sbin/slurmd                   slurmd                   -                   -
command:srun                            slurm-client             -                   -
command:munge                           munge                    -                   -
command:ip                              iproute2                 -                   -
command:git                             git                      git                 git
command:hpcc                            hpcc                     hpcc                hpcc
TABLE
      ;;
    bench) cat <<'TABLE'
header:benchmark/benchmark.h             libbenchmark-dev         google-benchmark-devel benchmark
TABLE
      ;;
    python) cat <<'TABLE'
python:multiprocessing                   python3                  python3             python
python:mpi4py.futures                    python3-mpi4py           python3-mpi4py-openmpi py-mpi4py
TABLE
      ;;
  esac
}

say() { printf '\n== %s\n' "$*"; }
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Runs a command after showing it; with DRY_RUN=1 only shows it.
run() {
  printf '+ %s\n' "$*"
  [ "${DRY_RUN:-0}" = 1 ] || "$@"
}

# Open MPI refuses root unless told twice.
if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi

is_here() {
  local compiler=g++
  case $1 in
    command:*) command -v "${1#command:}" >/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    python:*) "$python" -c "import ${1#python:}" >/dev/null 2>&1 ;;
    header:*)
      # mpicxx knows where a site keeps its MPI and what was built with it.
      if command -v mpicxx >/dev/null; then compiler=mpicxx; fi
      printf '#if !__has_include(<%s>)\n#error\n#endif\n' "${1#header:}" | "$compiler" -x c++ -E - >/dev/null 2>&1
      ;;
  esac
}

# install_missing build|test|bench|python...
install_missing() {
  local what debian fedora spack
  local -a for_debian=() for_fedora=() for_spack=() as_root=()
  while read -r what debian fedora spack; do
    if is_here "$what"; then continue; fi
    for_debian+=("$debian")
    if [ "$fedora" != - ]; then for_fedora+=("$fedora"); fi
    if [ "$spack" != - ]; then for_spack+=("$spack"); fi
  done < <(for purpose in "$@"; do needed_for "$purpose"; done)
  if [ ${#for_debian[@]} = 0 ]; then
    say "Everything that is needed is installed"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    printf 'Missing here:\n  Fedora: sudo dnf install %s\n  Spack:  spack install %s\nA module may have it, too: try module avail.\n' \
      "${for_fedora[*]}" "${for_spack[*]}" >&2
    die "install these, or load their modules, and start this again"
  fi
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "not root, and no sudo: let someone run apt-get install ${for_debian[*]}"
    as_root=(sudo)
  fi
  say "Installing what is missing: ${for_debian[*]}"
  run "${as_root[@]}" apt-get -q update
  run "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${for_debian[@]}"
}

# build PRESET [configure option...] [-- build option...]
build() {
  local preset=$1
  shift
  local -a configure=()
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    configure+=("$1")
    shift
  done
  [ $# = 0 ] || shift
  say "Building the $preset preset in build/$preset"
  cd "$project" || die "there is no $project"
  run cmake --preset "$preset" "${configure[@]}"
  run cmake --build --preset "$preset" "$@"
}
