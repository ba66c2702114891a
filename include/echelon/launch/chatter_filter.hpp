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

/// Why a run of which ranks may be lost comes to no outcome any more.
struct Failure {
  enum class Kind {
    not_started,    ///< this rank's program could not be run
    ended_early,    ///< this rank ended before MPI had started, for which all others now wait
    aborted,        ///< this rank called MPI_Abort, which says why
    master_killed,  ///< by a signal
    master_ended,   ///< in another way, or it was lost with its node
  };
  Kind kind;
  int rank;
};

/// Takes mpirun's standard error, on which the ranks' own comes too, and keeps back what mpirun says at length about
/// ranks that ended with a status or a signal: the status says it, and Echelon says it in one line. Where ranks may be
/// lost mpirun says less (4.1: nothing that names a rank), so there it is told to show the states of ranks
/// (state_base_verbose), which are kept back too.
class ChatterFilter {
 public:
  /// What to pass on at once of this and of what came before.
  [[nodiscard]] std::string feed(std::string_view bytes);
  /// What to pass on at the end.
  [[nodiscard]] std::string finish();
  /// The run has come to its outcome: what mpirun, that process, has to say from now on is of its own end, in which it
  /// can crash. `all`: a rank was killed while MPI started, or mpirun was, and all that Open MPI says follows from it.
  void pass_over(int mpirun, bool all = false) noexcept {
    passed_over_ = mpirun;
    passes_over_all_ = passes_over_all_ || all;
  }

  [[nodiscard]] const std::optional<KilledRank>& killed() const noexcept { return killed_; }
  /// mpirun reported a rank's status: the failure is not one of mpirun itself.
  [[nodiscard]] bool rank_failed() const noexcept { return rank_failed_; }
  /// A rank has said something of the run: a line that begins with "echelon: ".
  [[nodiscard]] bool has_reason() const noexcept { return has_reason_; }
  /// The first one.
  [[nodiscard]] const std::optional<Failure>& failure() const noexcept { return failure_; }
  /// Rank 0 was started; without that, a failure is one of mpirun itself.
  [[nodiscard]] bool master_started() const noexcept { return master_started_; }

 private:
  std::string take_line(std::string_view line);
  bool is_about_ranks(std::string_view block);
  /// mpirun says this without the name of its host, with which it begins what else it says.
  [[nodiscard]] bool has_no_name(std::string_view line) const;
  /// mpirun says it, and nobody needs it any more.
  [[nodiscard]] bool is_passed_over(std::string_view own) const;
  void note_state(const std::string& line);

  std::string line_;
  bool mid_line_ = false;             // the beginning of this line is passed on
  std::optional<std::string> block_;  // since a line of dashes
  std::optional<int> passed_over_;
  bool passes_over_all_ = false;
  std::optional<KilledRank> killed_;
  bool rank_failed_ = false;
  bool has_reason_ = false;
  std::optional<Failure> failure_;
  bool master_started_ = false;
  bool all_in_mpi_ = false;
};

}  // namespace echelon::launch
