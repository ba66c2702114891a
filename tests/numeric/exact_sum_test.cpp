#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/numeric/exact_sum.hpp>

namespace echelon::numeric {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double least = std::numeric_limits<double>::denorm_min();

/// The reference: a two's complement integer of 2432 bits that counts 2^-1074, by schoolbook arithmetic.
class Fixed {
 public:
  Fixed() = default;

  explicit Fixed(double value) {
    int exponent = 0;
    const double fraction = std::frexp(std::abs(value), &exponent);
    const auto mantissa = static_cast<std::uint64_t>(std::ldexp(fraction, 53));
    const int shift = exponent - 53 + 1074;
    // A subnormal's mantissa ends in as many zeros as it is to be shifted down.
    *this = shift < 0 ? integer(mantissa >> -shift) : integer(mantissa).shifted_up(shift);
    if (std::signbit(value)) *this = negated();
  }

  static Fixed integer(std::uint64_t value) {
    Fixed result;
    result.words_[0] = static_cast<std::uint32_t>(value);
    result.words_[1] = static_cast<std::uint32_t>(value >> 32);
    return result;
  }

  [[nodiscard]] bool negative() const { return words_.back() >> 31 != 0; }

  [[nodiscard]] Fixed negated() const { return Fixed{} - *this; }

  [[nodiscard]] Fixed shifted_up(int bits) const {
    Fixed result;
    for (int to = bit_count - 1; to >= bits; --to) result.set(to, bit(to - bits));
    return result;
  }

  [[nodiscard]] int width() const {
    int top = bit_count;
    while (top > 0 && !bit(top - 1)) --top;
    return top;
  }

  [[nodiscard]] bool bit(int at) const { return (words_[word(at)] >> (at % 32) & 1) != 0; }

  friend Fixed operator+(const Fixed& a, const Fixed& b) {
    Fixed result;
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < a.words_.size(); ++i) {
      carry += std::uint64_t{a.words_[i]} + b.words_[i];
      result.words_[i] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    return result;
  }

  friend Fixed operator-(const Fixed& a, const Fixed& b) {
    Fixed inverted;
    std::ranges::transform(b.words_, inverted.words_.begin(), [](std::uint32_t w) { return ~w; });
    return a + inverted + integer(1);
  }

  friend Fixed operator*(const Fixed& a, std::uint64_t factor) {
    Fixed result;
    Fixed power = a;
    for (; factor != 0; factor >>= 1) {
      if ((factor & 1) != 0) result = result + power;
      power = power + power;
    }
    return result;
  }

  friend bool operator==(const Fixed&, const Fixed&) = default;
  friend bool operator<=(const Fixed& a, const Fixed& b) { return !(b - a).negative(); }

  /// To nearest, ties to even.
  [[nodiscard]] double rounded() const {
    if (negative()) return -negated().rounded();
    const int drop = std::max(width() - 53, 0);
    std::uint64_t kept = 0;
    for (int at = drop + 52; at >= drop; --at) kept = 2 * kept + (bit(at) ? 1 : 0);
    const Fixed twice_rest = (*this - integer(kept).shifted_up(drop)).shifted_up(1);
    const Fixed step = integer(1).shifted_up(drop);
    if (drop > 0 && step <= twice_rest && (twice_rest != step || kept % 2 != 0)) ++kept;
    return std::ldexp(static_cast<double>(kept), drop - 1074);
  }

 private:
  static constexpr int bit_count = 2432;
  static std::size_t word(int at) { return static_cast<std::size_t>(at / 32); }
  void set(int at, bool value) {
    if (value) words_[word(at)] |= std::uint32_t{1} << (at % 32);
  }

