#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/report/progress.hpp>

namespace echelon::report {
namespace {

constexpr const char* wipe_line = "\r\x1b[K";

}  // namespace

std::string time_text(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::llround(std::clamp(seconds, 0.0, 1e9)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

std::string progress_text(double done, std::chrono::duration<double> elapsed) {
  const std::string percent = fmt::format("{:.0f} % done", 100 * std::clamp(done, 0.0, 1.0));
  if (done <= 0) return percent;
  return fmt::format("{}, {} left", percent, time_text(elapsed.count() * (1 / done - 1)));
}

std::string progress_text(const TaskProgress& tasks, std::chrono::duration<double> elapsed) {
  std::string text =
      tasks.total ? fmt::format("{} of {} done", tasks.ended, *tasks.total) : fmt::format("{} done", tasks.ended);
  if (tasks.failed > 0) text += fmt::format(", {} failed", tasks.failed);
  if (!tasks.total || tasks.ended_now == 0) return text;
  const auto left = static_cast<double>(*tasks.total - std::min(*tasks.total, tasks.ended));
  return text + fmt::format(", {} left", time_text(elapsed.count() * left / static_cast<double>(tasks.ended_now)));
}

ProgressLine::~ProgressLine() { clear(); }

bool ProgressLine::is_due() {
  if (!shown_ || Clock::now() < next_) return false;
  next_ = Clock::now() + std::chrono::milliseconds{250};
  return true;
}

void ProgressLine::show(const std::string& text) {
  dirty_ = true;
  write(wipe_line + text);
}

void ProgressLine::update(double done) {
  if (is_due()) show(progress_text(done, Clock::now() - begin_));
}

void ProgressLine::update(const TaskProgress& tasks) {
  if (is_due()) show(progress_text(tasks, Clock::now() - begin_));
}

void ProgressLine::update(const std::string& text) {
  if (is_due()) show(text);
}

void ProgressLine::clear() {
  if (!std::exchange(dirty_, false)) return;
  write(wipe_line);
}

void ProgressLine::write(const std::string& text) const {
  // At once or not at all: it is soon written again.
  (void)!::write(terminal_, text.data(), text.size());
}

}  // namespace echelon::report
