#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <utility>

#include <echelon/launch/chatter.hpp>

namespace echelon::launch {
namespace {

enum class Form {
  block,   ///< between two lines of dashes, with any white space as one blank
  tagged,  ///< a line, or the rest of one, that begins with "[HOST:PID] "
  line,    ///< a whole line
};
enum class When {
  always,
  started,  ///< once MPI has started on all ranks
  decided,  ///< once the run is (Chatter::pass_over)
};

/// What is kept back: found anywhere in a block or a tagged line; a whole line must match.
struct Kept {
  const char* launcher;
  Form form;
  const char* pattern;
  When when;
  const char* why;
};

constexpr const char* how_it_ended = "Echelon says in a line of its own which rank ended, and how";
constexpr const char* not_the_users = "about trouble of the launcher's own, for which a user can do nothing";

const std::array table{
    Kept{"Open MPI 4, 5", Form::block, "exited on signal \\d", When::always, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "exited with non-zero status", When::always, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "a non-zero exit code", When::always, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "exiting improperly", When::always, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "MPI_ABORT was invoked", When::always, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "peer process has unexpectedly disconnected", When::started, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "failed to TCP connect to a peer", When::started, how_it_ended},
    Kept{"Open MPI 4, 5", Form::block, "lost communication with a remote daemon", When::started, how_it_ended},
    Kept{"Open MPI 4", Form::block, "unable to reliably start one or more daemons", When::started,
         "a daemon was lost, long after its start"},
    Kept{"Open MPI 4, 5", Form::tagged, " sent help message |base_help_aggregate\"", When::always,
         "counts paragraphs like those above"},
    Kept{"Open MPI 4", Form::tagged, "ORTE_ERROR_LOG.*show_help\\.c", When::always, not_the_users},
    Kept{"Open MPI 4", Form::tagged, "PMIX ERROR.*pmix_event_notification\\.c", When::always,
         "it tells ranks that one is lost, and does not know how"},
    Kept{"Open MPI 4", Form::tagged, "Warning: setpgid\\(.* failed in parent with errno=", When::always,
         "the child, which has done it too, was faster"},
    Kept{"Open MPI 4", Form::line, "mpirun: Forwarding signal \\d+ to job", When::always, "Echelon has asked it to"},
    Kept{"Open MPI 4", Form::line, "\\[warn\\] Epoll .*", When::always, not_the_users},
    Kept{"Open MPI 4, 5", Form::line,
         "\\*\\*\\* (An error occurred in MPI_|on a |MPI_ERRORS_ARE_FATAL |   and potentially your MPI job).*",
         When::decided, "its ranks lose each other, or their launcher, one after another"},
    Kept{"Open MPI 4, 5", Form::line, "(mpirun: abort|Abort) is (already )?in progress.*", When::decided,
         "Echelon has asked it to end, while it did"},
    Kept{"SLURM", Form::line,
         "srun: error: \\S+: tasks? \\d[^:]*: (Killed|Terminated|Hangup|Interrupt|Quit|Aborted|Segmentation fault|Bus "
         "error|Floating point exception|Illegal instruction|Alarm clock|User defined signal [12]|CPU time limit "
         "exceeded|File size limit exceeded|Bad system call|Trace/breakpoint trap)( \\(core dumped\\))?",
         When::always, how_it_ended},
    Kept{"SLURM", Form::line, "srun: error: .*: Exited with exit code .*", When::always, how_it_ended},
    Kept{"SLURM", Form::line, "(srun|slurmstepd).* CANCELLED AT \\S+ \\*\\*\\*", When::always,
         "--kill-on-bad-exit ends the step; a time limit, or a failed node, is named behind it and passes"},
    Kept{"SLURM", Form::line,
         "srun: .*(Terminating StepId=|Force Terminated StepId=|Terminating job step|forcing job termination|Timed out "
         "waiting for job step to complete|Job step aborted).*",
         When::always, "--kill-on-bad-exit ends the step"},
    Kept{"SLURM", Form::line, "(srun|slurmstepd).*mpi/pmix.*", When::always, not_the_users},
    Kept{"SLURM", Form::line, "srun: .*lacks support for cpu binding.*", When::always, not_the_users},
};

/// So begins every line for which the table has Form::line.
constexpr std::array<std::string_view, 8> openings{"*** ",
                                                   "mca_fbtl_posix_pwritev: ",
                                                   "mpirun: abort ",
                                                   "mpirun: Forwarding signal ",
                                                   "Abort is in progress",
                                                   "[warn] Epoll ",
                                                   "srun: ",
                                                   "slurmstepd"};
/// So begins what Echelon's ranks say; a rank that was killed may have begun a block and never ended it.
constexpr std::string_view of_echelon = "echelon: ";

/// Open MPI puts a line of so many dashes before and after what it has to say.
constexpr std::size_t fence_length = 74;
/// Open MPI 5 has a NUL before some of them, or behind.
constexpr std::string_view before_fences{"-\0", 2};
/// What is longer is no launcher's; std::regex needs stack for each character.
constexpr std::size_t longest_line = 2000;
constexpr std::size_t longest_block = 8000;

/// The position of "[HOST:PID] ", or of the beginning of it, as a rank's text before it may lack an end of line. The
/// size of the text if there is none.
std::size_t tag_begin(std::string_view text) {
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

bool may_open(std::string_view line) {
  return std::ranges::any_of(
      openings, [&](std::string_view opening) { return line.starts_with(opening) || opening.starts_with(line); });
}

std::string with_single_blanks(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank) out += c;
    if (blank && !out.empty() && out.back() != ' ') out += ' ';
  }
  return out;
}

bool is_in_table(Form form, const std::string& text, bool have_started, bool is_decided) {
  static const auto patterns = [] {
    std::array<std::regex, table.size()> made;
    for (std::size_t i = 0; i < table.size(); ++i) made[i] = std::regex{table[i].pattern};
    return made;
  }();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const Kept& kept = table[i];
    if (kept.form != form || (kept.when == When::started && !have_started)) continue;
    if (kept.when == When::decided && !is_decided) continue;
    if (form == Form::line ? std::regex_match(text, patterns[i]) : std::regex_search(text, patterns[i])) return true;
  }
  return false;
}

}  // namespace

