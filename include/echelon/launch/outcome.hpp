#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace echelon::launch {

/// Set in the ranks that launch() started; its value is the run's token.
inline constexpr const char* launched_variable = "ECHELON_LAUNCHED";

/// Tells the launch() that started this rank how the run ended: that becomes its exit code, since mpirun's own says
/// nothing once ranks may be lost. For rank 0 alone, and its last words: launch() then waits a few seconds for the
/// ranks to end, and ends them. Travels through standard error. Without effect where launch() did not start this rank.
void tell_outcome(int code) noexcept;

/// Tells the launch() that started this rank, where its line to it (Starter) does not come so far: rank 0 takes
/// requests to stop as signals, and its input from mpirun. Without effect where launch() did not start this rank.
void tell_out_of_reach() noexcept;

/// What no other text on standard error contains.
[[nodiscard]] std::string new_token();

/// What tell_outcome() writes.
[[nodiscard]] std::string outcome_marker(std::string_view token, int code);

/// What tell_out_of_reach() writes.
[[nodiscard]] std::string out_of_reach_marker(std::string_view token);

/// Takes the ranks' standard error, cut anywhere, and takes the outcome out of it.
class OutcomeReader {
 public:
  explicit OutcomeReader(std::string_view token);

  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();

  /// What rank 0 told, once it did; the last where it did so twice.
  [[nodiscard]] std::optional<int> outcome() const noexcept { return outcome_; }
  /// Rank 0 told that it is out of reach.
  [[nodiscard]] bool out_of_reach() const noexcept { return out_of_reach_; }

 private:
  std::string opening_;
  std::string held_;  // the beginning of a marker, perhaps
  std::optional<int> outcome_;
  bool out_of_reach_ = false;
};

}  // namespace echelon::launch
