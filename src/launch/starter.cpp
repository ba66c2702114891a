#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <sys/socket.h>
#include <unistd.h>

#include <echelon/launch/outcome.hpp>
#include <echelon/launch/starter.hpp>

#include "line.hpp"
#include "stop_signals.hpp"

namespace echelon::launch {

Starter::Starter() {
  signal(SIGPIPE, SIG_IGN);
  if (std::array<int, 3> given{}; (line_ = connect_line(std::getenv(starter_variable), given, files_)) >= 0) {
    input_ = given[0];
    output_ = given[1];
    errors_ = given[2];
    // Ranks are no foreground processes: where a terminal was told to stop those that write, rank 0 would.
    if (isatty(output_) != 0 || isatty(errors_) != 0) signal(SIGTTOU, SIG_IGN);
    return;
  }
  count_stop_signals();
  tell_out_of_reach();
}

Starter::~Starter() {
  if (line_ < 0) return;
  for (const int descriptor : {line_, input_, output_, errors_}) close(descriptor);
  for (const GivenFile& file : files_) close(file.descriptor);
}

int Starter::file(std::string_view name) const noexcept {
  const auto found = std::ranges::find(files_, name, &GivenFile::name);
  return found == files_.end() ? -1 : found->descriptor;
}

int Starter::stop_requests() noexcept {
  if (line_ < 0) return counted_stop_signals();
  char byte = 0;
  ssize_t size = 0;
  while (requests_ < 2 && (size = recv(line_, &byte, 1, MSG_DONTWAIT)) != 0) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return requests_;
    if (size < 0) break;
    ++requests_;
  }
  return requests_ = 2;  // it was said, or nobody is there any more who could
}

void leave_stopping_to_rank_0() noexcept {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // unlike SIG_IGN, not for the programs that this one runs
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGUSR1, SIGUSR2}) sigaction(number, &action, nullptr);
}

}  // namespace echelon::launch
