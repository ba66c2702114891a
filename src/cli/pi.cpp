#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include <echelon/workloads/pi.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;
using workloads::PiOptions;

struct PiCommand {
  PiOptions options;
  OutputOptions output;
};

void check_isa(std::optional<numeric::Isa> isa) {
  const std::vector<numeric::Isa>& supported = numeric::supported_isas();
  if (!isa || std::ranges::find(supported, *isa) != supported.end()) return;
  std::string words;
  for (const numeric::Isa one : supported) words += fmt::format("{}{}", words.empty() ? "" : ", ", numeric::name(one));
  throw base::UsageError(
      fmt::format("--isa: this CPU cannot run {}; give one of {}, auto", numeric::name(*isa), words));
}

ExitCode run(const PiCommand& command, const RankContext& ranks) {
  const measure::Record record = command.output.watch([&](const auto& progress) {
    return workloads::run_pi(ranks.session, ranks.account, ranks.argv, command.options, progress);
  });
  if (!ranks.session.is_master()) return ExitCode::done;
  command.output.show(record, fmt::format("{}", measure::get<double>(record.result, "value")));
  return workloads::pi_is_right(record) ? ExitCode::done : wrong_answer();
}

}  // namespace

void add_pi(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<PiCommand>();
  PiOptions& options = command->options;
  CLI::App& app = *program.add_subcommand("pi", "Compute pi by the midpoint rule, and show every rank's timings");
  app.footer(
      "The printed pi has the same bits for every number of ranks and threads, schedule and instruction set.\n\n"
      "Examples:\n"
      "  echelon pi                                  one rank\n"
      "  echelon pi -n 4 --points 1e11               four ranks\n"
      "  echelon pi -n 4 --schedule guided --json pi.json\n"
      "  mpirun -n 4 echelon pi --kernel direct      under a launcher of your own");

  add_count(
      app, "--points", [&](std::uint64_t n) { options.points = n; }, "Points of the midpoint rule, 1 to 2^53 [1e9]", 1,
      numeric::MidpointRule::max_points);
  using numeric::Kernel;
  add_choice<Kernel>(
      app, "--kernel", {{"fused", Kernel::fused}, {"direct", Kernel::direct}},
      [&](Kernel kernel) { options.kernel = kernel; },
      "fused: 32 terms a division; direct: a division a term, as other programs do [fused]");
  std::vector<std::pair<std::string, schedule::Schedule>> schedules;
  for (const auto schedule : schedule::all_schedules()) schedules.emplace_back(schedule::name(schedule), schedule);
  add_choice<schedule::Schedule>(
      app, "--schedule", schedules, [&](schedule::Schedule schedule) { options.schedule = schedule; },
      "How ranks share the work: scattered at once (static), or claimed in chunks [static]");
  add_count(
      app, "--block", [&](std::uint64_t n) { options.block = n; },
      "Points that are added up in one fixed order; changes the last bits, unlike all else, 1 to 2^20 [65536]", 1,
      numeric::MidpointRule::max_accurate_block);
  add_count(
      app, "--chunk", [&](std::uint64_t n) { options.chunk = n; },
      "Points a claim, in whole blocks: all (dynamic) or at least (guided, ...) [about 128 chunks a rank; a block]", 1,
      numeric::MidpointRule::max_points);
  constexpr std::uint64_t max_threads = 4096;
  add_count(
      app, "--threads", [&](std::uint64_t n) { options.threads = n; }, "Threads a rank [1]", 1, max_threads);
  add_repeat(app, options.repeat);
  std::vector<std::pair<std::string, std::optional<numeric::Isa>>> isas{{"auto", std::nullopt}};
  for (const auto isa : numeric::all_isas()) isas.emplace_back(numeric::name(isa), isa);
  add_choice<std::optional<numeric::Isa>>(
      app, "--isa", isas, [&](std::optional<numeric::Isa> isa) { options.isa = isa; },
      "Instruction set; the answer is the same with each [auto]");
  command->output.add_to(app);

  app.callback([command, &chosen] {
    chosen.threads = command->options.threads;
    chosen.check = [command] {
      check_isa(command->options.isa);
      command->output.check();
    };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
