#include <algorithm>
#include <csignal>

#include <fmt/format.h>

#include <echelon/map/joblog.hpp>

namespace echelon::map {

std::string joblog_header() { return "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"; }

std::string joblog_line(const farm::Ending& ending, std::string_view line) {
  int exit_code = ending.exit_code;
  int signal = ending.signal;
  if (ending.timed_out) {  // whatever it did when it was told to end
    exit_code = -1;
    if (signal == 0) signal = SIGTERM;
  }
  if (ending.rank < 0 && exit_code == 0 && signal == 0) exit_code = -1;
  // Nothing is sent: the inputs are on the command line.
  std::string text = fmt::format("{}\t{}\t{:.3f}\t{:10.3f}\t0\t{}\t{}\t{}\t", ending.task + 1, ending.host,
                                 ending.started_at, ending.wall_s, ending.output_bytes, exit_code, signal);
  text += line;
  std::replace(text.end() - static_cast<std::ptrdiff_t>(line.size()), text.end(), '\n', '\0');
  return text += '\n';
}

}  // namespace echelon::map
