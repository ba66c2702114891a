#pragma once

#include <string>
#include <vector>

#include <echelon/measure/record.hpp>

namespace echelon::report {

/// Columns of text, aligned: the first line is the header; numbers to the right, words to the left.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string head;
    Align align = Align::right;
  };

  explicit Table(std::vector<Column> columns);
  /// @pre as many cells as columns
  void add(std::vector<std::string> cells);
  /// Every line ends in a newline and none in a blank.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// In engineering notation with three digits: 27.5e9, 999, 1.00e3.
[[nodiscard]] std::string engineering(double value);

/// What any command that runs on ranks shows: its answer and speed in its own words (src/report/headlines.cpp); a line
/// a rank; the efficiencies.
[[nodiscard]] std::string run_table(const measure::Record& record);

/// How a run of `echelon map` ended: counts, failures, and what each rank did.
[[nodiscard]] std::string map_summary(const measure::Record& record);

/// What the record of `echelon info` says, with a place for every rank and what looks wrong.
[[nodiscard]] std::string info_table(const measure::Record& record);
/// How many CPUs may be used, alone on a line.
[[nodiscard]] std::string usable_cpus_text(const measure::Record& record);

/// A line a record, by ranks and threads: median time, and speedup and efficiency against the record with the fewest
/// threads in all. Times are without startup. @pre not empty; all records have repetitions
[[nodiscard]] std::string scaling_table(std::vector<measure::Record> records);

}  // namespace echelon::report
