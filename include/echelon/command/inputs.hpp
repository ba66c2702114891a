#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace echelon::command {

/// `:::`
struct ListSource {
  std::vector<std::string> values;
};
/// `-a` and `::::`; `-` is standard input.
struct FileSource {
  std::string path;
};
/// An open file, which stays open.
struct DescriptorSource {
  int number = 0;
  std::string name = {};  ///< for people; empty: its number
};
using Source = std::variant<ListSource, FileSource, DescriptorSource>;

/// The values of the tasks: each combination of the sources' values, the last source's varying fastest. A source
/// without any counts as one with an empty value, unless all are empty: then there is no task. Both are as in GNU
/// parallel. The first source is read as its values are needed, the others at once, into memory.
class Inputs {
 public:
  /// `separator`: '\n' or '\0', which ends a value in files, but for the last one in each.
  /// Throws UsageError where a file cannot be read. @pre sources is not empty
  Inputs(std::vector<Source> sources, char separator);
  Inputs(Inputs&&) noexcept;
  Inputs& operator=(Inputs&&) noexcept;
  ~Inputs();

  /// One value of each source, for the next task; nothing at the end. May wait for the first source: for no more than
  /// the end of its next value. Throws UsageError at a NUL in a file of lines.
  [[nodiscard]] std::optional<std::vector<std::string>> next();

  /// For who must not wait: with `while (!has_buffered()) { poll descriptor(); read_some(); }`, next() waits for
  /// nothing.
  [[nodiscard]] bool has_buffered() const;
  /// Reads the first source once: waits only if nothing is there yet.
  void read_some();
  /// The first source, if it can keep one waiting: not a list, nor a file on disk. Otherwise -1.
  [[nodiscard]] int descriptor() const noexcept;

  [[nodiscard]] std::size_t sources() const noexcept;
  /// How many tasks there are from the first on, where reading the first source twice does no harm: lists and files on
  /// disk, through which it goes once.
  [[nodiscard]] std::optional<std::uint64_t> count() const;

 private:
  class Reader;

  void start_round(std::string first);

  std::unique_ptr<Reader> first_;
  std::vector<std::vector<std::string>> others_;  // none is empty
  bool has_others_ = false;                       // other values than those put in for empty sources
  std::vector<std::string> values_;               // of the present round: one value of the first source
  std::vector<std::size_t> places_;               // in others_, of the next combination
  bool is_in_round_ = false;
  bool is_started_ = false;
};

}  // namespace echelon::command
