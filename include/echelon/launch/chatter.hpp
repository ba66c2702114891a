#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace echelon::launch {

/// Takes a launcher's standard error, on which the ranks' own comes too, and keeps back what launchers are known to say
/// at length about ranks that ended, or about trouble of their own that no user can do anything about. Nothing is
/// concluded from a launcher's words: what is not in the table of chatter.cpp passes, once and unchanged.
class Chatter {
 public:
  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();

  /// MPI has started on all ranks: from here on losses are Echelon's to report. At the start they are the user's to
  /// see.
  void note_start() noexcept { have_started_ = true; }
  /// The run is decided: what the launcher, that process, says from now on is of its own end, in which it may crash.
  /// `all`: a rank was killed while MPI started, or the launcher was, and all that MPI says follows from it.
  void pass_over(int launcher, bool all = false) noexcept {
    passed_over_ = launcher;
    passes_over_all_ = passes_over_all_ || all;
  }

 private:
  std::string take_line(std::string_view line);
  std::string take_block_line(std::string_view line, bool is_dashes);
  [[nodiscard]] bool is_kept_back(std::string_view line) const;
  [[nodiscard]] bool is_kept_back_block(const std::string& block) const;
  [[nodiscard]] bool is_passed_over(std::string_view line) const;
  [[nodiscard]] std::size_t own_begin(std::string_view line) const;

  std::string line_;
  bool mid_line_ = false;             // the beginning of this line is passed on
  std::optional<std::string> block_;  // since a line of dashes
  std::optional<int> passed_over_;
  bool passes_over_all_ = false;
  bool have_started_ = false;
  bool has_kept_back_ = false;  // a block
};

}  // namespace echelon::launch
