#pragma once

#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include <echelon/base/files.hpp>

namespace echelon::map {

using base::Descriptor;
using base::folder_of;
using base::is_locked;
using base::lock;
using base::sync_folder;
using base::write_at;
using base::write_next;

/// Gives the room of parts of a file back to the file system, in blocks; where that can be done.
class Room {
 public:
  /// Nobody reads these bytes any more. @pre none of them has been given back before
  void give_back(int file, std::uint64_t offset, std::uint64_t size);

 private:
  std::map<std::uint64_t, std::uint64_t> bytes_;  // of blocks of which something is still read
};

/// Of errno.
[[nodiscard]] std::string reason();
/// Copies `size` bytes from one file to another, from and to an offset or, where that is none, its current position.
/// How many that were; where fewer, errno says why, 0 that there were no more.
[[nodiscard]] std::uint64_t copy(int from, const std::uint64_t* from_offset, int to, const std::uint64_t* to_offset,
                                 std::uint64_t size);
/// Of a link the file behind it; absolute.
[[nodiscard]] std::string real_path(const std::string& path);
/// A thread that signals do not interrupt: they are for the others.
template <typename Body>
[[nodiscard]] std::thread start_without_signals(Body body) {
  sigset_t all{};
  sigset_t before{};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread{std::move(body)};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace echelon::map
