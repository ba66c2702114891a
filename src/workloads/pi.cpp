#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <exception>
#include <numbers>
#include <stdexcept>

#include <fmt/format.h>
#include <omp.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/counter.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/schedule/node_pieces.hpp>
#include <echelon/workloads/pi.hpp>

namespace echelon::workloads {
namespace {

using measure::Clock;
using measure::Phase;
using numeric::ExactSum;
using numeric::MidpointRule;
using schedule::Chunk;
using schedule::Schedule;

numeric::Isa choose_isa(const PiOptions& options) {
  if (!options.isa) return numeric::best_isa(options.kernel);
  if (std::ranges::find(numeric::supported_isas(), *options.isa) == numeric::supported_isas().end()) {
    throw std::runtime_error(fmt::format("this CPU cannot run --isa {}; leave it out", numeric::name(*options.isa)));
  }
  return *options.isa;
}

/// Throws where OpenMP does not give all threads: the record would name threads that were not there.
void check_threads(std::uint64_t wanted) {
  omp_set_dynamic(0);
  int given = 0;
#pragma omp parallel num_threads(static_cast <int>(wanted))
#pragma omp single
  given = omp_get_num_threads();
  if (static_cast<std::uint64_t>(given) == wanted) return;
  throw std::runtime_error(
      fmt::format("OpenMP gives {} of {} threads; is OMP_THREAD_LIMIT set? give fewer --threads", given, wanted));
}

/// Computes blocks with the rank's threads, a slice at a time.
class Worker {
 public:
  Worker(const comm::Session& session, const MidpointRule& rule, std::uint64_t threads, const Progress& progress)
      : session_{session},
        rule_{rule},
        threads_{static_cast<int>(threads)},
        serves_others_{session.is_master() && session.size() > 1},
        progress_{progress},
        slice_{threads} {}

  /// `done_before`, `done_after`: which part of the whole work was done before and will be after this chunk.
  void compute(Chunk chunk, ExactSum& sum, double done_before, double done_after) {
    constexpr std::chrono::milliseconds slice_time{20};  // threads seldom meet, yet progress is shown smoothly
    for (std::uint64_t done = 0; done < chunk.count;) {
      const std::uint64_t count = std::min(slice_, chunk.count - done);
      const Clock::time_point begin = Clock::now();
      add(chunk.first + done, count, sum);
      const Clock::duration taken = Clock::now() - begin;
      if (taken < slice_time / 2 && count == slice_) slice_ *= 2;
      if (taken > slice_time * 2) slice_ = std::max(slice_ / 2, static_cast<std::uint64_t>(threads_));
      done += count;
      const double part = static_cast<double>(done) / static_cast<double>(chunk.count);
      if (session_.is_master()) progress_(done_before + part * (done_after - done_before));
    }
  }

 private:
  void add(std::uint64_t first, std::uint64_t count, ExactSum& sum) {
    // How long another rank's claim may wait for a master that computes, where the network needs its help.
    constexpr std::chrono::microseconds longest_silence{100};
    std::exception_ptr failure;  // must not leave the parallel region
#pragma omp parallel num_threads(threads_)
    {
      ExactSum mine;
      const bool serves = serves_others_ && omp_get_thread_num() == 0;  // the thread that MPI knows
#pragma omp for schedule(static) nowait
      for (std::uint64_t i = 0; i < count; ++i) {
        rule_.add(first + i, 1, mine);
        if (!serves) continue;
        if (const Clock::time_point now = Clock::now(); now - served_ > longest_silence) {
          served_ = now;
          try {
            session_.progress();
          } catch (...) {
            failure = std::current_exception();
          }
        }
      }
#pragma omp critical
      sum.add(mine);
    }
    if (failure) std::rethrow_exception(failure);
  }

  const comm::Session& session_;
  const MidpointRule& rule_;
  int threads_;
  bool serves_others_;
  const Progress& progress_;
  std::uint64_t slice_;
  Clock::time_point served_{};  // chunks may be shorter than the longest silence
};

/// Everything that stays the same from one repetition to the next.
struct PiRun {
  const comm::Session& session;
  Account& account;
  const PiOptions& options;
  const MidpointRule& rule;
  std::uint64_t chunk_blocks;
  Worker& worker;
  comm::Counter* counter;  // nullptr: static

  void compute(Chunk chunk, ExactSum& sum, double done_before, double done_after) {
    if (chunk.count == 0) return;
    account.clock.enter(Phase::compute);
    worker.compute(chunk, sum, done_before, done_after);
    ++account.tasks;
    account.items += rule.points_in(chunk.first, chunk.count);
  }

  void scattered_share(ExactSum& sum) {
    const auto ranks = static_cast<std::uint64_t>(session.size());
    schedule::Chunks chunks{Schedule::fixed, rule.blocks(), ranks, 1};
    std::vector<Chunk> shares;
    for (std::uint64_t rank = 0; session.is_master() && rank < ranks; ++rank) {
      shares.push_back(chunks.at(rank).value_or(Chunk{}));
    }
    compute(comm::scatter<Chunk>(session, shares), sum, 0, 1);
  }

  void claimed_chunks(ExactSum& sum) {
    const auto ranks = static_cast<std::uint64_t>(session.size());
    schedule::Chunks chunks{options.schedule, rule.blocks(), ranks, chunk_blocks};
    const auto blocks = static_cast<double>(rule.blocks());
    while (const std::optional<Chunk> chunk = chunks.at(counter->next())) {
      // What was given out before this chunk is done, or nearly.
      const double before = static_cast<double>(chunk->first) / blocks;
      compute(*chunk, sum, before, before + static_cast<double>(chunk->count) / blocks);
      account.clock.enter(Phase::communicate);
    }
  }

