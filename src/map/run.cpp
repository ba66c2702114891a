#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <poll.h>

#include <echelon/analysis/assemble.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/link.hpp>
#include <echelon/map/run.hpp>

#include "environment.hpp"
#include "master.hpp"
#include "worker.hpp"

namespace echelon::map {
namespace {

using base::ExitCode;
using measure::Clock;

std::string text_of(Resume resume) {
  switch (resume) {
    case Resume::no: return "no";
    case Resume::unfinished: return "unfinished";
    case Resume::failed: return "failed";
  }
  return "";
}

/// What the run comes to.
ExitCode exit_code(const Master& master, bool halted_by_success) {
  if (halted_by_success) return ExitCode::done;
  const bool halted = master.stopped().starts_with("--halt");
  if (master.is_unfinished() && !halted) {
    return master.stopped().empty() ? ExitCode::broken : ExitCode::resumable;
  }
  return master.deliveries().counts().failed > 0 ? ExitCode::tasks_failed : ExitCode::done;
}

measure::Record make_record(const Master& master, const measure::Account& account, const std::vector<std::string>& argv,
                            const Options& options, double time_s, std::vector<measure::Books> books) {
  const Deliveries& done = master.deliveries();
  const Counts& counts = done.counts();
  double busy_s = 0;
  std::uint64_t workers = 0;
  for (const measure::Books& rank : books) {
    if (books.size() > 1 && rank.record.rank == 0) continue;
    busy_s += rank.record.compute_s;
    ++workers;
  }
  return analysis::assemble(
      {.command = "map",
       .argv = argv,
       .started_at = account.started_at,
       .parameters = {{"command", options.command},
                      {"attempts", std::uint64_t{options.attempts}},
                      {"resume", text_of(options.resume)},
                      {"journal", options.journal},
                      {"output", options.output}},
       .result = {{"listed", master.listed()},
                  {"succeeded", counts.succeeded},
                  {"failed", counts.failed},
                  {"ended_before", counts.ended_before},
                  {"failed_before", counts.failed_before},
                  {"output_lost", counts.output_lost},
                  {"unfinished", master.is_unfinished()},
                  {"retried", master.retried()},
                  {"stopped", master.stopped()},
                  {"failures", done.failures()},
                  {"lost_ranks", master.lost_ranks()},
                  {"deaths", master.deaths()},
                  {"time_s", time_s},
                  {"tasks_per_s", time_s > 0 ? static_cast<double>(counts.ended_now()) / time_s : 0.0},
                  {"utilisation", time_s > 0 ? busy_s / (time_s * static_cast<double>(workers)) : 0.0}},
       .repetitions_s = {time_s},
       .threads = 1,
       .mpi = comm::Session::library(),
       .launcher = comm::launcher()},
      std::move(books));
}

/// Waits for a command's end, or a while: messages cannot be waited for together with it.
void wait_for(const command::Helper& helper, Clock::duration waited) {
  constexpr std::chrono::microseconds shortest{50};
  const auto longest = std::max<Clock::duration>(shortest, comm::Backoff::sleep_after(waited));
  pollfd ended{helper.descriptor(), POLLIN, 0};
  const timespec limit{0, std::chrono::nanoseconds{longest}.count()};
  ppoll(&ended, 1, &limit, nullptr);
}

}  // namespace

std::string way_on(const Options& options) {
  return options.journal.empty() ? "start it again; with --journal FILE, --resume would go on with what is done"
                                 : "--resume goes on with what is done";
}

Result run(const comm::Session& session, measure::Account& account, const std::vector<std::string>& argv,
           const Options& options, command::Helper& helper, const Surroundings& surroundings) {
  std::optional<Work> work;
  std::exception_ptr refused;
  try {
    work.emplace(options, surroundings);
  } catch (...) {
    refused = std::current_exception();
  }
  (void)comm::broadcast(session, refused == nullptr);
  if (refused) std::rethrow_exception(refused);
  std::optional<Master> master;
  master.emplace(session, account, options, *work, helper, rank_environment(session), surroundings);
  if (surroundings.started) surroundings.started();
  const auto began = Clock::now();
  try {
    master->run();
  } catch (const base::UsageError&) {
    master->abandon();
    throw;
  } catch (const std::exception& e) {
    master->abandon();
    throw std::runtime_error(fmt::format("{}; once that is mended, {}", e.what(), way_on(options)));
  }
  const double time_s = measure::Seconds{Clock::now() - began}.count();
  const bool by_success = master->stopped().starts_with("--halt") && options.halt.why == farm::Halt::Why::success;
  Result result;
  result.code = exit_code(*master, by_success);
  result.record = make_record(*master, account, argv, options, time_s, master->end());
  return result;
}

void serve(const comm::Session& session, measure::Account& account, command::Helper& helper) {
  if (!comm::broadcast(session, true)) return;  // the master says why
  std::optional<Worker> worker;
  std::vector<std::string> environment = rank_environment(session);
  comm::Mailbox* mailbox = nullptr;
  const auto send = [&](comm::Packer& message) { mailbox->send(0, message); };
  worker.emplace(helper, session, std::move(environment), account, send);
  comm::Link link{session, [&](std::uint64_t upto) { return worker->take_back(upto); }};
  mailbox = &link.mailbox();
  auto since = Clock::now();
  comm::Backoff backoff{true};
  while (!worker->is_leaving()) {
    bool any = false;
    while (const auto message = mailbox->receive()) {
      worker->take(comm::Unpacker{message->body});
      any = true;
      if (worker->is_leaving()) break;
    }
    any = mailbox->has_moved() || any;
    any = worker->step() || any;
    if (any) {
      since = Clock::now();
      backoff = comm::Backoff{true};
    } else if (worker->has_command()) {
      wait_for(helper, Clock::now() - since);
    } else {
      backoff.pause();
    }
  }
  if (worker->lost_some()) session.lose(0);  // do not wait in MPI's end for a rank that is gone
  link.say_goodbye();
}

}  // namespace echelon::map
