#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <echelon/analysis/study.hpp>
#include <echelon/analysis/study_point.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/report/beside.hpp>

namespace echelon::report {

/// A run of a study, as a report lists it.
struct StudyRunLine {
  std::uint64_t sequence = 0;  ///< its place in the order of all runs, from 1
  std::size_t point = 0;       ///< its index among the points
  bool warmup = false;
  unsigned attempt = 1;
  std::string started_at;  ///< UTC, ISO 8601
  std::string host;
  double time_s = 0;  ///< what the study is about; 0 where the run failed
  double launch_to_exit_s = 0;
  std::optional<double> cpu_s = {};
  std::string error = {};  ///< why it failed; empty: it did not
};

/// All that a report shows of a study.
struct StudyView {
  std::string title;         ///< what was measured, as in "pi --points 1e9"
  std::string command_line;  ///< the whole command that makes the study again, as a shell takes it
  analysis::Study study;
  std::vector<analysis::StudyPoint> points;
  /// Of each point the record of the run nearest to its median time, where its program kept one.
  std::vector<std::optional<measure::Record>> records;
  /// Under which all measured runs that kept a record were made, each once.
  std::vector<measure::Context> contexts;
  std::vector<StudyRunLine> runs;
  std::string weak;                ///< the work by the number of processors p; empty: strong scaling
  std::vector<std::string> notes;  ///< what else the reader should know
  std::vector<Beside> beside;      ///< others' figures
};

}  // namespace echelon::report
