#include <algorithm>
#include <array>

#include <echelon/base/launcher_variables.hpp>

namespace echelon::base {

bool is_of_launchers(std::string_view name) {
  using namespace std::string_view_literals;
  static constexpr std::array prefixes{"OMPI_"sv, "PMIX_"sv, "PMI_"sv,   "PMI2_"sv,    "ORTE_"sv,
                                       "PRTE_"sv, "OPAL_"sv, "HYDRA_"sv, "MPIEXEC_"sv, "SLURM_PMI"sv};
  static constexpr std::array names{"OMP_WAIT_POLICY"sv, "HFI_NO_BACKTRACE"sv, "IPATH_NO_BACKTRACE"sv,
                                    "MPI_LOCALNRANKS"sv, "MPI_LOCALRANKID"sv};
  return std::any_of(prefixes.begin(), prefixes.end(), [&](auto prefix) { return name.starts_with(prefix); }) ||
         std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace echelon::base
