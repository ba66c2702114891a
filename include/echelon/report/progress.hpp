#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace echelon::report {

/// "42 % done, 3 s left", from how long the part that is done took.
[[nodiscard]] std::string progress_text(double done, std::chrono::duration<double> elapsed);

/// How far a list of tasks is.
struct TaskProgress {
  std::uint64_t ended = 0;  ///< well or not, in earlier runs too
  std::uint64_t failed = 0;
  std::optional<std::uint64_t> total;  ///< where it is known
  std::uint64_t ended_now = 0;         ///< in this run
};
/// "120 of 5000 done, 3 failed, 42 s left", from the pace of this run.
[[nodiscard]] std::string progress_text(const TaskProgress& tasks, std::chrono::duration<double> elapsed);

/// As in "42 s" or "3 h 05 min".
[[nodiscard]] std::string time_text(double seconds);

/// One line on a terminal, rewritten a few times a second from the first second on, and wiped at the end.
class ProgressLine {
 public:
  /// `terminal`: a descriptor; the same that others print to, or the line would come among what they print.
  explicit ProgressLine(bool shown, int terminal = 2) : shown_{shown}, terminal_{terminal} {}
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(double done);
  void update(const TaskProgress& tasks);
  void update(const std::string& text);
  /// Wiped, until the next update: something else is printed.
  void clear();

 private:
  [[nodiscard]] bool is_due();
  void show(const std::string& text);

  void write(const std::string& text) const;

  using Clock = std::chrono::steady_clock;
  bool shown_;
  int terminal_;
  bool dirty_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_ = begin_ + std::chrono::seconds{1};
};

}  // namespace echelon::report
