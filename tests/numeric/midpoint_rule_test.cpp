#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/numeric/midpoint_rule.hpp>

namespace echelon::numeric {
namespace {

constexpr std::array kernels{Kernel::direct, Kernel::fused};
constexpr std::uint64_t default_block = MidpointRule::default_block;
constexpr double pi_ulp = 0x1p-51;

std::uint64_t bits(double value) { return std::bit_cast<std::uint64_t>(value); }

struct Case {
  std::uint64_t points;
  std::uint64_t block;
  Kernel kernel;
};

std::string text(const Case& c) {
  return std::string{name(c.kernel)} + ", " + std::to_string(c.points) + " points, block " + std::to_string(c.block);
}

ExactSum total(const MidpointRule& rule) {
  ExactSum sum;
  rule.add(0, rule.blocks(), sum);
  return sum;
}

double integral(const Case& c, Isa isa) {
  const MidpointRule rule{c.points, c.block, c.kernel, isa};
  return rule.integral(total(rule));
}

class Compensated {
 public:
  void add(long double value) {
    const long double sum = sum_ + value;
    lost_ += (sum_ - sum) + value;  // exact for a sum that is above each value
    sum_ = sum;
  }
  [[nodiscard]] long double value() const { return sum_ + lost_; }

 private:
  long double sum_ = 0;
  long double lost_ = 0;
};

/// The sum of 4/(1 + x^2) over points [begin, end) of a grid of `points`: the definition, at the longest precision.
long double reference_sum(std::uint64_t points, std::uint64_t begin, std::uint64_t end) {
  Compensated sum;
  for (std::uint64_t i = begin; i < end; ++i) {
    const long double x = (static_cast<long double>(i) + 0.5L) / static_cast<long double>(points);
    sum.add(4.0L / (1.0L + x * x));
  }
  return sum.value();
}

long double reference_integral(std::uint64_t points) {
  return reference_sum(points, 0, points) / static_cast<long double>(points);
}

class EveryCase : public testing::TestWithParam<std::tuple<Kernel, std::uint64_t>> {
 protected:
  [[nodiscard]] std::vector<Case> cases() const {
    const auto [kernel, points] = GetParam();
    std::vector<Case> found;
    for (const std::uint64_t block :
         {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{1000}, std::uint64_t{2048}, default_block, points + 1}) {
      found.push_back({points, block, kernel});
    }
    return found;
  }
};

TEST_P(EveryCase, every_isa_gives_the_bits_of_scalar) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(text(c));
    const MidpointRule reference{c.points, c.block, c.kernel, Isa::scalar};
    ExactSum expected = total(reference);
    for (const Isa isa : supported_isas()) {
      SCOPED_TRACE(name(isa));
      const MidpointRule rule{c.points, c.block, c.kernel, isa};
      ExactSum sum = total(rule);
      ASSERT_TRUE(std::ranges::equal(sum.state(), expected.state()));
      ASSERT_EQ(bits(rule.integral(sum)), bits(reference.integral(expected)));
    }
  }
}

// The most points whose blocks a test can do one by one.
#ifdef __SANITIZE_ADDRESS__
constexpr int many_points = 300'007;
#else
constexpr int many_points = 10'000'019;
#endif

