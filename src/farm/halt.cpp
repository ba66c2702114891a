#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/farm/halt.hpp>

namespace echelon::farm {
namespace {

[[noreturn]] void refuse(std::string_view text, std::string_view reason) {
  throw base::UsageError(fmt::format(
      "--halt {}: {}; write never, or now or soon with a reason, as in now,fail=1, soon,success=3 or soon,done=10%",
      text, reason));
}

/// N or N%, into `halt`.
void parse_number(std::string_view number, std::string_view text, Halt& halt) {
  halt.is_percent = number.ends_with('%');
  if (halt.is_percent) number.remove_suffix(1);
  const char* const end = number.data() + number.size();
  const auto [rest, error] = std::from_chars(number.data(), end, halt.number);
  if (number.empty() || rest != end || error != std::errc{}) {
    refuse(text, "the number of tasks is to be a whole number or a percentage");
  }
  if (halt.number == 0) refuse(text, "the number of tasks is to be 1 or more");
  if (halt.is_percent && halt.number > 100) refuse(text, "more than 100% cannot be");
}

/// Whether `count` tasks are `percent` of `total` or more, for counts of any size.
bool is_share(std::uint64_t count, std::uint64_t percent, std::uint64_t total) {
  // ceil(percent * total / 100), in parts that cannot overflow; percent <= 100.
  const std::uint64_t needed = percent * (total / 100) + (percent * (total % 100) + 99) / 100;
  return count >= needed;
}

}  // namespace

Halt parse_halt(std::string_view text) {
  using When = Halt::When;
  using Why = Halt::Why;
  if (text == "never" || text == "0") return {};
  if (text == "1") return {When::soon, Why::fail};
  if (text == "2") return {When::now, Why::fail};
  if (text == "-1") return {When::soon, Why::success};
  if (text == "-2") return {When::now, Why::success};
  Halt halt{When::soon, Why::fail};
  if (text.ends_with('%') && text.find(',') == std::string_view::npos) {
    parse_number(text, text, halt);
    return halt;
  }
  const std::size_t comma = text.find(',');
  const std::string_view when = text.substr(0, comma);
  if (when != "now" && when != "soon") refuse(text, "it begins with neither never, now nor soon");
  if (when == "now") halt.when = When::now;
  const std::string_view reason = comma == std::string_view::npos ? "" : text.substr(comma + 1);
  const std::size_t equals = reason.find('=');
  const std::string_view why = reason.substr(0, equals);
  if (why == "success") {
    halt.why = Why::success;
  } else if (why == "done") {
    halt.why = Why::done;
  } else if (why != "fail") {
    refuse(text, "the reason is to be fail, success or done");
  }
  parse_number(equals == std::string_view::npos ? "" : reason.substr(equals + 1), text, halt);
  return halt;
}

std::optional<Halt::When> decide(const Halt& halt, std::uint64_t ended, std::uint64_t failed, std::uint64_t succeeded,
                                 std::optional<std::uint64_t> total) {
  if (halt.when == Halt::When::never) return std::nullopt;
  std::uint64_t count = ended;
  if (halt.why == Halt::Why::fail) count = failed;
  if (halt.why == Halt::Why::success) count = succeeded;
  if (count == 0) return std::nullopt;
  if (!halt.is_percent) return count >= halt.number ? std::optional{halt.when} : std::nullopt;
  return total && is_share(count, halt.number, *total) ? std::optional{halt.when} : std::nullopt;
}

void RunTimes::add(double seconds) {
  const double bin = seconds > shortest_s ? std::floor(std::log(seconds / shortest_s) / std::log(ratio)) : 0;
  ++counts_[static_cast<std::size_t>(std::min(bin, static_cast<double>(bins - 1)))];
  ++total_;
}

std::optional<double> RunTimes::limit(double percent) const {
  if (total_ < least) return std::nullopt;
  std::uint64_t before = 0;
  std::size_t bin = 0;
  while (before + counts_[bin] <= total_ / 2) before += counts_[bin++];
  const double median_s = shortest_s * std::pow(ratio, static_cast<double>(bin) + 0.5);
  return median_s * percent / 100;
}

}  // namespace echelon::farm
