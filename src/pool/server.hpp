#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <unordered_map>

#include <echelon/comm/link.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/farm/worker.hpp>
#include <echelon/measure/account.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/nursery.hpp>

#include "runner.hpp"

namespace echelon::pool::detail {

/// A worker: runs what the master sends.
class Server {
 public:
  /// Collective: on the master Crew is made meanwhile.
  /// `nursery`: for tasks that run in a process of their own; nullptr: they run here.
  Server(const comm::Session& session, Nursery* nursery);

  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void serve(Until until);
  /// This rank ends because a task has called exit(); where the master has told it to leave, that is no news.
  void tell_exit(int status);

 private:
  /// A chunk that was received, and what its tasks need.
  struct Held {
    farm::Chunk chunk;
    std::shared_ptr<Function> function;  // nullptr: in a process of its own
    TasksHead head;
    comm::Bytes bytes;
    std::span<const std::byte> function_bytes;
    std::span<const std::byte> arguments;  // of what is left of the chunk
  };

  [[nodiscard]] bool receive();
  void receive_tasks(comm::Mailbox::Message& message, comm::Unpacker from);
  void run(const farm::Chunk& run);
  void run_isolated(Held& held, const farm::Tasks& tasks);
  void report();

  const comm::Session& session_;
  Nursery* nursery_;
  farm::Worker worker_;
  comm::Link link_;
  Runner runner_;
  measure::Clock::time_point last_end_;
  measure::Account account_;
  std::unordered_map<farm::JobId, std::shared_ptr<Function>> functions_;
  std::deque<Held> held_;
  std::uint64_t pools_ended_ = 0;  // for which serve() has not returned
  bool leaving_ = false;
};

}  // namespace echelon::pool::detail
