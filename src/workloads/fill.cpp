#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <exception>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <omp.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/shared_file.hpp>
#include <echelon/measure/topology.hpp>
#include <echelon/numeric/exact_sum.hpp>
#include <echelon/numeric/uniform.hpp>
#include <echelon/schedule/chunks.hpp>
#include <echelon/workloads/fill.hpp>
#include <echelon/workloads/npy.hpp>

namespace echelon::workloads {
namespace {

using measure::Clock;
using measure::Phase;
using numeric::ExactSum;
using schedule::Chunk;

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

/// Stays in a core's cache from being made to being written, and is long enough for a network file system.
constexpr std::uint64_t block_doubles = std::uint64_t{1} << 17;

/// What the answer is made of, whatever the order in which blocks come.
struct Totals {
  std::uint64_t checksum = 0;
  ExactSum sum;
  std::uint64_t doubles = 0;
  std::uint64_t blocks = 0;

  void add(std::span<const double> block) {
    constexpr std::size_t lanes = 16;  // one order of additions on all machines, and no waiting for the last one
    std::array<double, lanes> sums{};
    std::array<std::uint64_t, lanes> words{};
    std::size_t i = 0;
    for (; i + lanes <= block.size(); i += lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        sums[lane] += block[i + lane];
        words[lane] += std::bit_cast<std::uint64_t>(block[i + lane]);
      }
    }
    for (std::size_t lane = 0; i < block.size(); ++i, ++lane) {
      sums[lane] += block[i];
      words[lane] += std::bit_cast<std::uint64_t>(block[i]);
    }
    for (const double lane : sums) sum.add(lane);
    checksum = std::accumulate(words.begin(), words.end(), checksum);
    doubles += block.size();
    ++blocks;
  }

  void add(const Totals& other) {
    checksum += other.checksum;
    sum.add(other.sum);
    doubles += other.doubles;
    blocks += other.blocks;
  }
};

std::uint64_t blocks_in(std::uint64_t size) { return (size - 1) / block_doubles + 1; }

/// A rank's blocks, made and written by its threads.
class Filler {
 public:
  Filler(Account& account, const FillOptions& options, comm::SharedFile& file, const Progress& progress)
      : account_{account}, options_{options}, file_{file}, progress_{progress} {}

