#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

#include <echelon/base/files.hpp>
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

void write_joblog(const JournalLines& journal, JournalLines::Which which,
                  const std::function<void(std::string_view)>& put) {
  put(joblog_header());
  journal.for_each_ended(which,
                         [&](const farm::Ending& ending) { put(joblog_line(ending, journal.task_line(ending.task))); });
}

void mend_joblog(int file, const std::string& path, const JournalLines& journal) {
  const auto fail = [&] {
    throw std::runtime_error(fmt::format("--joblog: cannot write '{}': {}", path, std::strerror(errno)));
  };
  std::uint64_t same = 0;  // bytes
  bool is_same = true;
  std::string there;
  write_joblog(journal, JournalLines::Which::all, [&](std::string_view text) {
    if (is_same) {
      there.resize(text.size());
      const ssize_t count = pread(file, there.data(), there.size(), static_cast<off_t>(same));
      is_same = count == static_cast<ssize_t>(text.size()) && there == text;
      if (is_same) {
        same += text.size();
      } else if (ftruncate(file, static_cast<off_t>(same)) != 0) {
        fail();
      }
    }
    if (!is_same && base::write_next(file, text) < text.size()) fail();
  });
  if (is_same && ftruncate(file, static_cast<off_t>(same)) != 0) fail();
}

}  // namespace echelon::map
