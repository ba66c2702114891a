"""Echelon for Spack from 1.0 on: spack repo add jobs/spack/spack_repo/echelon && spack install echelon"""

import os

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Echelon(CMakePackage):
    """Measures how a program scales over MPI ranks, runs commands as tasks over them, and is Python's multiprocessing
    for C++ over the ranks of a job."""

    # The clone that this recipe is in.
    git = "file://" + os.path.realpath(os.path.join(os.path.dirname(__file__), *[".."] * 6))

    license("BSD-3-Clause")

    version("main", branch="main")

    # What jobs/setup.sh has for Spack; a test compares the two.
    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.22:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("openmpi@4.1:")
    depends_on("boost+mpi+serialization")
    depends_on("highway")
    depends_on("random123")
    depends_on("cli11")
    depends_on("fmt")
    depends_on("nlohmann-json")
    depends_on("hwloc")
    depends_on("muparser")

    # Version 3 has no package of its own. It becomes a part of the reports.
    resource(
        name="chart.js",
        url="https://registry.npmjs.org/chart.js/-/chart.js-3.9.1.tgz",
        sha256="111e0751796f087a51e94dfed910ccfb1278fd30e584a6e48514dba9ae7e72c6",
        destination="",
        placement="chart.js",
    )

    generator("ninja")

    def cmake_args(self):
        return [
            self.define("ECHELON_TESTS", False),
            self.define("ECHELON_CHART_JS", join_path(self.stage.source_path, "chart.js", "dist", "chart.min.js")),
            self.define("RANDOM123_INCLUDE_DIR", self.spec["random123"].prefix.include),
        ]

    def setup_run_environment(self, env):
        # For job files that were copied from share/echelon/jobs.
        env.set("ECHELON_HOME", self.prefix.share.echelon)