  /// The sum over all ranks, on the master, and how long it took from the barrier on.
  std::pair<ExactSum, double> repetition() {
    measure::PhaseClock& clock = account.clock;
    clock.enter(Phase::wait);
    if (counter != nullptr) counter->reset();
    session.barrier();
    const Clock::time_point begin = Clock::now();
    clock.enter(Phase::communicate, begin);
    ExactSum sum;
    counter == nullptr ? scattered_share(sum) : claimed_chunks(sum);
    // The barrier keeps the time that ranks wait for each other apart from the time that the reduction takes.
    clock.enter(Phase::wait);
    session.barrier();
    clock.enter(Phase::communicate);
    std::array<std::int64_t, ExactSum::state_size> state{};
    std::ranges::copy(sum.state(), state.begin());
    comm::reduce_sum(session, state);
    return {ExactSum::from_state(state), measure::Seconds{Clock::now() - begin}.count()};
  }
};

measure::Fields parameters(const PiOptions& options, std::uint64_t block, std::uint64_t chunk_blocks) {
  return {{"points", options.points},
          {"kernel", std::string{numeric::name(options.kernel)}},
          {"schedule", std::string{schedule::name(options.schedule)}},
          {"block", block},
          {"chunk", options.schedule == Schedule::fixed ? std::uint64_t{0} : chunk_blocks * block},
          {"threads", options.threads},
          {"repeat", options.repeat},
          {"isa", options.isa ? std::string{numeric::name(*options.isa)} : "auto"}};
}

}  // namespace

measure::Record run_pi(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                       const PiOptions& options, const Progress& progress) {
  const numeric::Isa isa = choose_isa(options);
  check_threads(options.threads);
  const MidpointRule rule{options.points, options.block, options.kernel, isa};
  const std::uint64_t block = std::min(options.block, options.points);
  const auto ranks = static_cast<std::uint64_t>(session.size());
  std::uint64_t chunk_blocks = 1;
  if (options.chunk) {
    chunk_blocks = (*options.chunk - 1) / block + 1;
  } else if (options.schedule == Schedule::dynamic) {
    chunk_blocks = schedule::default_dynamic_chunk(rule.blocks(), ranks);
  }
  chunk_blocks = std::max(chunk_blocks, options.threads);  // a block for each thread at least

  std::optional<comm::Counter> counter;
  if (options.schedule != Schedule::fixed) {
    const auto nodes = static_cast<std::uint64_t>(comm::Nodes::of(session).count());
    const schedule::NodePieces pieces{options.schedule, rule.blocks(), ranks, chunk_blocks, nodes};
    if (pieces.pay()) {
      counter.emplace(session, [pieces](std::uint64_t number) { return pieces.at(number); });
    } else {
      counter.emplace(session);
    }
  }
  std::vector<double> repetitions_s;
  std::vector<double> values;
  {
    double finished = 0;  // repetitions
    const Progress of_all = [&](double done) { progress((finished + done) / static_cast<double>(options.repeat)); };
    Worker worker{session, rule, options.threads, of_all};
    PiRun run{session, account, options, rule, chunk_blocks, worker, counter ? &*counter : nullptr};
    session.barrier();  // what a rank waits for another's MPI_Init belongs to startup
    for (std::uint64_t i = 0; i < options.repeat; ++i) {
      const auto [sum, seconds] = run.repetition();
      values.push_back(rule.integral(sum));
      repetitions_s.push_back(seconds);
      ++finished;
    }
  }
  account.clock.enter(Phase::communicate);
  comm::reduce_max(session, repetitions_s);
  account.clock.enter(Phase::wait);

  const bool same_bits = std::ranges::count(values, values.front()) == static_cast<std::ptrdiff_t>(values.size());
  const double value = values.front();
  const auto points = static_cast<double>(options.points);
  Outcome outcome{
      .command = "pi",
      .parameters = parameters(options, block, chunk_blocks),
      .result = {{"value", value},
                 {"value_hex", fmt::format("{:a}", value)},
                 {"error", value - std::numbers::pi},
                 // The rule's own error, h^2/12 + O(h^4), and an ulp either side for rounding.
                 {"error_bound", 1 / (12 * points * points) + 0x1p-51},
                 {"same_bits_in_all_repetitions", same_bits},
                 {"points", options.points},
                 {"time_s", measure::median(repetitions_s)},
                 {"points_per_s", points / measure::median(repetitions_s)}},
      .repetitions_s = repetitions_s,
      .isa = std::string{numeric::name(isa)},
      .threads = options.threads,
  };
  return close(session, account, argv, std::move(outcome));
}

bool pi_is_right(const measure::Record& record) {
  std::uint64_t computed = 0;
  for (const measure::RankRecord& rank : record.ranks) computed += rank.items;
  const measure::Fields& result = record.result;
  const double bound = measure::get<double>(result, "error_bound");
  return std::abs(measure::get<double>(result, "value") - std::numbers::pi) <= bound &&
         std::abs(measure::get<double>(result, "error")) <= bound &&
         measure::get<bool>(result, "same_bits_in_all_repetitions") &&
         computed == measure::get<std::uint64_t>(result, "points") * record.repetitions_s.size();
}

}  // namespace echelon::workloads
