#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace echelon::study {

/// One configuration of a study.
struct Point {
  std::uint64_t ranks = 1;
  std::uint64_t threads = 1;  ///< a rank

  [[nodiscard]] std::uint64_t processors() const noexcept { return ranks * threads; }
  bool operator==(const Point&) const = default;
};

/// What a study is to measure, as plan.json keeps it: all that its runs and their order follow from.
struct Plan {
  std::vector<std::uint64_t> ranks{1};
  std::vector<std::uint64_t> threads{1};
  std::uint64_t repeat = 10;              ///< measured runs of a point; without `precision`
  std::optional<double> precision;        ///< half the width of the median's 95 % interval over the median
  std::uint64_t max_repeat = 100;         ///< with `precision`
  std::optional<double> budget_s;         ///< of all runs together, from launch to exit
  std::uint64_t warmup = 1;               ///< runs of a point before its measured ones, which do not count
  std::string weak;                       ///< of the work, by p processors; empty: strong scaling
  std::optional<std::uint64_t> baseline;  ///< ranks
  std::string launcher = "auto";
  std::vector<std::string> command;
  std::uint64_t seed = 1;  ///< of the order of runs
  std::string folder;      ///< in which runs are started

  bool operator==(const Plan&) const = default;
};

/// All ranks with all threads, by processors, then ranks.
[[nodiscard]] std::vector<Point> points(const Plan& plan);

/// Throws base::UsageError, naming the option.
void check(const Plan& plan);

/// Whole numbers as a list: 1,2,4,8 or 1-4 or 1..64:x2 or 12..48:+12, and these joined by commas; ascending, each once.
/// Throws base::UsageError.
[[nodiscard]] std::vector<std::uint64_t> parse_counts(std::string_view text, std::uint64_t max);

/// One JSON object, ending in a newline. @pre check() passed
[[nodiscard]] std::string to_json(const Plan& plan);
/// Members that are missing are as in `otherwise`; ranks and threads may also be text, as parse_counts() takes it.
/// Throws std::runtime_error, saying what is wrong: an unknown member too, for it may be a mistyped one.
[[nodiscard]] Plan plan_from_json(std::string_view text, const Plan& otherwise = {});

/// What is not the same, as in "ranks (1,2 before, 1,2,4 now)"; empty where nothing. `folder` may differ.
[[nodiscard]] std::string difference(const Plan& before, const Plan& now, std::string_view in_before = "before",
                                     std::string_view in_now = "now");

/// The same, but for what a study that goes on may have anew: another budget, and more runs of a point.
[[nodiscard]] std::string difference_on_resume(const Plan& before, const Plan& now);

}  // namespace echelon::study
