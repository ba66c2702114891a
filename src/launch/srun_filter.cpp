#include <csignal>
#include <cstring>
#include <regex>
#include <utility>

#include <echelon/launch/srun_filter.hpp>

namespace echelon::launch {
namespace {

/// srun names signals as strsignal() does; 0 where it is none.
int signal_of(std::string_view name) {
  for (int signal = 1; signal < NSIG; ++signal) {
    if (const char* text = strsignal(signal); text != nullptr && name == text) return signal;
  }
  return 0;
}

/// A line that could be one of theirs, as far as it is there.
bool may_be_slurms(std::string_view line) {
  for (const std::string_view begin : {"srun: ", "slurmstepd"}) {
    if (line.starts_with(begin) || begin.starts_with(line)) return true;
  }
  return false;
}

}  // namespace

std::string SrunFilter::feed(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    line_ += c;
    if (c != '\n') continue;
    if (mid_line_ || !is_kept_back(line_)) out += line_;
    line_.clear();
    mid_line_ = false;
  }
  // What cannot become one of theirs need not wait for its end: a progress line has none.
  if (!line_.empty() && (mid_line_ || !may_be_slurms(line_))) {
    out += std::exchange(line_, {});
    mid_line_ = true;
  }
  return out;
}

std::string SrunFilter::finish() {
  std::string rest = std::exchange(line_, {});
  return !mid_line_ && is_kept_back(rest) ? std::string{} : rest;
}

bool SrunFilter::is_kept_back(std::string_view line) {
  if (!may_be_slurms(line)) return false;
  const auto says = [&](std::string_view words) { return line.find(words) != std::string_view::npos; };
  static const std::regex ended{R"(^srun: error: (\S+): tasks? (\d+)[^:]*: (.*?)( \(core dumped\))?\n?$)"};
  const std::string text{line};
  if (std::smatch match; std::regex_match(text, match, ended)) {
    const int signal = signal_of(match[3].str());
    if (signal != 0 && signal != SIGTERM && !killed_) killed_ = {std::stoi(match[2]), match[1], signal, match[3]};
    return signal != 0 || says(": Exited with exit code ");
  }
  if (says(" DUE TO ")) return false;  // a time limit, or a node that failed
  return says("Terminating StepId=") || says("Force Terminated StepId=") || says("Terminating job step") ||
         says("forcing job termination") || says("Timed out waiting for job step to complete") ||
         says("Job step aborted") || says(" CANCELLED AT ") || says("mpi/pmix") ||
         says("lacks support for cpu binding");
}

}  // namespace echelon::launch
