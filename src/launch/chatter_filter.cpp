#include <regex>
#include <utility>

#include <echelon/launch/chatter_filter.hpp>

namespace echelon::launch {
namespace {

/// Of the lines of dashes that Open MPI puts before and after what it has to say.
constexpr std::size_t fence_length = 74;

/// What mpirun adds to, or says of its own trouble with, such a text: nothing that a user could act on.
bool is_aside(std::string_view line) {
  const auto says = [&](std::string_view words) { return line.find(words) != std::string_view::npos; };
  return line.starts_with('[') && (says(" sent help message ") || says("\"orte_base_help_aggregate\"") ||
                                   (says("ORTE_ERROR_LOG") && says("show_help.c")));
}

}  // namespace

std::string ChatterFilter::feed(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    line_ += c;
    if (c == '\n') {
      out += take_line(line_);
      line_.clear();
    }
  }
  // A line that cannot become one of mpirun's need not wait for its end: a progress line has none.
  if (!block_ && !line_.starts_with('[') && line_.find_first_not_of('-') != std::string::npos) {
    out += line_;
    line_.clear();
  }
  return out;
}

std::string ChatterFilter::finish() {
  std::string rest = std::exchange(line_, {});
  if (block_ && !is_about_ranks(*block_ + rest))
    rest = *block_ + rest;
  else if (block_)
    rest.clear();
  block_.reset();
  return rest;
}

std::string ChatterFilter::take_line(std::string_view line) {
  const bool dashes = line.size() == fence_length + 1 && line.find_first_not_of('-') == fence_length;
  if (!block_) {
    if (is_aside(line)) return {};
    if (!dashes) return std::string{line};
    block_ = line;
    return {};
  }
  block_->append(line);
  if (!dashes) return {};
  const std::string block = *std::exchange(block_, std::nullopt);
  return is_about_ranks(block) ? std::string{} : block;
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
  return status;
}

}  // namespace echelon::launch
