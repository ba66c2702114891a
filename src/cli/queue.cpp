#include <memory>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/workloads/queue.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

using base::ExitCode;
using base::UsageError;
using workloads::QueueOptions;

struct QueueCommand {
  QueueOptions options;
  OutputOptions output;
};

void check_ranks(const QueueOptions& options, std::uint64_t ranks) {
  if (ranks < 2) {
    throw UsageError("queue: one rank leaves nobody to take what it puts; give two or more, as in echelon -n 2 queue");
  }
  if (const std::uint64_t producers = options.producers_of(ranks); producers >= ranks) {
    throw UsageError(fmt::format("--producers: {} of {} ranks leave nobody to consume; give at most {}, or more ranks",
                                 producers, ranks, ranks - 1));
  }
}

ExitCode run(const QueueCommand& command, const RankContext& ranks) {
  const measure::Record record = command.output.watch([&](const auto& progress) {
    return workloads::run_queue(ranks.session, ranks.account, ranks.argv, command.options, progress);
  });
  if (!ranks.session.is_master()) return ExitCode::done;
  command.output.show(record, fmt::format("{:.0f}", measure::get<double>(record.result, "items_per_s")));
  return workloads::queue_is_right(record) ? ExitCode::done : wrong_answer();
}

}  // namespace

void add_queue(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<QueueCommand>();
  QueueOptions& options = command->options;
  CLI::App& app = *program.add_subcommand("queue", "Send items through one queue, and check that each comes once");
  app.footer(
      "The first ranks put items in, the others take them out: each once, and those of one producer in their order.\n"
      "A queue that holds few items makes its ends wait for each other. --quiet prints items a second.\n\n"
      "Examples:\n"
      "  echelon -n 2 queue                          one producer, one consumer\n"
      "  echelon -n 4 queue --producers 3 --items 1e7\n"
      "  echelon -n 2 queue --capacity 1             every item is waited for\n"
      "  echelon -n 2 queue --bytes 1e6 --items 1e4  items of 1 MB");
  add_count(
      app, "--items", [&](std::uint64_t n) { options.items = n; }, "Items of all producers together [1e6]", 0,
      QueueOptions::max_items);
  constexpr std::uint64_t max_producers = 1'000'000;
  add_count(
      app, "--producers", [&](std::uint64_t n) { options.producers = n; },
      "The first so many ranks put items, the others take them [half of the ranks]", 1, max_producers);
  add_count(
      app, "--capacity", [&](std::uint64_t n) { options.capacity = n; }, "Items that the queue holds at most [1024]", 1,
      QueueOptions::max_capacity);
  add_count(
      app, "--bytes",
      [&](std::uint64_t n) {
        if (n < QueueOptions::min_item_bytes) {
          throw UsageError(
              fmt::format("an item of {} bytes has no room for its producer and its number; give a whole "
                          "number from {} to {}",
                          n, QueueOptions::min_item_bytes, QueueOptions::max_item_bytes));
        }
        options.item_bytes = n;
      },
      "Size of an item, 8 to 2^30 [8]", 0, QueueOptions::max_item_bytes);
  add_repeat(app, options.repeat);
  command->output.add_to(app);
  app.callback([command, &chosen] {
    chosen.check = [command] { command->output.check(); };
    chosen.check_ranks = [command](std::uint64_t ranks) { check_ranks(command->options, ranks); };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