INSTANTIATE_TEST_SUITE_P(midpoint_rule, EveryCase,
                         testing::Combine(testing::ValuesIn(kernels),
                                          testing::Values(1, 2, 3, 31, 32, 33, 63, 64, 65, 2047, 2048, 2049, 4097,
                                                          65535, 65536, 65537, 1000003, many_points)),
                         [](const auto& test) {
                           return std::string{name(std::get<0>(test.param))} + "_" +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST(midpoint_rule, every_block_alone_has_the_bits_of_scalar) {
  for (const Kernel kernel : kernels) {
    for (const std::uint64_t points :
         {std::uint64_t{300'001}, MidpointRule::max_points - 1, MidpointRule::max_points}) {
      const Case c{points, 4099, kernel};
      SCOPED_TRACE(text(c));
      const MidpointRule reference{c.points, c.block, c.kernel, Isa::scalar};
      std::mt19937_64 random{points};
      std::vector<std::uint64_t> blocks{0, 1, reference.blocks() - 2, reference.blocks() - 1};
      for (int i = 0; i < 60; ++i) blocks.push_back(random() % reference.blocks());
      for (const Isa isa : supported_isas()) {
        SCOPED_TRACE(name(isa));
        const MidpointRule rule{c.points, c.block, c.kernel, isa};
        for (const std::uint64_t block : blocks) {
          ExactSum expected;
          ExactSum sum;
          reference.add(block, 1, expected);
          rule.add(block, 1, sum);
          ASSERT_EQ(bits(sum.round()), bits(expected.round())) << "block " << block;
        }
      }
    }
  }
}

TEST(midpoint_rule, shared_out_in_any_way_the_bits_are_the_same) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const Case c{1 + random() % 3'000'000, 1 + random() % 100'000, kernels[seed % 2]};
    SCOPED_TRACE(text(c));
    const std::vector<Isa>& isas = supported_isas();
    const MidpointRule rule{c.points, c.block, c.kernel, isas[random() % isas.size()]};
    struct Share {
      std::uint64_t first;
      std::uint64_t count;
    };
    std::vector<Share> shares;
    for (std::uint64_t first = 0; first < rule.blocks();) {
      const std::uint64_t count = std::min(1 + random() % 5, rule.blocks() - first);
      shares.push_back({first, count});
      first += count;
    }
    std::ranges::shuffle(shares, random);
    std::vector<ExactSum> workers(1 + random() % 9);
    for (const Share& share : shares) rule.add(share.first, share.count, workers[random() % workers.size()]);
    ExactSum combined;
    for (const ExactSum& worker : workers) combined.add(worker);
    ExactSum expected = total(rule);
    ASSERT_TRUE(std::ranges::equal(combined.state(), expected.state()));
    ASSERT_EQ(bits(rule.integral(combined)), bits(rule.integral(expected)));
  }
}

// Each term is rounded three times (x, 1 + x^2, the division) and so is each addition within a block, in no preferred
// direction: in the mean over many points that is far below an ulp, and over few it is a few roundings. So the value is
// the double nearest to the definition's sum or its neighbour. (Before that last rounding: 1.35 ulp, at 99991 points.)
TEST(midpoint_rule, integral_is_within_an_ulp_of_the_definition) {
  for (const std::uint64_t points :
       {1, 2, 3, 10, 64, 100, 1000, 2048, 2049, 10'000, 65'536, 99'991, 200'003, 1'000'003}) {
    const long double expected = reference_integral(points);
    for (const Kernel kernel : kernels) {
      const Case c{points, default_block, kernel};
      const double value = integral(c, best_isa(kernel));
      EXPECT_LE(std::abs(value - static_cast<double>(expected)), pi_ulp) << text(c);
    }
  }
}

// Blocks of other sizes are other roundings of the same sum.
TEST(midpoint_rule, block_size_changes_the_integral_by_an_ulp_at_most) {
  const long double expected = reference_integral(300'007);
  for (const std::uint64_t block : {1, 7, 1000, 2048, 4096, 300'007}) {
    for (const Kernel kernel : kernels) {
      const Case c{300'007, block, kernel};
      EXPECT_LE(std::abs(integral(c, best_isa(kernel)) - static_cast<double>(expected)), pi_ulp) << text(c);
    }
  }
}

// The largest grid's indices do not fit into a double's 53 bits once they are doubled.
TEST(midpoint_rule, blocks_of_the_largest_grid_are_where_they_should_be) {
  constexpr std::uint64_t block = 4096;
  for (const Kernel kernel : kernels) {
    const MidpointRule rule{MidpointRule::max_points, block, kernel, best_isa(kernel)};
    for (const std::uint64_t at : {std::uint64_t{0}, std::uint64_t{1}, rule.blocks() / 3, rule.blocks() - 1}) {
      ExactSum sum;
      rule.add(at, 1, sum);
      const auto expected = static_cast<double>(reference_sum(MidpointRule::max_points, at * block, (at + 1) * block));
      EXPECT_NEAR(sum.round() / expected, 1, 8 * std::numeric_limits<double>::epsilon()) << name(kernel) << ", " << at;
    }
  }
}

// So many points leave a mathematical error of 1/(6 N^2) < 2e-17 from pi: the nearest double to the sum is pi's.
TEST(midpoint_rule, kernels_are_identical_across_kernels_at_1e9) {
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
  constexpr std::uint64_t points = 1'000'000'000;
#else
  constexpr std::uint64_t points = 100'000'000;
#endif
  for (const Kernel kernel : kernels) {
    EXPECT_EQ(bits(integral({points, default_block, kernel}, best_isa(kernel))), bits(std::numbers::pi))
        << name(kernel);
  }
}

TEST(midpoint_rule, points_of_all_blocks_add_up_whatever_the_block) {
  std::mt19937_64 random{1};
  for (int i = 0; i < 300; ++i) {
    const std::uint64_t points = 1 + random() % (std::uint64_t{1} << random() % 53);
    const std::uint64_t block = points / (1 + random() % 1000) + 1;
    const MidpointRule rule{points, block, Kernel::direct, Isa::scalar};
    SCOPED_TRACE(text({points, block, Kernel::direct}));
    std::uint64_t sum = 0;
    for (std::uint64_t b = 0; b < rule.blocks(); ++b) {
      ASSERT_GE(rule.points_in(b, 1), 1U);
      ASSERT_LE(rule.points_in(b, 1), block);
      sum += rule.points_in(b, 1);
    }
    ASSERT_EQ(sum, points);
    ASSERT_EQ(rule.points_in(0, rule.blocks()), points);
    const std::uint64_t cut = random() % rule.blocks();
    ASSERT_EQ(rule.points_in(0, cut) + rule.points_in(cut, rule.blocks() - cut), points);
  }
}

TEST(midpoint_rule, block_larger_than_all_points_is_one_block) {
  for (const std::uint64_t block : {std::uint64_t{10}, std::uint64_t{11}, ~std::uint64_t{0}}) {
    const MidpointRule rule{10, block, Kernel::fused, Isa::scalar};
    EXPECT_EQ(rule.blocks(), 1U);
    EXPECT_EQ(rule.points_in(0, 1), 10U);
  }
  const MidpointRule largest{MidpointRule::max_points, 1, Kernel::direct, Isa::scalar};
  EXPECT_EQ(largest.blocks(), MidpointRule::max_points);
}

TEST(isas, scalar_is_always_there_and_last) {
  const std::vector<Isa>& supported = supported_isas();
  ASSERT_FALSE(supported.empty());
  EXPECT_EQ(supported.back(), Isa::scalar);
  for (const Isa isa : supported) EXPECT_EQ(std::ranges::count(supported, isa), 1) << name(isa);
  for (const Isa isa : supported) EXPECT_EQ(std::ranges::count(all_isas(), isa), 1) << name(isa);
  for (const Kernel kernel : kernels) EXPECT_EQ(std::ranges::count(supported, best_isa(kernel)), 1) << name(kernel);
}

TEST(isas, names_are_those_of_the_command_line) {
  EXPECT_EQ(name(Isa::scalar), "scalar");
  EXPECT_EQ(name(Isa::neon), "neon");
  EXPECT_EQ(name(Isa::avx2), "avx2");
  EXPECT_EQ(name(Isa::avx512), "avx512");
  EXPECT_EQ(name(Kernel::direct), "direct");
  EXPECT_EQ(name(Kernel::fused), "fused");
}

}  // namespace
}  // namespace echelon::numeric
