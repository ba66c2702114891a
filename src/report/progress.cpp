#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include <echelon/report/progress.hpp>

namespace echelon::report {
namespace {

constexpr const char* wipe_line = "\r\x1b[K";

}  // namespace

std::string progress_text(double done, std::chrono::duration<double> elapsed) {
  std::string percent = fmt::format("{:.0f} % done", 100 * std::clamp(done, 0.0, 1.0));
  if (done <= 0) return percent;
  const double left_s = std::max(0.0, elapsed.count() * (1 / done - 1));
  const auto whole = static_cast<std::uint64_t>(std::llround(std::min(left_s, 1e9)));
  if (whole < 60) return fmt::format("{}, {} s left", percent, whole);
  if (whole < 3600) return fmt::format("{}, {} min {:02} s left", percent, whole / 60, whole % 60);
  return fmt::format("{}, {} h {:02} min left", percent, whole / 3600, whole / 60 % 60);
}

ProgressLine::~ProgressLine() {
  if (dirty_) std::fputs(wipe_line, stderr);
}

void ProgressLine::update(double done) {
  if (!shown_) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds{250};
  dirty_ = true;
  std::fputs((wipe_line + progress_text(done, now - begin_)).c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace echelon::report
