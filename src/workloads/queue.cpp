#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/shared/queue.hpp>
#include <echelon/workloads/queue.hpp>

namespace echelon::workloads {
namespace {

using measure::Clock;
using measure::Phase;
using shared::Role;

// What an item says: its producer in the high bits, its number among that one's items in the low ones.
constexpr unsigned number_bits = 40;
static_assert(QueueOptions::max_items <= std::uint64_t{1} << number_bits);

std::uint64_t word(std::uint64_t producer, std::uint64_t number) { return producer << number_bits | number; }

/// The end of splitmix64, so that no sum of some items is likely to be that of others.
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

using Short = std::uint64_t;              // of 8 bytes
using Long = std::vector<unsigned char>;  // its word, again and again

template <typename Item>
Item blank(std::uint64_t bytes) {
  if constexpr (std::is_same_v<Item, Long>) {
    return Long(bytes);
  } else {
    return {};
  }
}

void write(std::uint64_t says, Short& item) { item = says; }
void write(std::uint64_t says, Long& item) {
  for (std::size_t at = 0; at < item.size(); at += sizeof says) {
    std::memcpy(item.data() + at, &says, std::min(sizeof says, item.size() - at));
  }
}

std::uint64_t read(Short item) { return item; }
std::uint64_t read(const Long& item) {
  std::uint64_t says = 0;
  if (item.size() >= sizeof says) std::memcpy(&says, item.data(), sizeof says);
  return says;
}

bool is_whole(Short /*item*/, std::uint64_t /*bytes*/) { return true; }
bool is_whole(const Long& item, std::uint64_t bytes) {
  return item.size() == bytes && std::memcmp(item.data(), item.data() + sizeof(Short), bytes - sizeof(Short)) == 0;
}

/// What a rank has put or taken.
struct Tally {
  std::uint64_t items = 0;
  std::uint64_t checksum = 0;
  std::uint64_t disordered = 0;  ///< came after a later one of the same producer
  std::uint64_t damaged = 0;

  void add(std::uint64_t says) {
    ++items;
    checksum += mixed(says);
  }
  Tally& operator+=(const Tally& other) {
    items += other.items;
    checksum += other.checksum;
    disordered += other.disordered;
    damaged += other.damaged;
    return *this;
  }
};

/// What the master knows when all have ended.
struct Traffic {
  Tally put;
  Tally taken;
  bool each_once = true;  // in every repetition
};

template <typename Item>
class QueueRun {
 public:
  QueueRun(const comm::Session& session, Account& account, const QueueOptions& options, const Progress& progress)
      : session_{session},
        account_{account},
        options_{options},
        progress_{progress},
        rank_{static_cast<std::uint64_t>(session.rank())},
        producers_{options.producers_of(static_cast<std::uint64_t>(session.size()))} {}

  [[nodiscard]] bool produces() const { return rank_ < producers_; }

  /// How long it took, from the barrier on until the last item was taken.
  double repetition(Traffic& totals) {
    measure::PhaseClock& clock = account_.clock;
    clock.enter(Phase::wait);
    shared::Queue<Item> queue{session_, produces() ? Role::producer : Role::consumer, {options_.capacity}};
    session_.barrier();
    const Clock::time_point begin = Clock::now();
    clock.enter(Phase::communicate, begin);
    const Tally mine = produces() ? produce(queue) : consume(queue);
    clock.enter(Phase::wait);
    session_.barrier();
    const double seconds = measure::Seconds{Clock::now() - begin}.count();

    account_.items += mine.items;
    Traffic here;
    const std::vector<Tally> all = comm::gather(session_, mine);
    for (std::size_t rank = 0; rank < all.size(); ++rank) (rank < producers_ ? here.put : here.taken) += all[rank];
    totals.put += here.put;
    totals.taken += here.taken;
    totals.each_once = totals.each_once && here.put.items == here.taken.items &&
                       here.put.checksum == here.taken.checksum && here.put.items == options_.items;
    return seconds;
  }

