#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace echelon::farm {

/// When a farm stops before its list ends: GNU parallel's `--halt WHEN,WHY=N`.
struct Halt {
  enum class When {
    never,
    soon,  ///< what runs is waited for, nothing new is started
    now,   ///< what runs is killed
  };
  enum class Why { fail, success, done };

  When when = When::never;
  Why why = Why::fail;
  std::uint64_t number = 1;  ///< of tasks, or of hundredths of all tasks
  bool is_percent = false;

  friend bool operator==(const Halt&, const Halt&) = default;
};

/// `never`, `now,fail=1`, `soon,success=3`, `soon,done=10%`, and GNU parallel's older forms: 0 is never, 1 soon,fail=1,
/// 2 now,fail=1, -1 soon,success=1, -2 now,success=1 and 10% soon,fail=10%. Throws UsageError.
[[nodiscard]] Halt parse_halt(std::string_view text);

/// Whether to stop now that so many tasks have ended; a percentage is of all tasks, of `total`, and holds from the
/// first task on that makes it up: 10% of 25 are 3. As long as the total is not known, no percentage holds.
[[nodiscard]] std::optional<Halt::When> decide(const Halt& halt, std::uint64_t ended, std::uint64_t failed,
                                               std::uint64_t succeeded, std::optional<std::uint64_t> total);

/// How long tasks took, for a time limit that is a percentage of their median (GNU parallel's `--timeout 200%`). Takes
/// the same few KiB however many there are.
class RunTimes {
 public:
  /// Of a task that succeeded: neither those that failed early nor those that were killed say what is usual.
  void add(double seconds);
  /// Nothing before `least` tasks, as chance would choose the limit. The median is right to 1 % of itself between 1 µs
  /// and 30 years. @pre percent > 0
  [[nodiscard]] std::optional<double> limit(double percent) const;

  static constexpr std::uint64_t least = 3;

 private:
  /// Bin i holds times from `shortest_s` * `ratio`^i on. A bin's middle is then right to 0.5 %.
  static constexpr double shortest_s = 1e-6;
  static constexpr double ratio = 1.01;
  static constexpr std::size_t bins = 3468;  // ratio^bins > 30 years / shortest_s

  std::array<std::uint64_t, bins> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace echelon::farm
