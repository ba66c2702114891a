// A program whose ranks are killed, or throw, while they share something; losses_test.cpp starts it and kills.
// PROGRAM -n RANKS WHAT VICTIM. In the working folder the victim makes the file "begun" when it does what it is to be
// killed over, and each rank that learns of it writes a line into "heard".
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <echelon/echelon.hpp>

#include "support/marks.hpp"

namespace {

using echelon::Session;
using namespace std::chrono_literals;

void hear(const Session& session, const std::string& what) {
  echelon::test::leave_mark("heard", "rank " + std::to_string(session.rank()) + " " + what);
}

/// Until it is killed; a minute is longer than any test lets it live.
void begin_and_stay(const std::function<void()>& meanwhile = [] {}) {
  std::ofstream{"begun"};
  for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;) {
    meanwhile();
    std::this_thread::sleep_for(100us);
  }
}

void await_file(const char* file) {
  if (!echelon::test::comes_true([&] { return std::filesystem::exists(file); })) throw std::runtime_error("no file");
}

void produce(Session& session, int victim) {
  const bool is_victim = session.rank() == victim;
  echelon::Queue<int> queue{session, is_victim ? echelon::Role::producer : echelon::Role::consumer};
  if (is_victim) begin_and_stay([&] { queue.put(1); });
  while (queue.get()) {
  }
}

void consume(Session& session, int victim) {
  const bool is_victim = session.rank() == victim;
  echelon::Queue<int> queue{session, is_victim ? echelon::Role::consumer : echelon::Role::producer, {.capacity = 4}};
  if (is_victim) begin_and_stay([&] { (void)queue.try_get(); });
  for (;;) queue.put(1);
}

/// What the victim sends is received all the same.
void send(Session& session, int victim) {
  const int other = victim == 1 ? 3 : 1;
  echelon::Pipe<std::vector<char>> pipe{session, victim, other};
  if (session.rank() == victim) {
    for (std::size_t i = 0; i < 20; ++i) pipe.send(std::vector<char>(i * 20'000));
    begin_and_stay();
  }
  if (session.rank() != other) return;
  await_file("killed");
  std::size_t count = 0;
  while (const auto item = pipe.receive()) {
    if (item->size() != count * 20'000) throw std::runtime_error("an item is missing");
    ++count;
  }
  hear(session, "received " + std::to_string(count) + (pipe.has_ended() ? " to the end" : ""));
  try {
    for (;;) pipe.send({});
  } catch (const echelon::Closed&) {
    hear(session, "cannot send");
  }
}

void hold(Session& session, int victim) {
  echelon::Lock lock{session};
  if (session.rank() == victim) {
    lock.lock();
    begin_and_stay();
  }
  await_file("begun");
  try {
    lock.lock();
  } catch (const echelon::RankLost&) {
    lock.lock();  // nor is it to be had later
  }
  hear(session, "has the lock of a dead rank");
}

/// It dies in the line.
void wait(Session& session, int victim) {
  const int holder = victim == 1 ? 3 : 1;
  echelon::Lock lock{session};
  if (session.rank() == holder) lock.lock();
  session.barrier();
  if (session.rank() == victim) {
    std::ofstream{"begun"};
    lock.lock();
  }
  if (session.rank() == holder) {
    await_file("killed");
    lock.unlock();
  } else {
    lock.lock();
    lock.unlock();
  }
}

void compute(Session& session, int victim) {
  if (session.rank() == victim) begin_and_stay();
  session.barrier();
}

void throw_one(Session& session, int victim) {
  echelon::Queue<int> queue{session, echelon::Role::both};
  if (session.rank() == victim) throw std::runtime_error("broken on purpose");
  (void)queue.get();
}

void throw_all(Session& /*session*/, int /*victim*/) { throw std::runtime_error("broken on purpose"); }

void refuse_one(Session& session, int victim) {
  if (session.rank() == victim) throw echelon::base::UsageError("not like this");
  session.barrier();
}

void refuse_all(Session& /*session*/, int /*victim*/) { throw echelon::base::UsageError("not like this"); }

void do_well(Session& session, int /*victim*/) {
  echelon::Value<int> count{session, 0};
  count.fetch_add(1);
  session.barrier();
  if (count.load() != session.size()) throw std::runtime_error("wrong count");
}

}  // namespace

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](Session& session) {
    const std::map<std::string, void (*)(Session&, int)> all{{"produce", produce},
                                                             {"consume", consume},
                                                             {"send", send},
                                                             {"hold", hold},
                                                             {"wait", wait},
                                                             {"compute", compute},
                                                             {"throw_one", throw_one},
                                                             {"throw_all", throw_all},
                                                             {"refuse_one", refuse_one},
                                                             {"refuse_all", refuse_all},
                                                             {"do_well", do_well}};
    if (argc != 3) throw echelon::base::UsageError("WHAT VICTIM");
    try {
      all.at(argv[1])(session, std::atoi(argv[2]));
      session.barrier();
    } catch (const echelon::RankLost& lost) {
      hear(session, "lost rank " + std::to_string(lost.rank));
      throw;
    }
  });
}