 private:
  Tally produce(shared::Queue<Item>& queue) {
    constexpr std::uint64_t some = 256;  // items, between two looks at the progress
    const std::uint64_t share = options_.items / producers_ + (rank_ < options_.items % producers_ ? 1 : 0);
    Tally tally;
    Item item = blank<Item>(options_.item_bytes);
    for (std::uint64_t number = 0; number < share; ++number) {
      const std::uint64_t says = word(rank_, number);
      write(says, item);
      queue.put(item);
      tally.add(says);
      if (number % some == 0 && session_.is_master()) {
        progress_(static_cast<double>(number) / static_cast<double>(share));
      }
    }
    queue.close();
    return tally;
  }

  Tally consume(shared::Queue<Item>& queue) {
    Tally tally;
    std::vector<std::uint64_t> next(producers_);  // number that a producer's next item has at least
    while (const std::optional<Item> item = queue.get()) {
      const std::uint64_t says = read(*item);
      tally.add(says);
      const std::uint64_t producer = says >> number_bits;
      const std::uint64_t number = says & ((std::uint64_t{1} << number_bits) - 1);
      if (producer >= producers_ || !is_whole(*item, options_.item_bytes)) {
        ++tally.damaged;
        continue;
      }
      if (number < next[producer]) ++tally.disordered;
      next[producer] = number + 1;
    }
    return tally;
  }

  const comm::Session& session_;
  Account& account_;
  const QueueOptions& options_;
  const Progress& progress_;
  const std::uint64_t rank_;
  const std::uint64_t producers_;
};

template <typename Item>
measure::Record run(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                    const QueueOptions& options, const Progress& progress) {
  double finished = 0;  // repetitions
  const Progress of_all = [&](double done) { progress((finished + done) / static_cast<double>(options.repeat)); };
  QueueRun<Item> run{session, account, options, of_all};
  account.role = run.produces() ? "producer" : "consumer";
  session.barrier();  // what a rank waits for another's MPI_Init belongs to startup
  Traffic totals;
  std::vector<double> repetitions_s;
  for (std::uint64_t i = 0; i < options.repeat; ++i) {
    repetitions_s.push_back(run.repetition(totals));
    ++account.tasks;
    ++finished;
  }
  comm::reduce_max(session, repetitions_s);

  const std::uint64_t producers = options.producers_of(static_cast<std::uint64_t>(session.size()));
  const double time_s = measure::median(repetitions_s);
  const auto items = static_cast<double>(options.items);
  Outcome outcome{
      .command = "queue",
      .parameters = {{"items", options.items},
                     {"producers", producers},
                     {"capacity", options.capacity},
                     {"bytes", options.item_bytes},
                     {"repeat", options.repeat}},
      .result = {{"items", options.items},
                 {"items_put", totals.put.items},
                 {"items_taken", totals.taken.items},
                 {"checksum_put", fmt::format("{:016x}", totals.put.checksum)},
                 {"checksum_taken", fmt::format("{:016x}", totals.taken.checksum)},
                 {"each_once", totals.each_once},
                 {"disordered", totals.taken.disordered},
                 {"damaged", totals.taken.damaged},
                 {"time_s", time_s},
                 {"items_per_s", items / time_s},
                 {"bytes_per_s", items * static_cast<double>(options.item_bytes) / time_s}},
      .repetitions_s = repetitions_s,
      .isa = "",
  };
  return close(session, account, argv, std::move(outcome));
}

}  // namespace

measure::Record run_queue(const comm::Session& session, Account& account, const std::vector<std::string>& argv,
                          const QueueOptions& options, const Progress& progress) {
  return options.item_bytes == sizeof(Short) ? run<Short>(session, account, argv, options, progress)
                                             : run<Long>(session, account, argv, options, progress);
}

bool queue_is_right(const measure::Record& record) {
  std::uint64_t put = 0;
  std::uint64_t taken = 0;
  for (const measure::RankRecord& rank : record.ranks) (rank.role == "producer" ? put : taken) += rank.items;
  const measure::Fields& result = record.result;
  const auto count = [&](const char* name) { return measure::get<std::uint64_t>(result, name); };
  const std::uint64_t all = count("items") * record.repetitions_s.size();
  return put == all && taken == all && count("items_put") == all && count("items_taken") == all &&
         measure::get<std::string>(result, "checksum_put") == measure::get<std::string>(result, "checksum_taken") &&
         measure::get<bool>(result, "each_once") && count("disordered") == 0 && count("damaged") == 0;
}

}  // namespace echelon::workloads
