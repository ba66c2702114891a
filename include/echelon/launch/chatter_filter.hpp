#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace echelon::launch {

/// A rank that did not end by itself, as mpirun tells it.
struct KilledRank {
  int rank;
  std::string host;
  int signal;
  std::string signal_name;
};

/// Takes mpirun's standard error, on which the ranks' own comes too, and keeps back what mpirun says at length about
/// ranks that ended with a status or a signal: the status says it, and Echelon says it in one line.
class ChatterFilter {
 public:
  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();

  [[nodiscard]] const std::optional<KilledRank>& killed() const noexcept { return killed_; }
  /// mpirun reported a rank's status: the failure is not one of mpirun itself.
  [[nodiscard]] bool rank_failed() const noexcept { return rank_failed_; }

 private:
  std::string take_line(std::string_view line);
  bool is_about_ranks(std::string_view block);

  std::string line_;
  std::optional<std::string> block_;  // since a line of dashes
  std::optional<KilledRank> killed_;
  bool rank_failed_ = false;
};

}  // namespace echelon::launch
