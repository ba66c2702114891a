#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <echelon/map/journal_file.hpp>

namespace echelon::map {

/// A journal that is looked at, with the text of its lines, which is looked up by its place.
class JournalLines {
 public:
  using OnLine = std::function<void(const farm::journal::Line&)>;

  /// `on_line`, where given, is called for each line. Throws as read_journal().
  explicit JournalLines(const std::string& path, const OnLine& on_line = nullptr, const std::string& name = {});

  [[nodiscard]] const JournalView& view() const noexcept { return view_; }
  /// Empty where it is damaged.
  [[nodiscard]] std::string task_line(std::uint64_t task) const;
  /// How the task ended that has ended.
  [[nodiscard]] std::optional<farm::Ending> ending(std::uint64_t task) const;
  enum class Which {
    all,      ///< each time that a task has ended: one that was run again is there twice
    standing  ///< what the journal still goes by, each task once
  };
  /// In the order in which they ended.
  void for_each_ended(Which which, const std::function<void(const farm::Ending&)>& use) const;

 private:
  /// Where in the file the last line of a task is, and the last of its end.
  struct Places {
    std::uint64_t task = 0;
    std::uint64_t done = 0;
  };
  template <typename Kind>
  [[nodiscard]] std::optional<Kind> at(std::uint64_t place) const;

  JournalView view_;
  std::vector<Places> places_;
  std::vector<Places> ended_;  // of all times that a task has ended; `task` is its number here
  mutable std::ifstream file_;
};

}  // namespace echelon::map
