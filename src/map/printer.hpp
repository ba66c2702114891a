#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "files.hpp"
#include "output.hpp"

namespace echelon::map {

/// Prints what tasks print, each task's together: as they end, or in the order of the list, for which what comes too
/// early waits in a file.
class Printer {
 public:
  struct Options {
    int output = -1;  ///< descriptors; -1: that one is not printed
    int errors = -1;
    bool in_order = false;
    std::function<void()> make_way = {};                   ///< called before something is printed on a terminal
    std::function<void(std::uint64_t task)> printed = {};  ///< called when all of what it printed is out
  };
  explicit Printer(const Options& options) : options_{options} {}

  /// What the task of that number, from 0, printed; each line after the tag where that is not nullptr.
  void print(std::uint64_t task, const Output& output, const std::string* tag);
  /// That task prints nothing, now or ever.
  void skip(std::uint64_t task);
  /// No more comes: what waits for tasks that did not end is printed too.
  void finish();

 private:
  struct Waiting {
    std::uint64_t offset;  // in the spool
    std::uint64_t output_bytes;
    std::uint64_t errors_bytes;
  };

  void put(Stream to, std::span<const std::byte> bytes) const;
  void print_waiting();
  void print_one(std::uint64_t task, const Waiting& one);

  Options options_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Waiting> waiting_;
  std::optional<Spool> spool_;
  Room room_;  // of what is printed while others wait
  std::uint64_t spooled_ = 0;
};

}  // namespace echelon::map
