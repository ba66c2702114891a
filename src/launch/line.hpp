#pragma once

#include <array>
#include <string>
#include <vector>

#include <echelon/launch/launcher.hpp>

namespace echelon::launch {

/// The starter's end of its line to rank 0, whose other end is class Starter: a socket in the run's own folder, over
/// which rank 0 is given open descriptors, and a byte for each request to stop, which names its signal. Past mpirun,
/// which took 20 s for 1 GB of output and 5 s for 1 GiB of input (0.2 s and 1 s this way), and changes what goes to
/// standard error.
class Line {
 public:
  Line() = default;
  ~Line();
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  /// Waits for rank 0 in this folder; without it, or where that fails, rank 0 does not come.
  void listen(const std::string& folder);
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// To be polled for reading: rank 0 has come. -1 once it has, or cannot come.
  [[nodiscard]] int listener() const noexcept { return listener_; }
  /// Hands over input, output and errors to rank 0, which has come, and more files by their names.
  void hand_over(const std::array<int, 3>& descriptors, const std::vector<GivenFile>& files);
  [[nodiscard]] bool is_open() const noexcept { return rank_0_ >= 0; }
  /// Rank 0 has come, and has left its end, as its process does when it ends.
  [[nodiscard]] bool is_left() const noexcept;
  /// On behalf of this signal; 0 where there was none.
  void ask_to_stop(int signal) const noexcept;

 private:
  std::string path_;
  int listener_ = -1;
  int rank_0_ = -1;
};

/// Rank 0's end: the line, or -1, and what it was given over it.
[[nodiscard]] int connect_line(const char* path, std::array<int, 3>& descriptors, std::vector<GivenFile>& files);

/// What has come over it since it was last read.
struct LineRequests {
  int count = 0;
  int last_signal = 0;  ///< 0 where there was none
  bool is_closed = false;
};
[[nodiscard]] LineRequests requests_on(int line) noexcept;

}  // namespace echelon::launch
