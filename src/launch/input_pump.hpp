#pragma once

#include <string>

#include <poll.h>

namespace echelon::launch {

/// Hands on this process's standard input to a pipe, as its reader takes it: never holds more than one reading.
class InputPump {
 public:
  InputPump() = default;
  ~InputPump() { stop(); }
  InputPump(const InputPump&) = delete;
  InputPump& operator=(const InputPump&) = delete;

  /// `pipe` is closed at the end of the input, or of its reader.
  void start(int pipe);
  /// What it waits for, for poll(); without a descriptor where for nothing.
  [[nodiscard]] pollfd waits_for() const noexcept;
  /// To be called once that has come.
  void step();

 private:
  void stop();

  [[nodiscard]] int source() const noexcept { return terminal_ >= 0 ? terminal_ : 0; }

  int pipe_ = -1;
  int terminal_ = -1;  // standard input, where that is one
  std::string held_;
};

}  // namespace echelon::launch