  /// With so many threads, or as many as OpenMP gives.
  Totals fill(Chunk share, std::uint64_t threads) {
    omp_set_dynamic(0);
    next_ = share.first;
    end_ = share.first + share.count;
    const std::uint64_t first = share.first;
    std::exception_ptr failure;  // must not leave the parallel region
#pragma omp parallel num_threads(static_cast <int>(threads))
    {
      try {
        const Totals mine = fill_by_thread(first);
        const std::lock_guard lock{mutex_};
        totals_.add(mine);
      } catch (...) {
        stop_ = true;
#pragma omp critical
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return totals_;
  }

  [[nodiscard]] std::uint64_t threads() const { return threads_; }

 private:
  Totals fill_by_thread(std::uint64_t first) {
    const bool keeps_books = omp_get_thread_num() == 0;
    const auto enter = [&](Phase phase) {
      if (keeps_books) account_.clock.enter(phase);
    };
    if (keeps_books) threads_ = static_cast<std::uint64_t>(omp_get_num_threads());
    Totals totals;
    std::vector<double> buffer(std::min(block_doubles, options_.size));
    while (!stop_) {
      const std::uint64_t block = next_++;
      if (block >= end_) break;
      enter(Phase::compute);
      const std::uint64_t begin = block * block_doubles;
      const std::span<double> doubles = std::span{buffer}.first(std::min(block_doubles, options_.size - begin));
      numeric::uniform(options_.seed, begin, doubles);
      totals.add(doubles);
      enter(Phase::communicate);
      write(npy_header_bytes + begin * sizeof(double), std::as_bytes(doubles));
      if (keeps_books) progress_(static_cast<double>(block + 1 - first) / static_cast<double>(end_ - first));
    }
    enter(Phase::communicate);
    return totals;
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::lock_guard lock{mutex_};
    if (!stop_ && !file_.write_at(offset, bytes)) stop_ = true;
  }

  Account& account_;
  const FillOptions& options_;
  comm::SharedFile& file_;
  const Progress& progress_;
  std::atomic<std::uint64_t> next_ = 0;
  std::uint64_t end_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;  // one thread at a time may communicate
  Totals totals_;
  std::uint64_t threads_ = 1;
};

Chunk scattered_share(const comm::Session& session, std::uint64_t blocks) {
  const auto ranks = static_cast<std::uint64_t>(session.size());
  schedule::Chunks chunks{schedule::Schedule::fixed, blocks, ranks, 1};
  std::vector<Chunk> shares;
  for (std::uint64_t rank = 0; session.is_master() && rank < ranks; ++rank) {
    shares.push_back(chunks.at(rank).value_or(Chunk{}));
  }
  return comm::scatter<Chunk>(session, shares);
}

/// The sum over all ranks, on the master. MPI adds up signed numbers: the checksum goes as two halves, which cannot
/// overflow.
Totals reduce(const comm::Session& session, Totals mine) {
  constexpr unsigned half_bits = 32;
  constexpr std::uint64_t half = (std::uint64_t{1} << half_bits) - 1;
  std::array<std::int64_t, ExactSum::state_size + 2> state{};
  std::ranges::copy(mine.sum.state(), state.begin());
  state[ExactSum::state_size] = static_cast<std::int64_t>(mine.checksum & half);
  state[ExactSum::state_size + 1] = static_cast<std::int64_t>(mine.checksum >> half_bits);
  comm::reduce_sum(session, state);
  Totals all;
  all.sum = ExactSum::from_state(std::span{state}.first<ExactSum::state_size>());
  all.checksum = static_cast<std::uint64_t>(state[ExactSum::state_size]) +
                 (static_cast<std::uint64_t>(state[ExactSum::state_size + 1]) << half_bits);
  return all;
}

}  // namespace

std::uint64_t fill_bytes(std::uint64_t size) { return npy_header_bytes + size * sizeof(double); }

measure::Record run_fill(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                         const FillOptions& options, const Progress& progress) {
  std::uint64_t threads = session.is_serialized() ? options.threads : 1;
  session.barrier();  // what a rank waits for another's MPI_Init belongs to startup
  const Clock::time_point begin = Clock::now();
  account.clock.enter(Phase::communicate, begin);
  Totals totals;
  try {
    comm::SharedFile file{session, options.out,
                          options.replace ? comm::SharedFile::Existing::replace : comm::SharedFile::Existing::keep};
    const std::string header = npy_header(options.size);
    if (session.is_master()) (void)file.write_at(0, std::as_bytes(std::span{header}));
    Filler filler{account, options, file, progress};
    totals = filler.fill(scattered_share(session, blocks_in(options.size)), threads);
    threads = filler.threads();
    // The barrier keeps the time that ranks wait for each other apart from that of the reduction and the closing.
    account.clock.enter(Phase::wait);
    session.barrier();
    account.clock.enter(Phase::communicate);
    file.finish();
  } catch (const comm::SharedFileError& e) {
    throw comm::SharedFileError{
        fmt::format("cannot write {}: {}, after {} of {}; there is no such file now", options.out, e.what(),
                    measure::format_bytes(e.written()), measure::format_bytes(fill_bytes(options.size))),
        e.written()};
  }
  account.tasks = totals.blocks;
  account.items = totals.doubles;
  totals = reduce(session, totals);
  std::array seconds{measure::Seconds{Clock::now() - begin}.count()};
  comm::reduce_max(session, seconds);
  account.clock.enter(Phase::wait);

  const double time_s = seconds.front();
  const std::uint64_t bytes = session.is_master() ? std::filesystem::file_size(options.out) : 0;
  const auto size = static_cast<double>(options.size);
  Outcome outcome{
      .command = "fill",
      .parameters = {{"size", options.size}, {"seed", options.seed}, {"block", block_doubles}, {"threads", threads}},
      .result = {{"file", options.out},
                 {"size", options.size},
                 {"bytes", bytes},
                 {"mean", totals.sum.round() / size},
                 {"checksum", totals.checksum},
                 {"time_s", time_s},
                 {"doubles_per_s", size / time_s},
                 {"bytes_per_s", static_cast<double>(bytes) / time_s}},
      .repetitions_s = {time_s},
      .isa = std::string{numeric::name(numeric::uniform_isa())},
      .threads = threads,
  };
  return close(session, account, argv, std::move(outcome));
}

bool fill_is_right(const measure::Record& record) {
  std::uint64_t made = 0;
  for (const measure::RankRecord& rank : record.ranks) made += rank.items;
  const auto size = measure::get<std::uint64_t>(record.result, "size");
  return made == size && measure::get<std::uint64_t>(record.result, "bytes") == fill_bytes(size);
}

}  // namespace echelon::workloads
