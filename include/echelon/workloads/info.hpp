#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// Does no work: the record's context and ranks say where and how ranks run, its result what the master's machine is.
/// Collective; the master gets the record.
[[nodiscard]] measure::Record run_info(const comm::Session& session, Account& account,
                                       const std::vector<std::string>& argv, std::uint64_t threads);

}  // namespace echelon::workloads
