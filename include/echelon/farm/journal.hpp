#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <echelon/farm/ending.hpp>

/// The format of the journal of a run: text, one line an event, only ever appended to. A line is a checksum (CRC-32C of
/// what follows it, 8 digits of lower case), the kind, and the fields, with tabs between them; bytes that would break
/// a line are escaped.
namespace echelon::farm::journal {

constexpr unsigned version = 1;

/// What a task has written on standard output, in the file that keeps all of these, one behind the other.
struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  [[nodiscard]] std::uint64_t end() const noexcept { return offset + size; }
  friend bool operator==(const Piece&, const Piece&) = default;
};

/// The first line: which work this is the journal of.
struct Header {
  std::string command;      ///< the template
  std::string separator;    ///< between the tasks of the list
  std::string output_path;  ///< absolute; empty: none
  bool keep_order = false;
  std::string host;
  std::int64_t pid = 0;
  std::vector<std::string> sources;  ///< "file PATH" (absolute), "argument TEXT" or "pipe"
  friend bool operator==(const Header&, const Header&) = default;
};
/// A run that goes on with the work begins here.
struct Run {
  std::string host;
  std::int64_t pid = 0;
  double started_at = 0;  ///< seconds since 1970
  friend bool operator==(const Run&, const Run&) = default;
};
/// A task was read from the list.
struct Task {
  std::uint64_t task = 0;
  std::string line;
  friend bool operator==(const Task&, const Task&) = default;
};
/// A task has ended for good.
struct Done {
  Ending ending;
  std::optional<Piece> piece;
  friend bool operator==(const Done&, const Done&) = default;
};
/// The list has ended, after so many tasks.
struct ListEnd {
  std::uint64_t tasks = 0;
  friend bool operator==(const ListEnd&, const ListEnd&) = default;
};
/// From here on tasks are told apart by what they are, not by their number in the list.
struct ByContent {
  friend bool operator==(const ByContent&, const ByContent&) = default;
};
/// What has failed up to here is open again, and its output void.
struct Again {
  friend bool operator==(const Again&, const Again&) = default;
};
/// The output file is this work's from here on.
struct OutputTaken {
  friend bool operator==(const OutputTaken&, const OutputTaken&) = default;
};
/// All tasks up to here have ended well, and the first bytes of the output file stand for all their pieces.
struct Folded {
  std::uint64_t bytes = 0;
  std::uint64_t tasks = 0;
  std::optional<std::uint64_t> list_digest;  ///< of their lines, where tasks go by their number
  friend bool operator==(const Folded&, const Folded&) = default;
};
/// Of a kind that a later Echelon has added.
struct Other {
  friend bool operator==(const Other&, const Other&) = default;
};
/// The first line, where its version is not this one.
struct OtherVersion {
  std::string version;
  friend bool operator==(const OtherVersion&, const OtherVersion&) = default;
};

using Line = std::variant<Header, Run, Task, Done, ListEnd, ByContent, Again, OutputTaken, Folded, Other, OtherVersion>;

/// The line as it stands in the file, with its newline.
[[nodiscard]] std::string to_text(const Line& line);
/// The same for a task, without a copy of it.
void append_task(std::string& to, std::uint64_t task, std::string_view line);

/// Of the text of a line without its newline; nothing where it is damaged.
[[nodiscard]] std::optional<Line> parse(std::string_view text);

/// Whether a file that holds no whole line is one whose header was not finished.
[[nodiscard]] bool is_begun_header(std::string_view text);
/// Whether the first line of a file was meant to be a header.
[[nodiscard]] bool looks_like_header(std::string_view text);

/// What a task is known by: 64 bits of its line. A change within 8 bytes that follow each other is always seen, any
/// other but once in 2^64.
[[nodiscard]] std::uint64_t hash_of(std::string_view line);
/// Of a list: from the digest of what came before and the next task's hash; 0 at first.
[[nodiscard]] std::uint64_t digest_of(std::uint64_t before, std::uint64_t hash);

/// Where something stands in the file.
struct Place {
  std::uint64_t at = 0;  ///< bytes before it
  std::uint64_t size = 0;
  std::uint64_t line = 0;  ///< its number, from 1
};

/// Finds the lines in a file that is given in blocks. What is damaged costs no other line: not even where the newline
/// between two is.
class LineReader {
 public:
  using OnLine = std::function<void(const Place&, const Line&)>;
  using OnDamage = std::function<void(const Place&)>;
  /// `on_damage` is called for what is damaged with whole lines behind it.
  LineReader(OnLine on_line, OnDamage on_damage);

  void read(std::string_view block);
  /// After the last block.
  void end();

  /// After end(): where the last whole line ends; what follows was not written to its end.
  [[nodiscard]] std::uint64_t whole_bytes() const noexcept { return whole_bytes_; }
  [[nodiscard]] std::uint64_t torn_bytes() const noexcept { return position_ - whole_bytes_; }
  /// After end(): the last whole line is there but for its newline.
  [[nodiscard]] bool newline_is_missing() const noexcept { return newline_is_missing_; }

 private:
  OnLine on_line_;
  OnDamage on_damage_;
  std::string rest_;              // of the last block, behind its last newline
  std::vector<Place> unsettled_;  // damaged, with no whole line behind it yet
  std::uint64_t position_ = 0;
  std::uint64_t whole_bytes_ = 0;
  std::uint64_t lines_ = 0;
  bool newline_is_missing_ = false;

  void read_line(std::string_view text);
  bool read_two(std::string_view text);
  bool take(std::uint64_t at, std::string_view text);
};

}  // namespace echelon::farm::journal
