#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "files.hpp"

namespace echelon::map {

/// Appends lines to a journal in groups, by a thread of its own, each group after the output that it speaks of:
/// {take what has gathered; sync the store; write; sync the journal}. Called by one thread.
class JournalWriter {
 public:
  /// `file` stays the caller's; `size`: where to write.
  JournalWriter(int file, std::string path, std::uint64_t size);
  /// Writes what has gathered; what goes wrong with that is not told.
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;

  /// Whole lines. Those that are not `urgent` are written along with the next that are. Throws std::runtime_error once
  /// the file cannot be written any more.
  void append(std::string_view lines, bool urgent);
  /// Waits until all of that is on the disk.
  void flush();
  /// What is synced before each group, from now on.
  void sync_before(int store);

 private:
  int file_;
  std::string path_;
  std::uint64_t size_;
  Descriptor store_;

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable written_;
  std::string queue_;
  bool urgent_ = false;
  bool hurry_ = false;
  bool stop_ = false;
  bool idle_ = false;     // the thread waits for something urgent
  bool at_work_ = false;  // it writes
  std::string failure_;
  std::thread thread_;

  void run();
  [[nodiscard]] std::string write_group(const std::string& lines, int store, bool sync);
  void check() const;
};

}  // namespace echelon::map
