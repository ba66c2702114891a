#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include <unistd.h>

#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/starter.hpp>

#include "line.hpp"
#include "stop_signals.hpp"
#include "watch_place.hpp"

namespace echelon::launch {

Starter::Starter() {
  signal(SIGPIPE, SIG_IGN);
  count_stop_signals();
  if (std::array<int, 3> given{}; (line_ = connect_line(std::getenv(starter_variable), given, files_)) >= 0) {
    input_ = given[0];
    output_ = given[1];
    errors_ = given[2];
    // Ranks are no foreground processes: where a terminal was told to stop those that write, rank 0 would.
    if (isatty(output_) != 0 || isatty(errors_) != 0) signal(SIGTTOU, SIG_IGN);
    return;
  }
  line_ = tell_out_of_reach();
}

Starter::~Starter() {
  if (!is_here()) return;
  for (const int descriptor : {line_, input_, output_, errors_}) close(descriptor);
  for (const GivenFile& file : files_) close(file.descriptor);
}

int Starter::file(std::string_view name) const noexcept {
  const auto found = std::ranges::find(files_, name, &GivenFile::name);
  return found == files_.end() ? -1 : found->descriptor;
}

int Starter::stop_requests() noexcept {
  if (line_ >= 0 && requests_ < 2) {
    const LineRequests news = requests_on(line_);
    // Where it is closed nobody is there any more who could ask.
    requests_ = news.is_closed ? 2 : std::min(2, requests_ + news.count);
  }
  // The same signal may have come to this process as well as to the starter.
  return std::max(requests_, counted_stop_signals());
}

void expect_stop_signals(int rank) noexcept {
  if (rank == 0) {
    if (std::getenv(starter_variable) != nullptr) expect_handed_on_signals();
    return count_stop_signals();
  }
  struct sigaction action {};
  action.sa_handler = [](int) {};  // unlike SIG_IGN, not for the programs that this one runs
  action.sa_flags = SA_RESTART;
  for (const int number : stop_signals) sigaction(number, &action, nullptr);
}

}  // namespace echelon::launch
