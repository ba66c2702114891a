// Tasks that crash fail, each by itself, with as few workers as a workstation has.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_echelon.hpp"

namespace echelon::test {
namespace {
TEST(poison, todo) {}
}  // namespace
}  // namespace echelon::test