  std::array<std::uint32_t, bit_count / 32> words_{};
};

const Fixed beyond_all = Fixed::integer(1).shifted_up(1024 + 1074);  // 2^1024, where the next double would be

/// Whether no double is nearer to sum / divisor, and of two equally near ones, this is the even one.
bool is_nearest_quotient(double quotient, const Fixed& sum, std::uint64_t divisor) {
  if (sum.negative()) return std::signbit(quotient) && is_nearest_quotient(-quotient, sum.negated(), divisor);
  if (std::isnan(quotient) || std::signbit(quotient)) return false;
  const auto value = [](double x) { return x == infinity ? beyond_all : Fixed{x}; };
  const Fixed twice = sum.shifted_up(1);
  const bool even = std::bit_cast<std::uint64_t>(quotient) % 2 == 0;
  // The quotient lies between the middles to the neighbours; on a middle, the even neighbour has it.
  if (quotient > 0) {
    const Fixed from = (value(std::nextafter(quotient, 0.0)) + value(quotient)) * divisor;
    if (!(from <= twice) || (!even && from == twice)) return false;
  }
  if (quotient == infinity) return true;
  const Fixed to = (value(quotient) + value(std::nextafter(quotient, infinity))) * divisor;
  return twice <= to && (even || to != twice);
}

std::uint64_t bits(double value) { return std::bit_cast<std::uint64_t>(value); }

Fixed reference_sum(const std::vector<double>& values) {
  Fixed sum;
  for (const double value : values) sum = sum + Fixed{value};
  return sum;
}

ExactSum exact_sum(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) sum.add(value);
  return sum;
}

double rounded(const std::vector<double>& values) { return exact_sum(values).round(); }

using Random = std::mt19937_64;

std::uint64_t below(Random& random, std::uint64_t end) { return random() % end; }

/// Any finite double whose biased exponent is in [first, first + count).
double random_double(Random& random, std::uint64_t first, std::uint64_t count) {
  const std::uint64_t exponent = first + below(random, count);
  return std::bit_cast<double>((random() & ~(std::uint64_t{0x7ff} << 52)) | exponent << 52);
}

std::vector<double> random_doubles(Random& random, std::size_t size, std::uint64_t first, std::uint64_t count) {
  std::vector<double> values(size);
  for (double& value : values) value = random_double(random, first, count);
  return values;
}

std::string seed_text(std::uint64_t seed) { return "seed " + std::to_string(seed); }

TEST(exact_sum, any_exponents_agree_with_reference) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::vector<double> values = random_doubles(random, 1 + below(random, 60), 0, 0x7ff);
    ASSERT_EQ(bits(rounded(values)), bits(reference_sum(values).rounded()));
  }
}

TEST(exact_sum, near_exponents_agree_with_reference) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::uint64_t count = 1 + below(random, 120);
    const std::vector<double> values =
        random_doubles(random, 1 + below(random, 60), below(random, 0x7ff - count), count);
    ASSERT_EQ(bits(rounded(values)), bits(reference_sum(values).rounded()));
  }
}

TEST(exact_sum, one_double_comes_back_unchanged) {
  Random random{7};
  for (int i = 0; i < 100'000; ++i) {
    const double value = random_double(random, 0, 0x7ff);
    ASSERT_EQ(bits(rounded({value})), bits(value));
  }
  for (std::uint64_t exponent = 0; exponent < 0x7ff; ++exponent) {
    for (const std::uint64_t mantissa : {std::uint64_t{1}, (std::uint64_t{1} << 52) - 1}) {
      const double value = std::bit_cast<double>(exponent << 52 | mantissa);
      ASSERT_EQ(bits(rounded({value})), bits(value));
      ASSERT_EQ(bits(rounded({-value})), bits(-value));
    }
  }
}

TEST(exact_sum, cancellation_leaves_the_smallest_summand) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    std::vector<double> values = random_doubles(random, 500, 0, 0x7ff);
    for (std::size_t i = 0; i < 500; ++i) values.push_back(-values[i]);
    const double left = random_double(random, 0, 50);
    values.push_back(left);
    std::ranges::shuffle(values, random);
    ASSERT_EQ(bits(rounded(values)), bits(left));
  }
}

TEST(exact_sum, zero_total_is_plus_zero) {
  EXPECT_EQ(bits(rounded({})), bits(0.0));
  EXPECT_EQ(bits(rounded({-0.0})), bits(0.0));
  EXPECT_EQ(bits(rounded({-0.0, -0.0})), bits(0.0));
  EXPECT_EQ(bits(rounded({-1e300, 1e-300, 1e300, -1e-300})), bits(0.0));
  EXPECT_EQ(bits(rounded({-least, least})), bits(0.0));
}

TEST(exact_sum, half_a_step_is_a_tie_and_goes_to_even) {
  const double half_step = 0x1p-53;
  EXPECT_EQ(rounded({1, half_step}), 1);
  EXPECT_EQ(rounded({1, half_step, least}), 1 + 0x1p-52);
  EXPECT_EQ(rounded({1, half_step, -least}), 1);
  EXPECT_EQ(rounded({1 + 0x1p-52, half_step}), 1 + 0x1p-51);
  EXPECT_EQ(rounded({1 + 0x1p-52, half_step, -least}), 1 + 0x1p-52);
  EXPECT_EQ(rounded({-1, -half_step}), -1);
  EXPECT_EQ(rounded({-1, -half_step, -least}), -1 - 0x1p-52);
  EXPECT_EQ(rounded({-1 - 0x1p-52, -half_step}), -1 - 0x1p-51);
  // Rounding up that carries into the next power of two.
  EXPECT_EQ(rounded({2 - 0x1p-52, half_step}), 2);
}

