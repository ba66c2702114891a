#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include <echelon/farm/journal.hpp>

#include "files.hpp"

namespace echelon::map {

/// Copies pieces of a store into a file, by a thread of its own, so that nobody waits for a disk that is slow.
class OutputView {
 public:
  struct Target {
    int file = -1;
    std::string name;         // for messages
    std::uint64_t begin = 0;  // where the first piece goes
  };
  /// `gives_room`: what was copied is not needed in the store any more.
  OutputView(int store, Target target, bool gives_room);
  /// Leaves what is not copied.
  ~OutputView();
  OutputView(const OutputView&) = delete;
  OutputView& operator=(const OutputView&) = delete;

  /// Throws std::runtime_error once one could not be copied.
  void add(const farm::journal::Piece& piece);
  /// Waits until all is copied: where the view ends then.
  std::uint64_t drain();

 private:
  int store_;
  Target target_;
  bool gives_room_;
  std::uint64_t end_;
  Room room_;

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<farm::journal::Piece> queue_;
  bool at_work_ = false;
  bool hurry_ = false;
  bool idle_ = false;  // the thread waits for a piece
  bool stop_ = false;
  std::string failure_;
  std::thread thread_;

  void run();
  [[nodiscard]] std::string show(const farm::journal::Piece& piece);
};

}  // namespace echelon::map
