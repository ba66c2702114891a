#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <echelon/numeric/exact_sum.hpp>

namespace echelon::numeric {
namespace {

constexpr int limb_bits = 32;
constexpr std::int64_t limb_mask = (std::int64_t{1} << limb_bits) - 1;
constexpr std::size_t nan_slot = ExactSum::limb_count;
constexpr std::size_t plus_infinity_slot = nan_slot + 1;
constexpr std::size_t minus_infinity_slot = nan_slot + 2;
// Each addition changes a limb by less than 2^32, so 2^30 of them stay below 2^62 and one more state still fits.
constexpr std::uint32_t max_uncarried = std::uint32_t{1} << 30;
constexpr int lowest_exponent = -1074;  // of the unit in limb 0

/// The bits [low, low + 64) of a magnitude held in normalised limbs.
std::uint64_t bits_at(std::span<const std::int64_t> limbs, int low) {
  std::uint64_t result = 0;
  for (int bit = low / limb_bits * limb_bits; bit < low + 64; bit += limb_bits) {
    const auto limb = static_cast<std::size_t>(bit / limb_bits);
    if (limb >= limbs.size()) break;
    const auto value = static_cast<std::uint64_t>(limbs[limb]);
    result |= bit < low ? value >> (low - bit) : value << (bit - low);
  }
  return result;
}

bool any_bit_below(std::span<const std::int64_t> limbs, int end) {
  const auto whole = static_cast<std::size_t>(end / limb_bits);
  for (std::size_t i = 0; i < whole; ++i) {
    if (limbs[i] != 0) return true;
  }
  const std::int64_t partial_mask = (std::int64_t{1} << (end % limb_bits)) - 1;
  return (limbs[whole] & partial_mask) != 0;
}

/// A magnitude held in normalised limbs that count 2^unit_exponent (`more`: and a part of a unit), rounded to nearest,
/// ties to even.
double rounded(std::span<const std::int64_t> limbs, int unit_exponent, bool more) {
  std::size_t top = limbs.size() - 1;
  while (top > 0 && limbs[top] == 0) --top;
  const int top_width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(limbs[top])));
  const int width = static_cast<int>(top) * limb_bits + top_width;
  // Subnormal numbers end where doubles do, whatever their width.
  const int dropped = std::max(width - 53, lowest_exponent - unit_exponent);
  std::uint64_t mantissa = bits_at(limbs, dropped) & ((std::uint64_t{1} << 53) - 1);
  if (dropped > 0 && (bits_at(limbs, dropped - 1) & 1) != 0) {
    const bool tie = !more && !any_bit_below(limbs, dropped - 1);
    if (!tie || (mantissa & 1) != 0) ++mantissa;
  }
  return std::ldexp(static_cast<double>(mantissa), dropped + unit_exponent);
}

}  // namespace

void ExactSum::add(double value) noexcept {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const int biased_exponent = static_cast<int>(bits >> 52) & 0x7ff;
  std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
  if (biased_exponent == 0x7ff) {
    const std::size_t slot = mantissa != 0 ? nan_slot : value > 0 ? plus_infinity_slot : minus_infinity_slot;
    ++state_[slot];
    return;
  }
  // A subnormal has the exponent of the smallest normal number and no implicit bit.
  if (biased_exponent != 0) mantissa |= std::uint64_t{1} << 52;
  const int shift = std::max(biased_exponent - 1, 0);
  const auto limb = static_cast<std::size_t>(shift / limb_bits);
  const int within = shift % limb_bits;
  // 53 bits shifted by up to 31 cover three limbs.
  const std::uint64_t low = mantissa << within;
  const std::uint64_t high = within == 0 ? 0 : mantissa >> (64 - within);
  const std::int64_t sign = static_cast<std::int64_t>(bits) >> 63;  // 0, or -1: (x ^ -1) - -1 is -x
  state_[limb] += (static_cast<std::int64_t>(low & limb_mask) ^ sign) - sign;
  state_[limb + 1] += (static_cast<std::int64_t>(low >> limb_bits) ^ sign) - sign;
  state_[limb + 2] += (static_cast<std::int64_t>(high) ^ sign) - sign;
  if (++uncarried_ == max_uncarried) propagate_carries();
}

void ExactSum::add(const ExactSum& other) noexcept {
  propagate_carries();
  for (std::size_t i = 0; i < state_size; ++i) state_[i] += other.state_[i];
  propagate_carries();
}

std::span<const std::int64_t, ExactSum::state_size> ExactSum::state() noexcept {
  propagate_carries();
  return state_;
}

ExactSum ExactSum::from_state(std::span<const std::int64_t, state_size> state) noexcept {
  ExactSum sum;
  std::ranges::copy(state, sum.state_.begin());
  sum.propagate_carries();
  return sum;
}

/// Afterwards every limb is in [0, 2^32) but the last, which carries the sign of the whole.
void ExactSum::propagate_carries() noexcept {
  std::int64_t carry = 0;
  for (std::size_t i = 0; i + 1 < limb_count; ++i) {
    const std::int64_t value = state_[i] + carry;
    state_[i] = value & limb_mask;
    carry = value >> limb_bits;  // arithmetic: rounds down
  }
  state_[limb_count - 1] += carry;
  uncarried_ = 0;
}

double ExactSum::round() const noexcept { return round_quotient(1); }

double ExactSum::round_quotient(double divisor) const noexcept {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const bool plus = state_[plus_infinity_slot] != 0;
  const bool minus = state_[minus_infinity_slot] != 0;
  if (state_[nan_slot] != 0 || (plus && minus)) return std::numeric_limits<double>::quiet_NaN();
  if (plus) return infinity;
  if (minus) return -infinity;

  ExactSum magnitude = *this;
  magnitude.propagate_carries();
  const bool negative = magnitude.state_[limb_count - 1] < 0;
  if (negative) {
    for (std::size_t i = 0; i < limb_count; ++i) magnitude.state_[i] = -magnitude.state_[i];
    magnitude.propagate_carries();
  }
  // Long division by bytes: the remainder, below 2^53, and the next byte fit into 64 bits. Limb 0 takes the fraction.
  const auto by = static_cast<std::uint64_t>(divisor);
  std::array<std::int64_t, limb_count + 1> quotient{};
  std::uint64_t remainder = 0;
  for (std::size_t i = quotient.size(); i-- > 0;) {
    const auto limb = i == 0 ? 0 : static_cast<std::uint64_t>(magnitude.state_[i - 1]);
    for (int shift = limb_bits - 8; shift >= 0; shift -= 8) {
      remainder = remainder << 8 | (limb >> shift & 0xff);
      quotient[i] = quotient[i] << 8 | static_cast<std::int64_t>(remainder / by);
      remainder %= by;
    }
  }
  const double result = rounded(quotient, lowest_exponent - limb_bits, remainder != 0);
  return negative ? -result : result;
}

}  // namespace echelon::numeric
