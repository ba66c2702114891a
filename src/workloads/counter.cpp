#include <mutex>
#include <optional>

#include <echelon/comm/collectives.hpp>
#include <echelon/shared/lock.hpp>
#include <echelon/shared/value.hpp>
#include <echelon/workloads/counter.hpp>

namespace echelon::workloads {
namespace {

using measure::Clock;
using measure::Phase;
using Counter = shared::Value<std::uint64_t>;
using Method = CounterOptions::Method;

class CounterRun {
 public:
  CounterRun(const comm::Session& session, Account& account, const CounterOptions& options, const Progress& progress)
      : session_{session}, account_{account}, options_{options}, progress_{progress}, counter_{session} {
    if (options.method == Method::lock) lock_.emplace(session);
  }

  /// How long it took, from the barrier on until all ranks have done theirs.
  double repetition() {
    measure::PhaseClock& clock = account_.clock;
    clock.enter(Phase::wait);
    if (session_.is_master()) counter_.store(0);
    session_.barrier();
    const Clock::time_point begin = Clock::now();
    clock.enter(Phase::communicate, begin);
    if (lock_) {
      increment([&] {
        const std::lock_guard guard{*lock_};
        counter_.store(counter_.load() + 1);
      });
    } else {
      increment([&] { counter_.fetch_add(1); });
    }
    clock.enter(Phase::wait);
    session_.barrier();
    return measure::Seconds{Clock::now() - begin}.count();
  }

  [[nodiscard]] std::uint64_t found() { return counter_.load(); }

 private:
  template <typename Increment>
  void increment(Increment increment) {
    constexpr std::uint64_t some = 256;  // increments, between two looks at the progress
    for (std::uint64_t i = 0; i < options_.increments; ++i) {
      increment();
      ++account_.items;
      if (i % some == 0 && session_.is_master()) {
        progress_(static_cast<double>(i) / static_cast<double>(options_.increments));
      }
    }
  }

  const comm::Session& session_;
  Account& account_;
  const CounterOptions& options_;
  const Progress& progress_;
  Counter counter_;
  std::optional<shared::Lock> lock_;
};

}  // namespace

measure::Record run_counter(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                            const CounterOptions& options, const Progress& progress) {
  const std::uint64_t expected = options.increments * static_cast<std::uint64_t>(session.size());
  std::uint64_t found = expected;
  std::vector<double> repetitions_s;
  {
    double finished = 0;  // repetitions
    const Progress of_all = [&](double done) { progress((finished + done) / static_cast<double>(options.repeat)); };
    CounterRun run{session, account, options, of_all};
    session.barrier();  // what a rank waits for another's MPI_Init belongs to startup
    for (std::uint64_t i = 0; i < options.repeat; ++i) {
      repetitions_s.push_back(run.repetition());
      ++account.tasks;
      ++finished;
      if (session.is_master() && found == expected) found = run.found();  // of the first that is not exact
    }
  }
  comm::reduce_max(session, repetitions_s);

  const double time_s = measure::median(repetitions_s);
  Outcome outcome{
      .command = "counter",
      .parameters = {{"increments", options.increments},
                     {"method", options.method == Method::lock ? "lock" : "atomic"},
                     {"repeat", options.repeat}},
      .result = {{"expected", expected},
                 {"found", found},
                 {"time_s", time_s},
                 {"increments_per_s", static_cast<double>(expected) / time_s}},
      .repetitions_s = repetitions_s,
      .isa = "",
  };
  return close(session, account, argv, std::move(outcome));
}

bool counter_is_right(const measure::Record& record) {
  std::uint64_t done = 0;
  for (const measure::RankRecord& rank : record.ranks) done += rank.items;
  const auto expected = measure::get<std::uint64_t>(record.result, "expected");
  return measure::get<std::uint64_t>(record.result, "found") == expected &&
         expected == measure::get<std::uint64_t>(record.parameters, "increments") * record.ranks.size() &&
         done == expected * record.repetitions_s.size();
}

}  // namespace echelon::workloads
