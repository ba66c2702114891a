#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include <echelon/analysis/precision.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/study/schedule.hpp>

namespace echelon::study {
namespace {

/// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): seeds that differ in a bit give orders that have nothing in common.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

/// Fisher and Yates; std::shuffle's order is not the same with every library.
void shuffle(std::vector<std::size_t>& order, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  for (std::size_t left = order.size(); left > 1; --left) std::swap(order[left - 1], order[random() % left]);
}

}  // namespace

Schedule::Schedule(Plan plan) : plan_{std::move(plan)}, points_{study::points(plan_)}, states_(points_.size()) {
  advance();
}

bool Schedule::wants_more(std::size_t point) const {
  const PointState& state = states_[point];
  if (state.given_up) return false;
  if (warmup_) return true;
  if (!plan_.precision) return state.times_s.size() < plan_.repeat;
  const analysis::PrecisionOptions options{.target = *plan_.precision, .most = plan_.max_repeat};
  return analysis::precision(state.times_s, options).verdict == analysis::Verdict::more;
}

bool Schedule::affords_block() const {
  if (!plan_.budget_s) return true;
  if (spent_s_ >= *plan_.budget_s) return false;
  if (warmup_ || block_ == 1) return true;
  double expected_s = 0;
  for (const std::size_t point : order_) {
    if (!states_[point].elapsed_s.empty()) expected_s += measure::median(states_[point].elapsed_s);
  }
  return spent_s_ + expected_s <= *plan_.budget_s;
}

void Schedule::begin_block() {
  if (warmup_ && block_ == plan_.warmup) {
    warmup_ = false;
    block_ = 0;
  }
  ++block_;
  at_ = 0;
  order_.clear();
  for (std::size_t point = 0; point < points_.size(); ++point) {
    if (wants_more(point)) order_.push_back(point);
  }
  shuffle(order_, mix(mix(plan_.seed) + 2 * block_ + (warmup_ ? 1 : 0)));
  if (order_.empty()) {
    ended_ = true;
  } else if (!affords_block()) {
    end_by_budget();
  }
}

void Schedule::end_by_budget() {
  ended_ = true;
  budget_is_spent_ = true;
}

void Schedule::set_budget(std::optional<double> budget_s) {
  plan_.budget_s = budget_s;
  if (ended_ && !budget_is_spent_) return;
  const bool begins_block = at_ == 0 && attempt_ == 1;
  budget_is_spent_ = begins_block ? !affords_block() : budget_s && spent_s_ >= *budget_s;
  ended_ = budget_is_spent_;
}

std::optional<double> Schedule::budget_left_s() const {
  return plan_.budget_s ? std::optional{*plan_.budget_s - spent_s_} : std::nullopt;
}

/// To the next run that is to be, if the present place is none.
void Schedule::advance() {
  while (!ended_ && at_ == order_.size()) begin_block();
}

std::optional<Task> Schedule::next() const {
  if (ended_) return std::nullopt;
  return Task{order_[at_], block_, warmup_, attempt_};
}

void Schedule::finish(const Result& result) {
  if (ended_) throw std::logic_error("a run that the schedule did not ask for");
  PointState& state = states_[order_[at_]];
  spent_s_ += result.elapsed_s;
  if (result.succeeded) {
    if (!warmup_) state.times_s.push_back(result.time_s);
    state.elapsed_s.push_back(result.elapsed_s);
  } else {
    ++state.failures;
    state.given_up = attempt_ == 2;
  }
  if (!result.succeeded && attempt_ == 1) {
    attempt_ = 2;
  } else {
    attempt_ = 1;
    ++at_;
  }
  const bool has_more = at_ < order_.size();
  if (has_more && plan_.budget_s && spent_s_ >= *plan_.budget_s) {
    end_by_budget();
  } else {
    advance();
  }
}

std::uint64_t Schedule::runs_left(std::size_t point) const {
  if (ended_ || states_[point].given_up) return 0;
  const auto rest = order_.begin() + static_cast<std::ptrdiff_t>(at_);
  const bool is_in_block = std::find(rest, order_.end(), point) != order_.end();
  const std::uint64_t measured = states_[point].times_s.size();
  if (warmup_) {
    const std::uint64_t warmups = plan_.warmup - block_ + (is_in_block ? 1 : 0);
    return warmups + (plan_.precision ? plan_.max_repeat : plan_.repeat);
  }
  if (!plan_.precision) return plan_.repeat - measured;
  return is_in_block || wants_more(point) ? plan_.max_repeat - measured : 0;
}

std::optional<Cost> cost_left(const Schedule& schedule, std::optional<double> guess_s) {
  Cost cost{.at_most = schedule.plan().precision.has_value()};
  const std::vector<Point>& points = schedule.points();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const std::uint64_t runs = schedule.runs_left(i);
    if (runs == 0) continue;
    const std::vector<double>& known_s = schedule.states()[i].elapsed_s;
    if (known_s.empty() && !guess_s) return std::nullopt;
    const auto processors = static_cast<double>(points[i].processors());
    const double scale = schedule.plan().weak.empty() ? static_cast<double>(points[0].processors()) / processors : 1;
    const double one_s = known_s.empty() ? *guess_s * scale : measure::median(known_s);
    constexpr double hour_s = 3600;
    cost.runs += runs;
    cost.wall_s += static_cast<double>(runs) * one_s;
    cost.core_hours += static_cast<double>(runs) * one_s * processors / hour_s;
  }
  if (const auto& budget_s = schedule.plan().budget_s) {
    const double left_s = std::max(0.0, *budget_s - schedule.spent_s());
    if (cost.wall_s > left_s) {
      cost.core_hours *= left_s / cost.wall_s;
      cost.wall_s = left_s;
      cost.at_most = true;
    }
  }
  return cost;
}

}  // namespace echelon::study
