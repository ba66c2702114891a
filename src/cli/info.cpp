#include <memory>

#include <fmt/format.h>

#include <echelon/launch/launcher.hpp>
#include <echelon/launch/launchers_here.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/report/table.hpp>
#include <echelon/workloads/info.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

struct InfoCommand {
  std::uint64_t threads = 1;
  std::string mpirun = {};         ///< what it is, and why it cannot start ranks
  std::string start_command = {};  ///< what -n all would run
  OutputOptions output;
};

base::ExitCode run(const InfoCommand& command, const RankContext& ranks) {
  measure::Record record = workloads::run_info(ranks.session, ranks.account, ranks.argv, command.threads);
  if (!ranks.session.is_master()) return base::ExitCode::done;
  if (!command.mpirun.empty()) record.result.emplace_back("mpirun", command.mpirun);
  if (!command.start_command.empty()) record.result.emplace_back("start_command", command.start_command);
  command.output.write(record);
  if (!command.output.owns_stdout()) {
    // The bare answer is the number that a script would start ranks by.
    report::write_output("-", command.output.quiet ? report::usable_cpus_text(record) : report::info_table(record));
  }
  return base::ExitCode::done;
}

}  // namespace

void add_info(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<InfoCommand>();
  CLI::App& app = *program.add_subcommand(
      "info", "Show the CPUs that may really be used, the machine, where ranks run, and what looks wrong");
  app.footer(
      "Examples:\n"
      "  echelon info                                this process\n"
      "  echelon info -n 4 --threads 2               how four ranks of two threads would be placed\n"
      "  echelon -n $(echelon info --quiet) pi       as many ranks as CPUs may be used");
  constexpr std::uint64_t max_threads = 4096;
  add_count(
      app, "--threads", [command](std::uint64_t n) { command->threads = n; }, "Threads a rank [1]", 1, max_threads);
  command->output.add_to(app);
  app.callback([command, &chosen] {
    chosen.threads = command->threads;
    chosen.is_about_this_process = true;
    chosen.check = [command] { command->output.check(); };
    chosen.before_mpi = [command] {
      if (comm::placement().launched) return;
      const std::string why_not = launch::why_mpirun_differs();
      command->mpirun = why_not.empty() ? launch::mpirun_here() : why_not;
      const std::uint64_t ranks = launch::ranks_for_all(command->threads);
      const auto words = launch::start_command_here({}, ranks, command->threads, {}, {"COMMAND"});
      command->start_command = fmt::format("{}", fmt::join(words, " "));
    };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
