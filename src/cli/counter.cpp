#include <memory>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/workloads/counter.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;
using workloads::CounterOptions;

struct CounterCommand {
  CounterOptions options;
  OutputOptions output;
};

ExitCode run(const CounterCommand& command, const RankContext& ranks) {
  const measure::Record record = command.output.watch([&](const auto& progress) {
    return workloads::run_counter(ranks.session, ranks.account, ranks.argv, command.options, progress);
  });
  if (!ranks.session.is_master()) return ExitCode::done;
  command.output.show(record, fmt::format("{}", measure::get<std::uint64_t>(record.result, "found")));
  return workloads::counter_is_right(record) ? ExitCode::done : wrong_answer();
}

}  // namespace

void add_counter(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<CounterCommand>();
  CounterOptions& options = command->options;
  CLI::App& app =
      *program.add_subcommand("counter", "Increment one counter on all ranks, and check that no increment is lost");
  app.footer(
      "The counter must be exactly the increments times the ranks. Increments take turns, by the processor (--atomic)\n"
      "or by a lock: more ranks are not faster, and a lock for every little step is far slower than one rank alone.\n"
      "--quiet prints the counter.\n\n"
      "Examples:\n"
      "  echelon -n 4 counter                        4 x 1e6 increments, each in one step\n"
      "  echelon -n 4 counter --lock                 each a load and a store under a lock\n"
      "  echelon counter --lock                      what the lock costs without anyone else");
  constexpr std::uint64_t max_increments = std::uint64_t{1} << 40;
  add_count(
      app, "--increments", [&](std::uint64_t n) { options.increments = n; }, "Increments a rank [1e6]", 0,
      max_increments);
  using Method = CounterOptions::Method;
  auto* atomic = app.add_flag_callback(
      "--atomic", [&] { options.method = Method::atomic; }, "Add in one step [so unless told otherwise]");
  auto* lock = app.add_flag_callback(
      "--lock", [&] { options.method = Method::lock; }, "Load, add one and store, under a lock");
  lock->excludes(atomic);
  add_repeat(app, options.repeat);
  command->output.add_to(app);
  app.callback([command, &chosen] {
    chosen.check = [command] { command->output.check(); };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
