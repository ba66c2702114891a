#pragma once

#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <unistd.h>

namespace echelon::map {

/// A file that is open, closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) noexcept : number_{number} {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(std::exchange(other.number_, -1));
    return *this;
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] bool is_open() const noexcept { return number_ >= 0; }
  void reset(int number = -1) noexcept {
    if (number_ >= 0) close(number_);
    number_ = number;
  }

 private:
  int number_;
};

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
/// Writes all at `offset`, or as much as goes. How much that was; errno says why not more.
[[nodiscard]] std::uint64_t write_at(int file, std::string_view bytes, std::uint64_t offset);
/// The same for a file that cannot seek, at its end.
[[nodiscard]] std::uint64_t write_next(int file, std::string_view bytes);
/// Copies `size` bytes from one file to another, from and to an offset or, where that is none, its current position.
/// How many that were; where fewer, errno says why, 0 that there were no more.
[[nodiscard]] std::uint64_t copy(int from, const std::uint64_t* from_offset, int to, const std::uint64_t* to_offset,
                                 std::uint64_t size);
/// Makes a name that was given, changed or taken away in the folder of `path` last. A file system that cannot is let
/// be.
void sync_folder(const std::string& path) noexcept;
/// Of a link the file behind it; absolute.
[[nodiscard]] std::string real_path(const std::string& path);
[[nodiscard]] std::string folder_of(const std::string& path);
/// Takes the file for this run alone, until it is closed: false where another process has it. A file system without
/// locks gives it to anyone.
[[nodiscard]] bool lock(int file);
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
/// Whether a process that writes it holds the file.
[[nodiscard]] bool is_locked(int file);

}  // namespace echelon::map
