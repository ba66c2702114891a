#include <utility>

#include <echelon/analysis/assemble.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/packing.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

measure::Record close(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                      Outcome outcome) {
  comm::Packer mine;
  mine.put(measure::close(account, session.rank(), session.between_nodes(), outcome.isa));
  const auto* bytes = reinterpret_cast<const char*>(mine.view().data());
  const std::vector<std::string> all = comm::gather(session, std::string(bytes, mine.size()));
  if (!session.is_master()) return {};

  std::vector<measure::Books> ranks;
  for (const std::string& packed : all) {
    comm::Unpacker from{std::as_bytes(std::span{packed})};
    ranks.push_back(from.get<measure::Books>());
  }
  return analysis::assemble({.command = std::move(outcome.command),
                             .argv = argv,
                             .started_at = account.started_at,
                             .parameters = std::move(outcome.parameters),
                             .result = std::move(outcome.result),
                             .repetitions_s = std::move(outcome.repetitions_s),
                             .threads = outcome.threads,
                             .mpi = comm::Session::library(),
                             .launcher = comm::launcher()},
                            std::move(ranks));
}

}  // namespace echelon::workloads
