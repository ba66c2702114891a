#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <echelon/launch/chatter_filter.hpp>

namespace echelon::launch {

/// Takes srun's standard error, on which the ranks' own comes too, and keeps back what srun and slurmstepd say of ranks
/// that ended, which Echelon says in one line. What else they say, as of a time limit or of nodes that cannot be had,
/// is passed on.
class SrunFilter {
 public:
  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();

  /// The first that a signal ended but the one by which srun ends those that are left.
  [[nodiscard]] const std::optional<KilledRank>& killed() const noexcept { return killed_; }

 private:
  bool is_kept_back(std::string_view line);

  std::string line_;
  bool mid_line_ = false;  // the beginning of this line is passed on
  std::optional<KilledRank> killed_;
};

}  // namespace echelon::launch
