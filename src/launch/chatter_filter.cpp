#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <regex>
#include <utility>

#include <echelon/launch/chatter_filter.hpp>

namespace echelon::launch {
namespace {

/// Of the lines of dashes that Open MPI puts before and after what it has to say.
constexpr std::size_t fence_length = 74;

/// With this it begins to tell of a signal that it hands on to the ranks.
constexpr std::string_view forwarding = "mpirun: Forwarding signal ";

/// Where "[HOST:PID] ", with which Open MPI begins its lines, or the beginning of it, stands: a rank's text before it
/// may be without an end of line. The size of the text where nowhere.
std::size_t own_begin(std::string_view text) {
  for (std::size_t at = text.find('['); at != std::string_view::npos; at = text.find('[', at + 1)) {
    const auto skip = [&](std::size_t from, const char* set) {
      return std::min(text.find_first_not_of(set, from), text.size());
    };
    std::size_t end = skip(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._");
    if (end == text.size()) return at;
    if (text[end] != ':' || end == at + 1) continue;
    end = skip(end + 1, "0123456789");
    if (end == text.size() || text.substr(end).starts_with("] ") || text.substr(end) == "]") return at;
  }
  return text.size();
}

/// So begins what Echelon's ranks say of themselves.
constexpr std::string_view of_echelon = "echelon: ";

/// Where it is asked to end while it ends ranks; an empty line comes after it.
constexpr std::string_view abort_again = "mpirun: abort is already in progress";

/// Of a pipe that is gone, by libevent, which mpirun waits with.
constexpr std::string_view events_warning = "[warn] Epoll ";

/// What mpirun adds to, or says of its own trouble with, what it has to say: nothing that a user could act on.
bool is_aside(std::string_view line) {
  const auto says = [&](std::string_view words) { return line.find(words) != std::string_view::npos; };
  return says(" sent help message ") || says("\"orte_base_help_aggregate\"") ||
         (says("ORTE_ERROR_LOG") && says("show_help.c")) ||
         // Where a rank is lost: it tells the others, and does not know how.
         (says("PMIX ERROR") && says("pmix_event_notification.c")) ||
         // The child, which has done it too, was faster.
         (says("Warning: setpgid(") && says(" failed in parent with errno=")) ||
         (line.starts_with(forwarding) && line.ends_with(" to job\n")) || line.starts_with(events_warning);
}

}  // namespace

std::string ChatterFilter::feed(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    line_ += c;
    if (c == '\n') {
      out += take_line(line_);
      line_.clear();
      mid_line_ = false;
    }
  }
  // A line that cannot become one of mpirun's need not wait for its end: a progress line has none.
  if (!block_ && line_.find_first_not_of('-') != std::string::npos) {
    const std::size_t own = has_no_name(line_) ? 0 : own_begin(line_);
    has_reason_ = has_reason_ || (!mid_line_ && line_.starts_with(of_echelon));
    out += line_.substr(0, own);
    line_.erase(0, own);
    mid_line_ = mid_line_ || own > 0;
  }
  return out;
}

std::string ChatterFilter::finish() {
  std::string rest = std::exchange(line_, {});
  if (block_ && !is_about_ranks(*block_ + rest) && !passes_over_all_)
    rest = *block_ + rest;
  else if (block_)
    rest.clear();
  block_.reset();
  return rest;
}

std::string ChatterFilter::take_line(std::string_view line) {
  if (passed_over_ && line == "\n" && !mid_line_) return {};
  // A rank that was killed may have begun a block of dashes and never have ended it.
  if (!mid_line_ && line.starts_with(of_echelon)) {
    has_reason_ = true;
    return std::string{line};
  }
  const std::string_view own = has_no_name(line) ? line : line.substr(own_begin(line));
  if (const bool state = own.find(" ACTIVATE ") != std::string_view::npos;
      state || is_aside(own) || is_passed_over(own)) {
    if (state) note_state(std::string{own});
    const std::string_view before = line.substr(0, line.size() - own.size());
    if (!block_) return std::string{before};
    block_->append(before);
    return {};
  }
  const bool dashes = line.size() == fence_length + 1 && line.find_first_not_of('-') == fence_length;
  if (!block_) {
    if (!dashes) return std::string{line};
    block_ = line;
    return {};
  }
  block_->append(line);
  if (!dashes) return {};
  const std::string block = *std::exchange(block_, std::nullopt);
  return is_about_ranks(block) || passes_over_all_ ? std::string{} : block;
}

bool ChatterFilter::is_passed_over(std::string_view own) const {
  if (!passed_over_) return false;
  if (own.starts_with(abort_again)) return true;
  const std::size_t end = own.find("] ");
  if (!own.starts_with('[') || end == std::string_view::npos) return false;
  if (passes_over_all_) return true;
  const std::string_view host = own.substr(0, end);
  const std::string_view number = host.substr(host.rfind(':') + 1);
  int process = 0;
  std::from_chars(number.data(), number.data() + number.size(), process);  // it may begin with zeros
  return process == *passed_over_;
}

bool ChatterFilter::has_no_name(std::string_view line) const {
  const auto begins = [&](std::string_view with) { return line.starts_with(with) || with.starts_with(line); };
  return !mid_line_ && (begins(forwarding) || begins(events_warning) || begins(abort_again));
}

bool ChatterFilter::is_about_ranks(std::string_view block) {
  static const std::regex killed_by{
      R"(process\s+rank\s+(\d+)\s+with\s+PID\s+\d+\s+on\s+node\s+(\S+)\s+exited\s+on\s+signal\s+(\d+)\s+\(([^)]*)\))"};
  const std::string text{block};
  if (std::smatch match; std::regex_search(text, match, killed_by)) {
    killed_ = {std::stoi(match[1]), match[2], std::stoi(match[3]), match[4]};
    return true;
  }
  const auto says = [&](std::string_view words) { return block.find(words) != std::string_view::npos; };
  const bool status =
      says("exited with non-zero status") || says("a non-zero exit code") || says("MPI_ABORT was invoked");
  rank_failed_ = rank_failed_ || status;
  // What ranks and mpirun say of a peer or node that is gone; at the start of a run the user must see it.
  const bool lost =
      all_in_mpi_ &&
      (says("peer process has unexpectedly disconnected") || says("failed to TCP connect to a peer") ||
       says("lost communication with a remote daemon") || says("unable to reliably start one or more daemons"));
  return status || lost;
}

void ChatterFilter::note_state(const std::string& line) {
  // "[vm:123] [[8057,0],0] ACTIVATE PROC [[8057,1],2] STATE ABORTED BY SIGNAL AT file.c:1": of daemon 0, which is
  // mpirun, and of the first job, which are the ranks. The other daemons' lines repeat, or come before, what it says.
  static const std::regex of_job{R"(^\[\S+ \[\[\d+,0\],0\] ACTIVATE JOB \[\d+,1\] STATE SYNC REGISTERED AT )"};
  static const std::regex of_rank{R"(^\[\S+ \[\[\d+,0\],0\] ACTIVATE PROC \[\[\d+,1\],(\d+)\] STATE ([A-Z -]+) AT )"};
  using Kind = Failure::Kind;
  if (std::regex_search(line, of_job)) {
    all_in_mpi_ = true;
    if (failure_ && failure_->kind == Kind::ended_early) failure_.reset();  // it had been in MPI
  }
  std::smatch match;
  if (!std::regex_search(line, match, of_rank)) return;
  const int rank = std::stoi(match[1]);
  const std::string state = match[2];
  const auto is_one_of = [&](std::initializer_list<std::string_view> states) {
    return std::find(states.begin(), states.end(), state) != states.end();
  };
  if (rank == 0 && state == "RUNNING") master_started_ = true;
  const bool not_started = is_one_of({"FAILED TO START", "FAILED TO LAUNCH"});
  const bool ended =
      is_one_of({"ABORTED BY SIGNAL", "EXITED WITH NON-ZERO STATUS", "TERMINATED WITHOUT SYNC", "NORMALLY TERMINATED",
                 "KILLED BY INTERNAL COMMAND", "COMMUNICATION FAILURE", "HEARTBEAT FAILED", "LIFELINE LOST"});
  if (failure_) return;
  if (not_started)
    failure_ = {Kind::not_started, rank};
  else if (state == "CALLED ABORT")
    failure_ = {Kind::aborted, rank};
  else if (ended && rank == 0)
    failure_ = {state == "ABORTED BY SIGNAL" ? Kind::master_killed : Kind::master_ended, rank};
  else if (ended && !all_in_mpi_)
    failure_ = {Kind::ended_early, rank};
}

}  // namespace echelon::launch
