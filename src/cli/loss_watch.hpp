#pragma once

#include <thread>

#include <echelon/comm/roster.hpp>

namespace echelon::cli {

/// What rank 0 says last, to an `echelon -n` that started it.
void tell_outcome(int code) noexcept;

/// Another rank is gone. Where that ends the job, as it does unless its launcher was told otherwise, this one is ended
/// before it says anything: who failed or saw the death says more. Else the first rank that is left speaks for all.
[[noreturn]] void leave_lost(const comm::Session& session, const comm::RankLost& loss);

/// Ends this rank once another is lost, whatever it is busy with: who computes does not see it. For runs that end with
/// their ranks. Made by all ranks, within a session; one a session.
class LossWatch {
 public:
  explicit LossWatch(const comm::Session& session);

 private:
  std::jthread watcher_;
};

}  // namespace echelon::cli
