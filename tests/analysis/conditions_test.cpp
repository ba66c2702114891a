#include <vector>

#include <gtest/gtest.h>

#include <echelon/analysis/conditions.hpp>

namespace echelon::analysis {
namespace {

measure::Context usual() {
  return {.version = "1.2.3",
          .commit = "abcdef",
          .build_type = "Release",
          .compiler = "GNU 12.2.0",
          .mpi = "Open MPI 4.1.4",
          .isa = "avx512",
          .cpu_model = "Xeon",
          .hosts = {"n1"},
          .launcher = "mpirun",
          .slurm = {}};
}

TEST(differing, names_each_condition_with_its_values) {
  measure::Context other = usual();
  other.cpu_model = "EPYC";
  other.mpi = "Open MPI 5.0.3";
  EXPECT_EQ(differing(std::vector{usual(), usual(), other, usual()}),
            "CPU (Xeon; EPYC), MPI (Open MPI 4.1.4; Open MPI 5.0.3)");
}

TEST(differing, each_part_of_the_build_counts) {
  const auto with = [](auto change) {
    measure::Context other = usual();
    change(other);
    return differing(std::vector{usual(), other});
  };
  EXPECT_EQ(with([](auto& c) { c.isa = "avx2"; }), "instruction set (avx512; avx2)");
  EXPECT_EQ(with([](auto& c) { c.version = "2"; }), "Echelon (1.2.3 (abcdef); 2 (abcdef))");
  EXPECT_EQ(with([](auto& c) { c.commit = "123456"; }), "Echelon (1.2.3 (abcdef); 1.2.3 (123456))");
  EXPECT_EQ(with([](auto& c) { c.dirty = true; }), "Echelon (1.2.3 (abcdef); 1.2.3 (abcdef, changed))");
  EXPECT_EQ(with([](auto& c) { c.build_type = "Debug"; }), "build (GNU 12.2.0, Release; GNU 12.2.0, Debug)");
  EXPECT_EQ(with([](auto& c) { c.compiler = "Clang 14"; }), "build (GNU 12.2.0, Release; Clang 14, Release)");
}

TEST(differing, nodes_ranks_and_threads_are_what_a_study_varies) {
  measure::Context other = usual();
  other.hosts = {"n1", "n2"};
  other.ranks = 8;
  other.threads = 2;
  other.cpus_allowed = 16;
  EXPECT_EQ(differing(std::vector{usual(), other}), "");
  EXPECT_EQ(differing({}), "");
}

}  // namespace
}  // namespace echelon::analysis
