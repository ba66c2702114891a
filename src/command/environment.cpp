#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include <echelon/base/launcher_variables.hpp>
#include <echelon/command/environment.hpp>

namespace echelon::command {
namespace {

using namespace std::string_view_literals;

template <typename Words>
bool begins_with_one_of(std::string_view name, const Words& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](auto word) { return name.starts_with(word); });
}

template <typename Words>
bool is_one_of(std::string_view name, const Words& words) {
  return std::find(words.begin(), words.end(), name) != words.end();
}

/// What `echelon -n` tells its ranks.
bool is_of_echelon(std::string_view name) {
  static constexpr std::array names{"ECHELON_LAUNCHED"sv,
                                    "ECHELON_STARTER"sv,
                                    "ECHELON_OUTLIVES_RANKS"sv,
                                    "ECHELON_DIRECT"sv,
                                    "ECHELON_WATCH"sv,
                                    "ECHELON_TERMINAL"sv,
                                    std::string_view{base::user_variables}};
  return is_one_of(name, names);
}

/// A launcher's variable that its users may have set, where the rank was started by a launcher of their own: those that
/// mpirun 4.1 was seen to set, or that say where a rank is, are not.
bool may_be_users(std::string_view name) {
  static constexpr std::array kept{"OMPI_MCA_"sv, "OMPI_ALLOW_RUN_AS_ROOT"sv, "OPAL_"sv, "HYDRA_"sv,
                                   "MPIEXEC_"sv,  "OMP_WAIT_POLICY"sv};
  static constexpr std::array set_by_mpirun{"OMPI_MCA_ess"sv, "OMPI_MCA_orte_"sv, "OMPI_MCA_rmaps_"sv};
  static constexpr std::array names_set_by_mpirun{"OMPI_MCA_initial_wdir"sv, "OMPI_MCA_mpi_oversubscribe"sv,
                                                  "OMPI_MCA_pmix"sv, "OMPI_MCA_shmem_RUNTIME_QUERY_hint"sv,
                                                  "OMPI_MCA_hwloc_base_binding_policy"sv};
  if (name == "OMPI_MCA_orte_default_hostfile") return true;
  return begins_with_one_of(name, kept) && !begins_with_one_of(name, set_by_mpirun) &&
         !is_one_of(name, names_set_by_mpirun);
}

}  // namespace

std::vector<std::string> command_environment(const char* const* rank_environment) {
  bool announced = false;
  std::set<std::string_view> users;
  for (const char* const* entry = rank_environment; *entry != nullptr; ++entry) {
    std::string_view text{*entry};
    const std::string_view announcement{base::user_variables};
    if (!text.starts_with(announcement) || text.substr(announcement.size(), 1) != "=") continue;
    announced = true;
    text.remove_prefix(announcement.size() + 1);
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(base::user_variables_separator, begin), text.size());
      users.insert(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::vector<std::string> result;
  for (const char* const* entry = rank_environment; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    const std::string_view name = text.substr(0, text.find('='));
    if (is_of_echelon(name)) continue;
    if (base::is_of_launchers(name) && !(announced ? users.contains(name) : may_be_users(name))) continue;
    result.emplace_back(text);
  }
  return result;
}

std::uint64_t threads_a_command(std::uint64_t cpus, std::uint64_t ranks_that_share) noexcept {
  return std::max<std::uint64_t>(cpus / std::max<std::uint64_t>(ranks_that_share, 1), 1);
}

}  // namespace echelon::command