TEST(exact_sum, ties_at_every_exponent_go_to_even) {
  for (int exponent = -1021; exponent <= 1022; ++exponent) {
    const double one = std::ldexp(1.0, exponent);
    const double step = std::ldexp(1.0, exponent - 52);
    if (step / 2 == 0) continue;
    ASSERT_EQ(rounded({one, step / 2}), one) << exponent;
    ASSERT_EQ(rounded({one, step, step / 2}), one + 2 * step) << exponent;
    ASSERT_EQ(rounded({-one, -step, -step / 2}), -one - 2 * step) << exponent;
    if (step / 2 == least) continue;
    ASSERT_EQ(rounded({one, step / 2, least}), one + step) << exponent;
    ASSERT_EQ(rounded({one, step, step / 2, -least}), one + step) << exponent;
  }
}

TEST(exact_sum, subnormals_are_added_exactly) {
  EXPECT_EQ(rounded({least}), least);
  EXPECT_EQ(rounded({least, least, -least}), least);
  EXPECT_EQ(rounded({DBL_MIN, -least}), DBL_MIN - least);
  EXPECT_EQ(rounded({DBL_MIN - least, least}), DBL_MIN);
  EXPECT_EQ(rounded({-DBL_MIN, least}), least - DBL_MIN);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::vector<double> values = random_doubles(random, 100, 0, 3);
    ASSERT_EQ(bits(rounded(values)), bits(reference_sum(values).rounded()));
  }
}

TEST(exact_sum, overflow_is_infinite_and_comes_back) {
  const double half_step = 0x1p970;  // of DBL_MAX
  EXPECT_EQ(rounded({DBL_MAX, DBL_MAX}), infinity);
  EXPECT_EQ(rounded({-DBL_MAX, -DBL_MAX}), -infinity);
  EXPECT_EQ(rounded({DBL_MAX, DBL_MAX, -DBL_MAX}), DBL_MAX);
  EXPECT_EQ(rounded({DBL_MAX, half_step}), infinity);
  EXPECT_EQ(rounded({DBL_MAX, half_step, -least}), DBL_MAX);
  EXPECT_EQ(rounded({DBL_MAX, std::nextafter(half_step, 0.0)}), DBL_MAX);
  EXPECT_EQ(rounded({-DBL_MAX, -half_step, least}), -DBL_MAX);
  ExactSum sum;
  for (int i = 0; i < 1000; ++i) sum.add(DBL_MAX);
  EXPECT_EQ(sum.round(), infinity);
  for (int i = 0; i < 1000; ++i) sum.add(-DBL_MAX);
  sum.add(1);
  EXPECT_EQ(sum.round(), 1);
}

TEST(exact_sum, infinities_and_nan_follow_ieee_754_in_any_order) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(rounded({infinity}), infinity);
  EXPECT_EQ(rounded({1, infinity, infinity, -DBL_MAX}), infinity);
  EXPECT_EQ(rounded({-infinity, DBL_MAX, DBL_MAX}), -infinity);
  EXPECT_TRUE(std::isnan(rounded({infinity, 1, -infinity})));
  EXPECT_TRUE(std::isnan(rounded({-infinity, infinity})));
  EXPECT_TRUE(std::isnan(rounded({nan})));
  EXPECT_TRUE(std::isnan(rounded({-nan, 1})));
  EXPECT_TRUE(std::isnan(rounded({infinity, nan})));
  EXPECT_TRUE(std::isnan(rounded({std::numeric_limits<double>::signaling_NaN(), infinity})));
}

TEST(exact_sum, infinities_and_nan_survive_combining) {
  ExactSum plus = exact_sum({1, infinity});
  ExactSum minus = exact_sum({-infinity});
  ExactSum finite = exact_sum({2});
  finite.add(plus);
  EXPECT_EQ(finite.round(), infinity);
  EXPECT_EQ(finite.round_quotient(3), infinity);
  EXPECT_EQ(minus.round_quotient(3), -infinity);
  finite.add(minus);
  EXPECT_TRUE(std::isnan(finite.round()));
  EXPECT_TRUE(std::isnan(finite.round_quotient(3)));
  EXPECT_TRUE(std::isnan(ExactSum::from_state(finite.state()).round()));
}

