#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace echelon::report {

/// "42 % done, 3 s left", from how long the part that is done took.
[[nodiscard]] std::string progress_text(double done, std::chrono::duration<double> elapsed);

/// One line on a terminal, rewritten a few times a second from the first second on, and wiped at the end.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_{shown} {}
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(double done);

 private:
  using Clock = std::chrono::steady_clock;
  bool shown_;
  bool dirty_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_ = begin_ + std::chrono::seconds{1};
};

}  // namespace echelon::report
