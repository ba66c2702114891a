#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <random>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/numeric/uniform.hpp>

namespace echelon::numeric {
namespace {

constexpr std::uint64_t max_seed = std::numeric_limits<std::uint64_t>::max();

std::vector<double> values(std::uint64_t seed, std::uint64_t first, std::size_t count) {
  std::vector<double> out(count);
  uniform(seed, first, out);
  return out;
}

std::vector<double> values(std::uint64_t seed, std::uint64_t first, std::size_t count, Isa isa) {
  std::vector<double> out(count);
  uniform(seed, first, out, isa);
  return out;
}

struct Known {
  std::uint64_t seed;
  std::uint64_t first;
  std::vector<double> values;
};

// NumPy 1.24.2: p = numpy.random.Philox(key=seed); p.advance(first // 4);
// [x.hex() for x in numpy.random.Generator(p).random(first % 4 + n)[first % 4:]]
const std::vector<Known>& numpy_values() {
  static const std::vector<Known> known{
      {0,
       0,
       {0x1.7a5d3204726c0p-7, 0x1.eeb1585ce5460p-3, 0x1.c8667a55d9028p-4, 0x1.20faf40a5fab6p-1, 0x1.0137e64510730p-1,
        0x1.1c44a2e7a01fcp-2, 0x1.e4a1741b7d80cp-1, 0x1.f8ddaccecf48ap-1, 0x1.03ea1bc3de064p-2}},
      {1,
       0,
       {0x1.36da89edd58a0p-2, 0x1.b289f407757c1p-1, 0x1.3fc3972bb8304p-3, 0x1.fda5da5a81200p-6, 0x1.cceffc977a08ap-1,
        0x1.aa87b74ada3c0p-5, 0x1.7d7c2595a1d69p-1, 0x1.f85a55eaafb0cp-3, 0x1.a20f635b48286p-2}},
      {max_seed, 0, {0x1.e1290e2c6ef2cp-3, 0x1.6f435abb5c260p-1, 0x1.a50baba7f4bfap-2, 0x1.6eaa5d0f1a384p-1}},
      {12345678901234567890U,
       0,
       {0x1.0bf21e0604680p-4, 0x1.4d78978744c08p-1, 0x1.bb71f5dcbee58p-3, 0x1.0baf712f9dff2p-2}},
      {7, 1'000'000'001, {0x1.6cad2ddd73921p-1, 0x1.c5668f7a48ae0p-2, 0x1.c0cffff7ca6e8p-2}},
      {7,
       (std::uint64_t{1} << 40) - 3,
       {0x1.19abcfa5b8426p-2, 0x1.14b1b37324930p-5, 0x1.d7a09c6d7e95fp-1, 0x1.ff06e38b38011p-1, 0x1.40ef4f5120b2dp-1,
        0x1.1d29f2d3bb835p-1}},
      // The last four that there are.
      {7, max_seed - 3, {0x1.47c30e62e0f72p-2, 0x1.ad27ff56976e0p-1, 0x1.1fe41945af9c6p-2, 0x1.90ac73892e5e8p-1}},
  };
  return known;
}

TEST(uniform, values_are_numpys) {
  for (const Known& known : numpy_values()) {
    EXPECT_EQ(values(known.seed, known.first, known.values.size()), known.values) << known.seed << " " << known.first;
  }
}

TEST(uniform, every_instruction_set_has_numpys_values) {
  for (const Isa isa : supported_isas()) {
    for (const Known& known : numpy_values()) {
      // Enough with them, before or after, that they come out of a kernel's vectors.
      constexpr std::uint64_t others = 1000;
      const std::uint64_t before = std::min(known.first, others) / 4 * 4;
      const std::uint64_t after = known.first < others ? others : 0;
      const std::vector<double> all =
          values(known.seed, known.first - before, before + known.values.size() + after, isa);
      EXPECT_TRUE(std::equal(known.values.begin(), known.values.end(), all.begin() + static_cast<long>(before)))
          << name(isa) << ", seed " << known.seed << ", first " << known.first;
    }
  }
}

// The scalar reference is Random123 itself.
TEST(uniform, every_instruction_set_agrees_with_random123) {
  std::mt19937_64 random{42};
  constexpr std::size_t longest = 1000;
  std::vector<std::uint64_t> seeds{0, 1, max_seed, std::uint64_t{1} << 32, 0xFFFFFFFF};
  std::vector<std::uint64_t> firsts{0, 1, 2, 3, 4, std::uint64_t{1} << 34, max_seed - longest + 1};
  // Where the low half of a counter overflows into the upper one.
  firsts.push_back((std::uint64_t{1} << 34) - 400);
  for (int i = 0; i < 60; ++i) seeds.push_back(random());
  for (int i = 0; i < 20; ++i) firsts.push_back(random() >> (random() % 60));
  for (const Isa isa : supported_isas()) {
    for (const std::uint64_t seed : seeds) {
      for (const std::uint64_t first : firsts) {
        const std::uint64_t from = std::min(first, max_seed - longest + 1);
        const std::size_t count = random() % longest;
        ASSERT_EQ(values(seed, from, count, isa), values(seed, from, count, Isa::scalar))
            << name(isa) << ", seed " << seed << ", first " << from << ", count " << count;
      }
    }
  }
}

TEST(uniform, cut_anywhere_the_values_are_the_same) {
  constexpr std::size_t count = 600;
  for (const Isa isa : supported_isas()) {
    const std::vector<double> whole = values(3, 5, count, isa);
    for (std::size_t cut = 0; cut <= count; ++cut) {
      std::vector<double> joined(count);
      uniform(3, 5, std::span{joined}.first(cut), isa);
      uniform(3, 5 + cut, std::span{joined}.subspan(cut), isa);
      ASSERT_EQ(joined, whole) << name(isa) << ", cut at " << cut;
    }
  }
}

TEST(uniform, writes_what_it_was_given_and_no_more) {
  for (const Isa isa : supported_isas()) {
    for (std::size_t count = 0; count < 200; ++count) {
      std::vector<double> out(count + 2, -1);
      uniform(1, 2, std::span{out}.subspan(1, count), isa);
      EXPECT_EQ(out.front(), -1);
      EXPECT_EQ(out.back(), -1);
      EXPECT_EQ(std::ranges::count(out, -1), 2) << name(isa) << ", count " << count;
    }
  }
}

TEST(uniform, values_are_in_range_and_spread_evenly) {
  constexpr std::size_t count = 1 << 20;
  std::array<int, 16> bins{};
  for (const double value : values(99, 0, count)) {
    ASSERT_TRUE(value >= 0 && value < 1) << value;
    ++bins[static_cast<std::size_t>(value * 16)];
  }
  // Six standard deviations of a binomial of 2^20 trials with p = 1/16: sqrt(2^20 * 15) / 16 = 248.
  for (const int bin : bins) EXPECT_NEAR(bin, count / 16, 6 * 248);
}

TEST(uniform, best_instruction_set_can_be_run) {
  EXPECT_NE(std::ranges::find(supported_isas(), uniform_isa()), supported_isas().end());
}

}  // namespace
}  // namespace echelon::numeric
