#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <echelon/study/plan.hpp>

namespace echelon::study {

/// One run, as the schedule asks for it.
struct Task {
  std::size_t point = 0;    ///< its index among points(plan)
  std::uint64_t block = 1;  ///< of warm-ups, or of measured runs
  bool warmup = false;
  unsigned attempt = 1;  ///< 2: again, after a failure

  bool operator==(const Task&) const = default;
};

/// How it ended.
struct Result {
  bool succeeded = false;
  double time_s = 0;     ///< what the study is about
  double elapsed_s = 0;  ///< from launch to exit
};

/// Which run is next: decided from the plan and the runs that have ended, and nothing else, so a study that is resumed
/// goes on as if it had not been interrupted.
///
/// Runs come in blocks, in each of which every point that wants more has one run, in an order of its own: what changes
/// slowly on the machine spreads over all points. First the warm-ups, in such blocks too. A run that fails is
/// repeated once, at once; a point that fails twice in a row is given up. A block begins only where the budget is
/// expected to suffice for it, and no run begins once the budget is spent.
class Schedule {
 public:
  explicit Schedule(Plan plan);

  /// Nothing: the study has ended.
  [[nodiscard]] std::optional<Task> next() const;
  /// @pre next() has a value; `result` is that run's
  void finish(const Result& result);

  struct PointState {
    std::vector<double> times_s;    ///< of measured runs
    std::vector<double> elapsed_s;  ///< of all that succeeded
    std::uint64_t failures = 0;     ///< runs, warm-ups too
    bool given_up = false;
  };
  [[nodiscard]] const std::vector<Point>& points() const noexcept { return points_; }
  [[nodiscard]] const std::vector<PointState>& states() const noexcept { return states_; }
  [[nodiscard]] const Plan& plan() const noexcept { return plan_; }
  [[nodiscard]] double spent_s() const noexcept { return spent_s_; }
  /// The study has ended by its budget.
  [[nodiscard]] bool budget_is_spent() const noexcept { return budget_is_spent_; }
  /// Takes another budget, with what is spent; a study that had ended by its budget may go on.
  void set_budget(std::optional<double> budget_s);
  /// What is left of it for the next run; nothing: there is none. @pre next() has a value
  [[nodiscard]] std::optional<double> budget_left_s() const;
  /// The budget was spent in a run, which does not count.
  void end_by_budget();
  /// How many runs of a point there can still be, without failures: with a precision the most, else exactly.
  [[nodiscard]] std::uint64_t runs_left(std::size_t point) const;

 private:
  [[nodiscard]] bool wants_more(std::size_t point) const;
  [[nodiscard]] bool affords_block() const;
  void begin_block();
  void advance();

  Plan plan_;
  std::vector<Point> points_;
  std::vector<PointState> states_;
  std::vector<std::size_t> order_;  // of the block
  std::size_t at_ = 0;              // in the order
  std::uint64_t block_ = 0;
  bool warmup_ = true;
  unsigned attempt_ = 1;
  double spent_s_ = 0;
  bool ended_ = false;
  bool budget_is_spent_ = false;
};

/// What is still to come.
struct Cost {
  std::uint64_t runs = 0;
  double wall_s = 0;
  double core_hours = 0;
  bool at_most = false;  ///< the study may be precise enough earlier
};

/// By the median run of each point so far; where a point has none yet, by `guess_s`, a run's time at the smallest
/// point, and ideal scaling. Nothing where neither is known.
[[nodiscard]] std::optional<Cost> cost_left(const Schedule& schedule, std::optional<double> guess_s = std::nullopt);

}  // namespace echelon::study
