#pragma once

#include <chrono>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <echelon/comm/link.hpp>
#include <echelon/command/template.hpp>
#include <echelon/farm/master.hpp>
#include <echelon/map/run.hpp>

#include "deliveries.hpp"
#include "output.hpp"
#include "wire.hpp"
#include "worker.hpp"

namespace echelon::map {

/// What the master works on.
struct Work {
  Work(const Options& options, const Surroundings& surroundings)
      : inputs{options.sources, options.separator},
        line{options.command.empty() ? command::Template::whole_lines()
                                     : command::Template{options.command, options.sources.size()}},
        deliveries{options, surroundings} {}

  command::Inputs inputs;
  command::Template line;
  Deliveries deliveries;
};

/// The master's end: reads the list, hands out, and delivers what comes back.
class Master {
 public:
  /// `environment`: where this rank runs the commands itself, what they are given.
  Master(const comm::Session& session, measure::Account& account, const Options& options, Work& work,
         command::Helper& helper, std::vector<std::string> environment, const Surroundings& surroundings);

  /// Until all that is to be done is done. Throws what is wrong with the input when all that runs has ended, and what
  /// is wrong with a file at once.
  void run();
  /// Ends what runs.
  void abandon();
  /// The workers' books, this rank's first; then they leave.
  [[nodiscard]] std::vector<measure::Books> end();

  [[nodiscard]] const Deliveries& deliveries() const noexcept { return deliveries_; }
  /// Something is left undone: the run can be resumed.
  [[nodiscard]] bool is_unfinished() const noexcept { return !input_ended_ || !tasks_.empty(); }
  [[nodiscard]] const std::string& stopped() const noexcept { return stopped_; }
  [[nodiscard]] std::uint64_t retried() const noexcept { return retried_; }
  [[nodiscard]] std::uint64_t listed() const noexcept { return listed_; }
  /// As in "rank 3 on node7"
  [[nodiscard]] const std::vector<std::string>& lost_ranks() const noexcept { return lost_; }
  /// As in "rank 3 on node7 was killed by signal 9 (Killed)"
  [[nodiscard]] const std::vector<std::string>& deaths() const noexcept { return deaths_; }

 private:
  using Clock = std::chrono::steady_clock;

  /// What the master keeps of a task from its reading to its end.
  struct Task {
    Listed listed;
    unsigned failures = 0;
  };
  /// A command that has ended, on its way to be delivered.
  struct Arrived {
    int worker;
    Ended ended;
    std::string reason;
    std::optional<Output> output;  // nothing: it is still with the worker
  };
  /// An output that comes from a worker in pieces.
  struct Fetching {
    std::uint64_t asked = 0;  // of both streams, one after the other
    std::uint64_t got = 0;
    std::optional<Spool> output = {};
    std::optional<Spool> errors = {};
    std::string failure = {};  // why what comes cannot be kept here
  };
  enum class Stopping { no, gently, at_once };

  void start_job();
  bool look();
  bool look_at_workers();
  bool look_at_stops();
  bool look_at_limits();
  bool give_out();
  void perform(const farm::Action& action);
  void read_list(const farm::Read& read);
  [[nodiscard]] bool has_input();
  void send(int worker, comm::Packer& message);
  void send_to_all(comm::Packer& message);
  void take(int worker, comm::Unpacker message);
  void take_piece(int worker, comm::Unpacker& message);
  bool deliver_arrived();
  [[nodiscard]] bool has_output(Arrived& arrived);
  void begin_fetching();
  void end_fetching(Arrived& arrived);
  void finish(Arrived& arrived);
  void give_up(const farm::GiveUp& gone);
  void lose(int rank, const base::Death& death);
  void stop(Stopping how, const std::string& why);
  void look_at_halt();
  [[nodiscard]] farm::Ending ending(const Arrived& arrived) const;

  const comm::Session& session_;
  measure::Account& account_;
  const Options& options_;
  const Surroundings& surroundings_;
  std::unique_ptr<Worker> here_;  // where this rank is the only one
  comm::Link link_;
  farm::Master farm_;
  farm::JobId job_ = 0;
  Work& work_;
  command::Inputs& inputs_;
  Deliveries& deliveries_;
  std::unordered_map<std::uint64_t, Task> tasks_;  // by the farm's number
  std::uint64_t listed_ = 0;                       // tasks of the list that were read
  std::uint64_t given_ = 0;                        // the farm's number of the next
  std::uint64_t unseen_ = 0;                       // of these, what the farm does not know of yet
  bool input_ended_ = false;
  bool held_ = false;  // nothing to read just now
  std::exception_ptr input_error_;
  std::deque<Arrived> arrived_;
  std::optional<Fetching> fetching_;  // of the first of them
  std::map<int, measure::Books> books_;
  std::vector<std::string> lost_;
  std::vector<std::string> deaths_;
  Stopping stopping_ = Stopping::no;
  std::string stopped_;
  unsigned stops_seen_ = 0;
  std::optional<Clock::time_point> end_at_;  // running commands
  Clock::time_point next_start_;
  Clock::time_point next_look_at_time_;
  std::optional<double> limit_s_;
  std::uint64_t retried_ = 0;
};

}  // namespace echelon::map
