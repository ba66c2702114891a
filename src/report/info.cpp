#include <fmt/format.h>

#include <echelon/analysis/warnings.hpp>
#include <echelon/measure/topology.hpp>
#include <echelon/report/plural.hpp>
#include <echelon/report/table.hpp>

namespace echelon::report {
namespace {

using measure::Fields;
using measure::Record;

std::uint64_t number(const Fields& fields, std::string_view name) { return measure::get<std::uint64_t>(fields, name); }

std::string words(const Fields& fields, std::string_view name) {
  return fmt::format("{}", fmt::join(measure::get<std::vector<std::string>>(fields, name), ", "));
}

/// Of SLURM, where it grants no CPUs here.
std::string why_no_grant(const measure::Context& context) {
  const std::string* const job = measure::find(context.slurm, "SLURM_JOB_ID");
  return job != nullptr ? fmt::format("on no node of SLURM job {}", *job) : "not in a SLURM job";
}

std::string limits(const Fields& machine, const measure::Context& context) {
  std::string text = fmt::format("{} of {} allowed by affinity ({})", number(machine, "affinity_cpus"),
                                 number(machine, "online_cpus"), measure::get<std::string>(machine, "affinity"));
  const auto* quota = measure::find<double>(machine, "cgroup_cpus");
  text += quota != nullptr ? fmt::format(", cgroup quota {:.3g}", *quota) : ", no cgroup quota";
  const auto* slurm = measure::find<std::uint64_t>(machine, "slurm_cpus");
  return text + ", " + (slurm != nullptr ? fmt::format("SLURM grants {}", *slurm) : why_no_grant(context));
}

}  // namespace

std::string usable_cpus_text(const Record& record) { return fmt::format("{}\n", number(record.result, "usable_cpus")); }

std::string info_table(const Record& record) {
  const Fields& machine = record.result;
  const measure::Context& context = record.context;
  std::string text;
  const auto line = [&](std::string_view head, const std::string& what) {
    constexpr std::size_t width = 21;  // SLURM_CLUSTER_NAME, and blanks
    text += fmt::format("{:<{}}{}\n", head, width, what);
  };
  line(context.launcher == "none" ? "usable CPUs" : "rank 0 may use",
       fmt::format("{} on {}: {}", number(machine, "usable_cpus"), plural(number(machine, "usable_cores"), "core"),
                   limits(machine, context)));
  line("machine", fmt::format("{}, {}, {}, {}, {} of memory", plural(number(machine, "packages"), "package"),
                              plural(number(machine, "cores"), "core"),
                              plural(number(machine, "hardware_threads"), "hardware thread"),
                              plural(number(machine, "numa_nodes"), "NUMA node"),
                              measure::format_bytes(number(machine, "memory_bytes"))));
  line("CPU", context.cpu_model);
  line("caches", words(machine, "caches"));
  line("instruction sets", fmt::format("{} (fused takes {}, direct {})", words(machine, "isas"),
                                       measure::get<std::string>(machine, "isa_of_fused"),
                                       measure::get<std::string>(machine, "isa_of_direct")));
  line("MPI", fmt::format("{}, launcher: {}", context.mpi, context.launcher));
  line("Echelon", fmt::format("{} ({}{}), {} build, {}", context.version, context.commit,
                              context.dirty ? ", changed" : "", context.build_type, context.compiler));
  if (const auto* mpirun = measure::find<std::string>(machine, "mpirun")) line("mpirun on PATH", *mpirun);
  if (const auto* command = measure::find<std::string>(machine, "start_command")) line("-n starts ranks by", *command);
  if (context.slurm) {
    for (const auto& [name, value] : *context.slurm) line(name, value);
  }
  using enum Table::Align;
  Table table{{{"rank"}, {"host", left}, {"cpus", left}, {"startup s"}}};
  for (const measure::RankRecord& rank : record.ranks) {
    table.add({fmt::format("{}", rank.rank), rank.host, rank.cpus, fmt::format("{:.3f}", rank.startup_s)});
  }
  text += '\n' + table.text() + '\n';
  const std::vector<std::string> warnings = analysis::warnings(record);
  if (warnings.empty()) return text + "nothing looks wrong\n";
  text += "what looks wrong:\n";
  for (const std::string& warning : warnings) text += fmt::format("  - {}\n", warning);
  return text;
}

}  // namespace echelon::report