TEST(exact_sum, any_order_gives_the_same_state) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    std::vector<double> values = random_doubles(random, 1000, 0, 0x7ff);
    ExactSum first = exact_sum(values);
    for (int i = 0; i < 10; ++i) {
      std::ranges::shuffle(values, random);
      ExactSum other = exact_sum(values);
      ASSERT_TRUE(std::ranges::equal(first.state(), other.state()));
      ASSERT_EQ(bits(first.round()), bits(other.round()));
    }
  }
}

/// Adds up `values` in two parts that are added up in two parts ..., some of them sent as states.
ExactSum grouped_sum(Random& random, std::span<const double> values) {
  if (values.size() <= 1 || below(random, 8) == 0) return exact_sum({values.begin(), values.end()});
  const std::size_t middle = below(random, values.size() + 1);
  ExactSum left = grouped_sum(random, values.first(middle));
  ExactSum right = grouped_sum(random, values.subspan(middle));
  if (below(random, 2) == 0) {
    left.add(right);
    return left;
  }
  std::array<std::int64_t, ExactSum::state_size> state{};
  std::ranges::transform(left.state(), right.state(), state.begin(), std::plus{});
  return ExactSum::from_state(state);
}

TEST(exact_sum, any_grouping_gives_the_same_state) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::vector<double> values = random_doubles(random, 1 + below(random, 300), 0, 0x7ff);
    ExactSum straight = exact_sum(values);
    ExactSum grouped = grouped_sum(random, values);
    ASSERT_TRUE(std::ranges::equal(straight.state(), grouped.state()));
    ASSERT_EQ(bits(straight.round()), bits(grouped.round()));
  }
}

TEST(exact_sum, reduction_over_many_ranks_agrees_with_reference) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    std::array<std::int64_t, ExactSum::state_size> reduced{};
    Fixed reference;
    for (int rank = 0; rank < 40; ++rank) {
      const std::vector<double> values = random_doubles(random, below(random, 10), 0, 0x7ff);
      ExactSum part = exact_sum(values);
      std::ranges::transform(reduced, part.state(), reduced.begin(), std::plus{});
      reference = reference + reference_sum(values);
    }
    ASSERT_EQ(bits(ExactSum::from_state(reduced).round()), bits(reference.rounded()));
  }
}

TEST(exact_sum, state_has_its_carries_propagated) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    ExactSum sum = exact_sum(random_doubles(random, 300, 0, 0x7ff));
    const auto limbs = sum.state().first<ExactSum::limb_count - 1>();
    ASSERT_GE(*std::ranges::min_element(limbs), 0);
    ASSERT_LT(*std::ranges::max_element(limbs), std::int64_t{1} << 32);
  }
}

TEST(exact_sum, two_to_the_thirty_states_may_be_added) {
  constexpr std::int64_t states = std::int64_t{1} << 30;
  Random random{11};
  for (int i = 0; i < 20; ++i) {
    std::vector<double> values = random_doubles(random, 100, 0, 0x7ff);
    values.push_back(-least);  // negative values leave limbs full of ones
    ExactSum sum = exact_sum(values);
    std::array<std::int64_t, ExactSum::state_size> state{};
    std::ranges::transform(sum.state(), state.begin(), [](std::int64_t limb) { return limb * states; });
    const Fixed reference = reference_sum(values).shifted_up(30);
    ASSERT_EQ(bits(ExactSum::from_state(state).round()), bits(reference.rounded()));
    ASSERT_TRUE(is_nearest_quotient(ExactSum::from_state(state).round_quotient(0x1p30), reference, 1ULL << 30));
  }
}

TEST(exact_sum, doubled_sixty_two_times_stays_exact) {
  for (const double value : {DBL_MAX, -DBL_MAX, 1.0, -0x1.fffffffffffffp-3, least}) {
    ExactSum sum = exact_sum({value});
    for (int i = 0; i < 62; ++i) sum.add(sum);
    EXPECT_EQ(sum.round(), std::ldexp(value, 62));
    EXPECT_EQ(sum.round_quotient(0x1p53), std::ldexp(value, 9));
    ExactSum opposite = exact_sum({-value});
    for (int i = 0; i < 62; ++i) opposite.add(opposite);
    opposite.add(value);
    sum.add(opposite);
    EXPECT_EQ(sum.round(), value);
  }
}

