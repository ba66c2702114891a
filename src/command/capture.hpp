#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <poll.h>

#include <echelon/base/files.hpp>

namespace echelon::command::detail {

/// What a running command prints: it comes through pipes, a little stays in memory, more goes into files. The command
/// does not write these files itself, since few programs look whether what they print has been taken; here each write
/// is checked.
class Capture {
 public:
  /// More than this of both streams together goes into the files.
  static constexpr std::uint64_t most_in_memory = 16 << 10;
  /// The end of standard error is kept in memory whatever becomes of the file.
  static constexpr std::size_t kept_end = 4096;

  /// `files`: for standard output and standard error, both empty. Where there are no pipes, that is error().
  explicit Capture(std::array<base::Descriptor, 2> files);

  /// What the command is to have as its standard output and standard error.
  [[nodiscard]] std::array<int, 2> ends() const noexcept { return {streams_[0].in.get(), streams_[1].in.get()}; }
  /// To be polled: there is something to take.
  [[nodiscard]] std::array<pollfd, 2> waits_for() const noexcept;
  /// Takes some of what there is.
  void take();
  /// As if the command had said so on standard error.
  void say(std::string_view text);
  /// Nobody writes any more: takes the rest.
  void finish();

  /// errno of the write that failed; 0: all that was printed is kept. What comes after a failure is dropped.
  [[nodiscard]] int error() const noexcept { return error_; }
  /// All is in the files, else in text().
  [[nodiscard]] bool is_in_files() const noexcept { return in_files_; }
  [[nodiscard]] std::uint64_t bytes(std::size_t stream) const noexcept { return streams_[stream].bytes; }
  [[nodiscard]] const std::string& text(std::size_t stream) const noexcept { return streams_[stream].text; }
  [[nodiscard]] const std::string& errors_end() const noexcept { return errors_end_; }

 private:
  struct Stream {
    base::Descriptor out;  // the pipe's end for this process
    base::Descriptor in;   // for the command; open here too, so that the command's end wakes nobody
    base::Descriptor file;
    std::uint64_t bytes = 0;
    std::string text;
    bool is_spliced = false;
  };

  void take(Stream& stream, std::uint64_t most);
  [[nodiscard]] std::int64_t splice_some(Stream& stream);
  void keep(Stream& stream, std::string_view bytes);
  void go_to_files();
  void write(Stream& stream, std::string_view bytes);
  void fail(int error);

  std::array<Stream, 2> streams_;
  std::string errors_end_;
  bool in_files_ = false;
  int error_ = 0;
};

}  // namespace echelon::command::detail
