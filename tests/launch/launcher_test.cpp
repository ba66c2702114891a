#include <filesystem>

#include <gtest/gtest.h>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {
namespace {

TEST(this_executable, is_this_test) {
  EXPECT_EQ(std::filesystem::path{this_executable()}.filename(), "launch_launcher_test");
}

TEST(ranks_for_all, are_what_this_machine_may_use) {
  if (measure::slurm_allocation()) GTEST_SKIP() << "in a SLURM job";
  EXPECT_EQ(ranks_for_all(1), measure::usable_cpus());
  EXPECT_EQ(ranks_for_all(1'000'000), 1U);
}

}  // namespace
}  // namespace echelon::launch