TEST(exact_sum, billions_of_additions_do_not_overflow_a_limb) {
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
  constexpr std::uint64_t additions = (std::uint64_t{1} << 31) + 3;  // without propagation, a limb would overflow
#else
  constexpr std::uint64_t additions = (std::uint64_t{1} << 20) + 3;
#endif
  const double value = 0x1.fffffffffffffp-30;  // 2^32 - 1 in one limb
  ExactSum sum;
  for (std::uint64_t i = 0; i < additions; ++i) sum.add(-value);
  EXPECT_EQ(bits(sum.round()), bits((Fixed{-value} * additions).rounded()));
}

TEST(round_quotient, random_sums_are_divided_to_the_nearest) {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::uint64_t count = 1 + below(random, 200);
    const std::vector<double> values =
        random_doubles(random, 1 + below(random, 8), below(random, 0x7fe - count), count);
    const std::uint64_t divisor = 1 + below(random, std::uint64_t{1} << below(random, 54));
    const double quotient = exact_sum(values).round_quotient(static_cast<double>(divisor));
    ASSERT_TRUE(is_nearest_quotient(quotient, reference_sum(values), divisor)) << quotient << ", divisor " << divisor;
  }
}

TEST(round_quotient, a_hair_beside_a_tie_decides) {
  // quotient * divisor is the middle of two doubles, and the last summand is far below the precision of a double.
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::uint64_t divisor = 1 + below(random, std::uint64_t{1} << below(random, 46));
    const auto n = static_cast<double>(divisor);
    const std::uint64_t mantissa = (std::uint64_t{1} << 52) + below(random, std::uint64_t{1} << 52);
    for (const double hair : {0.0, 0x1p-60, -0x1p-60, 0x1p-200, -0x1p-200, least, -least}) {
      std::vector<double> values{n / 2, hair};
      // mantissa * divisor, in parts that are doubles
      for (int bit = 0; bit < 53; ++bit) {
        if ((mantissa >> bit & 1) != 0) values.push_back(std::ldexp(n, bit));
      }
      for (const double sign : {1.0, -1.0}) {
        std::vector<double> signed_values;
        for (const double value : values) signed_values.push_back(sign * value);
        const double quotient = exact_sum(signed_values).round_quotient(n);
        ASSERT_TRUE(is_nearest_quotient(quotient, reference_sum(signed_values), divisor))
            << quotient << ", divisor " << divisor << ", hair " << hair;
      }
    }
  }
}

TEST(round_quotient, sum_beyond_all_doubles_is_divided_back) {
  EXPECT_EQ(exact_sum({DBL_MAX, DBL_MAX}).round_quotient(2), DBL_MAX);
  EXPECT_EQ(exact_sum({-DBL_MAX, -DBL_MAX, -DBL_MAX}).round_quotient(3), -DBL_MAX);
  EXPECT_EQ(exact_sum({DBL_MAX, DBL_MAX, DBL_MAX}).round_quotient(2), infinity);
  EXPECT_EQ(exact_sum({DBL_MAX, 0x1p970}).round_quotient(1), infinity);
}

TEST(round_quotient, subnormal_quotients_are_rounded_once) {
  EXPECT_EQ(exact_sum({least}).round_quotient(2), 0.0);
  EXPECT_EQ(exact_sum({least, least, least}).round_quotient(2), 2 * least);
  EXPECT_EQ(exact_sum({DBL_MIN}).round_quotient(1), DBL_MIN);
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    SCOPED_TRACE(seed_text(seed));
    Random random{seed};
    const std::vector<double> values = random_doubles(random, 1 + below(random, 4), 0, 1 + below(random, 80));
    const std::uint64_t divisor = 1 + below(random, std::uint64_t{1} << below(random, 54));
    const double quotient = exact_sum(values).round_quotient(static_cast<double>(divisor));
    ASSERT_TRUE(is_nearest_quotient(quotient, reference_sum(values), divisor)) << quotient << ", divisor " << divisor;
  }
}

TEST(round_quotient, zero_sum_is_plus_zero) {
  EXPECT_EQ(bits(exact_sum({}).round_quotient(7)), bits(0.0));
  EXPECT_EQ(bits(exact_sum({-1, 1}).round_quotient(7)), bits(0.0));
}

}  // namespace
}  // namespace echelon::numeric