std::string Chatter::feed(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    line_ += c;
    if (c == '\n') {
      out += take_line(line_);
      line_.clear();
      mid_line_ = false;
    }
  }
  // A line that cannot become one of a launcher's need not wait for its end: a progress line has none.
  if (!block_ && line_.find_first_not_of(before_fences) != std::string::npos) {
    const std::size_t own = line_.size() > longest_line ? line_.size() : own_begin(line_);
    out += line_.substr(0, own);
    line_.erase(0, own);
    mid_line_ = mid_line_ || own > 0;
  }
  return out;
}

std::string Chatter::finish() {
  std::string rest = std::exchange(line_, {});
  if (has_kept_back_ && rest.find_first_not_of('\0') == std::string::npos) rest.clear();
  if (block_) {
    rest = *std::exchange(block_, std::nullopt) + rest;
    return passes_over_all_ || is_kept_back_block(rest) ? std::string{} : rest;
  }
  return !mid_line_ && is_kept_back(rest) ? std::string{} : rest;
}

/// The position at which a launcher's own text may begin, in a line that is not at its end yet.
std::size_t Chatter::own_begin(std::string_view line) const {
  return !mid_line_ && may_open(line) ? 0 : tag_begin(line);
}

std::string Chatter::take_line(std::string_view line) {
  if (passed_over_ && line == "\n" && !mid_line_) return {};
  if (!mid_line_ && line.starts_with(of_echelon)) return std::string{line};
  const std::string_view own = line.substr(own_begin(line));
  if (is_kept_back(own.substr(0, own.size() - (own.ends_with('\n') ? 1 : 0)))) {
    const std::string_view before = line.substr(0, line.size() - own.size());
    if (!block_) return std::string{before};
    block_->append(before);
    return {};
  }
  const std::string_view text = line.substr(std::min(line.find_first_not_of('\0'), line.size()));
  const bool is_dashes = text.size() == fence_length + 1 && text.find_first_not_of('-') == fence_length;
  if (block_) return take_block_line(line, is_dashes);
  if (!is_dashes) return std::string{line};
  block_ = line;
  return {};
}

std::string Chatter::take_block_line(std::string_view line, bool is_dashes) {
  block_->append(line);
  if (!is_dashes && block_->size() < longest_block) return {};
  const std::string block = *std::exchange(block_, std::nullopt);
  const bool is_kept = is_dashes && (passes_over_all_ || is_kept_back_block(block));
  has_kept_back_ = has_kept_back_ || is_kept;
  return is_kept ? std::string{} : block;
}

bool Chatter::is_kept_back(std::string_view line) const {
  if (line.empty() || line.size() > longest_line) return false;
  const std::string text{line};
  if (!mid_line_ && may_open(line) && is_in_table(Form::line, text, have_started_, passed_over_.has_value())) {
    return true;
  }
  if (tag_begin(line) != 0) return false;
  return is_passed_over(line) || is_in_table(Form::tagged, text, have_started_, passed_over_.has_value());
}

bool Chatter::is_kept_back_block(const std::string& block) const {
  return block.size() <= longest_block &&
         is_in_table(Form::block, with_single_blanks(block), have_started_, passed_over_.has_value());
}

bool Chatter::is_passed_over(std::string_view line) const {
  if (!passed_over_) return false;
  const std::size_t end = line.find(']');
  if (end == std::string_view::npos) return false;
  if (passes_over_all_) return true;
  const std::string_view tag = line.substr(0, end);
  const std::string_view number = tag.substr(tag.rfind(':') + 1);
  int process = 0;
  std::from_chars(number.data(), number.data() + number.size(), process);  // it may begin with zeros
  return process == *passed_over_;
}

}  // namespace echelon::launch
