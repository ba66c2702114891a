#pragma once

#include <string>

#include <sys/types.h>

#include <echelon/base/files.hpp>

namespace echelon::launch {

/// A process that outlives the starter where that is killed, and then sees to what the starter would have seen to: that
/// the run's processes on this host end, and its folder goes. It hears no signals that are meant for the run, and holds
/// none of the starter's files.
class Caretaker {
 public:
  /// For the processes that have `entry` ("NAME=value") in their environment.
  Caretaker(std::string folder, std::string entry);
  ~Caretaker() { dismiss(); }
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

  /// The starter has seen to it itself.
  void dismiss() noexcept;

 private:
  base::Descriptor starter_lives_;  // the end of a line that this process alone holds
  pid_t process_ = -1;
};

}  // namespace echelon::launch
