#include "environment.hpp"

#include <cstdlib>

#include <fmt/format.h>

#include <echelon/comm/nodes.hpp>
#include <echelon/command/environment.hpp>
#include <echelon/measure/machine.hpp>

namespace echelon::map {

std::vector<std::string> rank_environment(const comm::Session& session) {
  const comm::Nodes& nodes = comm::Nodes::of(session);
  std::uint64_t workers = 0;  // of this node, which share its CPUs
  for (int rank = session.size() == 1 ? 0 : 1; rank < session.size(); ++rank) workers += nodes.is_here(rank) ? 1 : 0;
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return {};
  // Ranks that are bound to CPUs of their own share them with nobody.
  const bool bound = measure::affinity().size() < measure::online_cpus();
  const std::uint64_t cpus = measure::usable_cpus();
  return {fmt::format("OMP_NUM_THREADS={}", command::threads_a_command(cpus, bound ? 1 : workers))};
}

}  // namespace echelon::map
