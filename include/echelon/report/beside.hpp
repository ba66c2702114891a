#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/analysis/study.hpp>

namespace echelon::report {

/// Figures of another program or machine, from a paper for example, to be set beside those of a study.
struct Beside {
  struct Row {
    double processors = 1;  ///< ranks x threads, or processes
    double time_s = 0;
    std::optional<double> cpu_percent = {};
  };
  std::string title;
  bool is_elapsed = true;  ///< times are from launch to exit, not those that the program says of itself
  std::vector<Row> rows;   ///< at least one; by processors, each once
};

/// Reads CSV with a header, of which it takes the columns `processors` or `ranks`, `elapsed_s` or `time_s`, and
/// `cpu_percent` where it is there; of several lines for the same processors the medians. Lines that begin with # are
/// comments, and the first is the title; without one, `name` is. Throws std::runtime_error with the line.
[[nodiscard]] Beside parse_beside(std::string_view csv, std::string_view name);

/// What one side has at a number of processors; speedup and efficiency are against its fewest processors.
struct BesideFigures {
  double time_s = 0;
  double speedup = 1;
  double efficiency = 1;
  std::optional<double> cpu_percent = {};
};

struct BesideRow {
  double processors = 1;
  std::optional<BesideFigures> study = {};
  std::optional<BesideFigures> other = {};
};

/// By processors, all that either side has. The study's times are of the same kind as the others'; of several points
/// with as many processors it is the fastest.
[[nodiscard]] std::vector<BesideRow> beside_rows(const analysis::Study& study, const Beside& beside);

}  // namespace echelon::report
