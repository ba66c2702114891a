#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/launch/chatter.hpp>
#include <echelon/launch/launcher.hpp>

#include "ending.hpp"
#include "input_pump.hpp"
#include "line.hpp"
#include "patience.hpp"
#include "rank_watch.hpp"
#include "start_watch.hpp"

namespace echelon::launch {

/// Two connected descriptors that programs do not inherit.
struct Pipe {
  int out = -1;  ///< to read from
  int in = -1;   ///< to write to

  static Pipe make();
};

/// Writes to standard error.
void print_error(const std::string& text);

/// A run from the start of its launcher to that one's end: hands on what ranks print and read, and requests to stop.
class Run {
 public:
  /// `output`, `errors`: pipes from the launcher, that process.
  Run(const LaunchRequest& request, RankWatch& ranks, StartWatch start, Line& line);

  /// `input`: a pipe to the launcher, or -1; held until it is known whether rank 0 needs it.
  void begin(pid_t launcher, int output, int errors, int input);
  /// Sees the run to its end, and its launcher to its own. `spared`: children of this process that are not of the run.
  [[nodiscard]] LauncherEnd supervise(std::string launcher_name, const std::vector<pid_t>& spared);
  /// False if standard output did not take what was printed, which launchers would pass over in silence.
  [[nodiscard]] bool is_output_taken() const noexcept { return output_taken_; }

 private:
  [[nodiscard]] bool is_silent() const noexcept { return output_ < 0 && errors_ < 0; }
  [[nodiscard]] int requests_to_stop() const;
  [[nodiscard]] RunState state() const;
  void copy(std::chrono::milliseconds patience);
  void copy_output();
  void copy_errors();
  void meet_rank_0();
  void ask_to_stop();

  const LaunchRequest& request_;
  RankWatch& ranks_;
  StartWatch start_;
  Line& line_;
  pid_t launcher_ = 0;
  int output_ = -1;  // -1 once they are at their end
  int errors_ = -1;
  int launchers_input_ = -1;
  Chatter chatter_;
  InputPump input_;
  bool output_taken_ = true;
  bool reader_gone_ = false;  // nobody reads standard output any more
  int asked_to_stop_ = 0;     // requests that rank 0 was given
};

}  // namespace echelon::launch
