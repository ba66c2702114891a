#pragma once

#include <cstdint>
#include <string>

#include <echelon/base/traffic.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/measure/phase_clock.hpp>
#include <echelon/measure/record.hpp>

namespace echelon::measure {

/// A rank's books, kept from the beginning of main() until they are closed.
struct Account {
  PhaseClock clock;
  Usage usage_at_start = usage();
  std::string started_at = utc_now();
  std::uint64_t tasks = 0;
  std::uint64_t items = 0;
  std::string role = {};  ///< what it does, where that is not the same for all; nothing: master or worker
};

/// What a rank says of itself when its books are closed.
struct Books {
  RankRecord record;
  std::uint64_t usable_cpus = 0;  ///< what quotas and SLURM grant on its host at most, whatever its affinity
  std::string isa;                ///< that its kernels ran; may be empty

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& record& usable_cpus& isa;
  }
};

/// Ends the present phase; nothing is counted from there on. `between_nodes`: what the rank sent to other nodes.
[[nodiscard]] Books close(Account& account, int rank, base::Traffic between_nodes, std::string isa);

}  // namespace echelon::measure
