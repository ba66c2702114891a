#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>

namespace echelon::base {
namespace {

/// value * 10 + digit, nothing where that does not fit.
std::optional<std::uint64_t> append(std::optional<std::uint64_t> value, unsigned digit) {
  if (!value || *value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return std::nullopt;
  return *value * 10 + digit;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// A decimal number: its digits without a point, and the power of ten that they are to be multiplied by.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

std::optional<Decimal> parse_decimal(std::string_view text) {
  Decimal number;
  std::size_t at = 0;
  const auto next_is = [&](std::string_view any_of) {
    return at < text.size() && any_of.find(text[at]) != std::string_view::npos;
  };
  if (next_is("+-")) number.negative = text[at++] == '-';
  for (bool fraction = false; at < text.size(); ++at) {
    if (is_digit(text[at])) {
      number.digits += text[at];
      number.exponent -= fraction ? 1 : 0;
    } else if (text[at] == '.' && !fraction) {
      fraction = true;
    } else if (text[at] != '_' || at == 0 || !is_digit(text[at - 1]) || at + 1 == text.size() ||
               !is_digit(text[at + 1])) {
      break;
    }
  }
  if (number.digits.empty()) return std::nullopt;
  if (next_is("eE")) {
    ++at;
    const bool down = next_is("-");
    if (next_is("+-")) ++at;
    if (at == text.size()) return std::nullopt;
    std::int64_t written = 0;
    for (; at < text.size() && is_digit(text[at]); ++at) {
      if (written < 1'000'000) written = written * 10 + (text[at] - '0');  // beyond, nothing changes
    }
    number.exponent += down ? -written : written;
  }
  return at == text.size() ? std::optional{number} : std::nullopt;
}

}  // namespace

std::uint64_t parse_count(std::string_view text, std::uint64_t min, std::uint64_t max) {
  const std::string range = "give a whole number from " + std::to_string(min) + " to " + std::to_string(max) +
                            (max >= 1'000'000'000 ? ", such as 1e9" : "");
  const auto fail = [&](std::string_view why) {
    throw UsageError("'" + std::string{text} + "' is " + std::string{why} + "; " + range);
  };
  std::optional<Decimal> number = parse_decimal(text);
  if (!number) fail("not a number");
  std::string& digits = number->digits;
  for (; number->exponent < 0 && digits.size() > 1 && digits.back() == '0'; ++number->exponent) digits.pop_back();
  if (digits.find_first_not_of('0') == std::string::npos) {
    number->exponent = 0;
    number->negative = false;
  }
  if (number->exponent < 0) fail("not a whole number");
  if (number->negative) fail("negative");
  std::optional<std::uint64_t> value = 0;
  for (const char c : digits) value = append(value, static_cast<unsigned>(c - '0'));
  for (std::int64_t i = 0; i < number->exponent && value && value != 0; ++i) value = append(value, 0);
  if (!value || *value > max) fail("too large");
  if (*value < min) fail("too small");
  return *value;
}

double parse_seconds(std::string_view text) {
  constexpr std::string_view units = "smhd";
  constexpr std::array unit_s{1.0, 60.0, 3600.0, 86400.0};
  double sum_s = 0;
  std::string_view rest = text;
  do {
    double value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value, std::chars_format::fixed);
    const bool is_number = error == std::errc{} && value >= 0 && std::isfinite(value);
    if (is_number) rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    const std::size_t unit = rest.empty() ? 0 : units.find(rest.front());
    if (!is_number || unit == std::string_view::npos) {
      throw UsageError("'" + std::string{text} + "' is not a time; give seconds, or as in 1.5m, 2h or 1h30m");
    }
    sum_s += value * unit_s[unit];
    if (!std::isfinite(sum_s)) throw UsageError("'" + std::string{text} + "' is too long a time");
    if (!rest.empty()) rest.remove_prefix(1);
  } while (!rest.empty());
  return sum_s;
}

double parse_percent(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || value <= 0 || !std::isfinite(value) ||
      std::string_view(end, text.data() + text.size()) != "%") {
    throw UsageError("'" + std::string{text} + "' is not a percentage above 0; give one with its sign, as in 5%");
  }
  return value;
}

}  // namespace echelon::base
