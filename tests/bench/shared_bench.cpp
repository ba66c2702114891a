// What shared.sh measures: one figure a line, its name and the number.
//   shared_bench -n RANKS queue PRODUCERS ITEMS | pipe ROUNDS | lock ROUNDS | fetch_add ROUNDS
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string_view>

#include <echelon/base/number.hpp>
#include <echelon/echelon.hpp>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void queue(echelon::Session& session, int producers, std::uint64_t items) {
  const bool produces = session.rank() < producers;
  echelon::Queue<std::uint64_t> queue{session, produces ? echelon::Role::producer : echelon::Role::consumer};
  echelon::Value<std::uint64_t> taken{session};
  session.barrier();
  const auto begin = Clock::now();
  if (produces) {
    for (std::uint64_t i = 0; i < items / static_cast<std::uint64_t>(producers); ++i) queue.put(i);
    queue.close();
  } else {
    std::uint64_t count = 0;
    while (queue.get()) ++count;
    taken.fetch_add(count);
  }
  session.barrier();
  if (session.is_master()) {
    std::printf("items_a_second %.6g\n", static_cast<double>(taken.load()) / seconds_since(begin));
  }
}

void pipe(echelon::Session& session, std::uint64_t rounds) {
  echelon::Pipe<std::uint64_t> pipe{session, 0, 1};
  session.barrier();
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < rounds; ++i) {
    if (session.is_master()) {
      pipe.send(i);
      (void)pipe.receive();
    } else {
      pipe.send(*pipe.receive());
    }
  }
  if (session.is_master()) std::printf("pipe_us %.6g\n", 1e6 * seconds_since(begin) / static_cast<double>(rounds));
}

void lock(echelon::Session& session, std::uint64_t rounds) {
  echelon::Lock lock{session};
  if (session.is_master()) {
    const auto begin = Clock::now();
    for (std::uint64_t i = 0; i < rounds; ++i) const std::lock_guard turn{lock};
    std::printf("lock_us %.6g\n", 1e6 * seconds_since(begin) / static_cast<double>(rounds));
  }
}

void fetch_add(echelon::Session& session, std::uint64_t rounds) {
  echelon::Value<std::uint64_t> value{session};
  session.barrier();
  if (session.rank() == 1) {
    const auto begin = Clock::now();
    for (std::uint64_t i = 0; i < rounds; ++i) value.fetch_add(1);
    std::printf("fetch_add_us %.6g\n", 1e6 * seconds_since(begin) / static_cast<double>(rounds));
  }
  session.barrier();
}

}  // namespace

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](echelon::Session& session) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const auto number = [&](int i) {
      constexpr std::uint64_t most = 1'000'000'000'000;
      return echelon::base::parse_count(argc > i ? argv[i] : "", 1, most);
    };
    if (what == "queue") return queue(session, static_cast<int>(number(2)), number(3));
    if (what == "pipe") return pipe(session, number(2));
    if (what == "lock") return lock(session, number(2));
    if (what == "fetch_add") return fetch_add(session, number(2));
    throw echelon::base::UsageError("shared_bench: give queue, pipe, lock or fetch_add");
  });
}
