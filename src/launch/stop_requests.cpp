#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include <echelon/launch/rank_report.hpp>
#include <echelon/launch/starter.hpp>
#include <echelon/launch/stop_requests.hpp>

#include "line.hpp"
#include "stop_signals.hpp"
#include "watch_place.hpp"

namespace echelon::launch {

StopRequests::StopRequests() {
  // The starter's descriptors are not needed: what the program prints goes by its own, in its own order.
  std::vector<GivenFile> files;  // a program of the library is given none
  if (std::array<int, 3> given{}; (line_ = connect_line(std::getenv(starter_variable), given, files)) >= 0) {
    for (const int descriptor : given) close(descriptor);
  }
  count_stop_signals(TakeOver::defaults);
  is_out_of_reach_ = line_ < 0;
  if (is_out_of_reach_) line_ = tell_out_of_reach();
}

StopRequests::~StopRequests() {
  release_stop_signals();
  if (line_ >= 0 && !is_out_of_reach_) close(line_);
}

void StopRequests::wait(int wake, int limit_ms) const noexcept {
  // poll() passes over what is -1.
  std::array<pollfd, 3> sources{{{wake, POLLIN, 0},
                                 {asked_by_line_ < 2 ? line_ : -1, POLLIN, 0},
                                 {counted_stop_signals() < 2 ? stop_signals_descriptor() : -1, POLLIN, 0}}};
  poll(sources.data(), sources.size(), limit_ms);
}

int StopRequests::count() noexcept {
  if (line_ >= 0 && asked_by_line_ < 2) {
    const LineRequests news = requests_on(line_);
    asked_by_line_ = std::min(2, asked_by_line_ + news.count);
    if (news.last_signal != 0) signal_ = news.last_signal;
    if (news.is_closed) {
      asked_by_line_ = 2;  // nobody is there any more who could ask
      starter_is_gone_ = true;
    }
  }
  clear_stop_signals_descriptor();
  if (const int signals = counted_stop_signals(); signals > asked_by_signals_) {
    asked_by_signals_ = signals;
    signal_ = last_stop_signal();
  }
  return std::max(asked_by_line_, asked_by_signals_);
}

void leave_all_stopping_to_rank_0() noexcept {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // unlike SIG_IGN, not for the programs that this one runs
  action.sa_flags = SA_RESTART;
  take_over_stop_signals(action, TakeOver::defaults);
}

}  // namespace echelon::launch
