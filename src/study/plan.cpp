#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <stdexcept>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <echelon/analysis/median.hpp>
#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>
#include <echelon/study/command_line.hpp>
#include <echelon/study/plan.hpp>
#include <echelon/study/work.hpp>

#include "json_text.hpp"

namespace echelon::study {
namespace {

using base::UsageError;
using Json = nlohmann::ordered_json;

constexpr std::string_view plan_schema = "echelon.plan/1";
constexpr std::uint64_t max_count = 1'000'000;
constexpr std::size_t max_points = 10'000;

// One list of names for writing, reading and comparing, so that these cannot differ.
template <typename Visit>
void visit_plan(auto& plan, Visit visit) {
  visit("ranks", plan.ranks);
  visit("threads", plan.threads);
  visit("repeat", plan.repeat);
  visit("precision", plan.precision);
  visit("max_repeat", plan.max_repeat);
  visit("budget_s", plan.budget_s);
  visit("warmup", plan.warmup);
  visit("weak", plan.weak);
  visit("baseline", plan.baseline);
  visit("launcher", plan.launcher);
  visit("command", plan.command);
  visit("seed", plan.seed);
  visit("folder", plan.folder);
}

template <typename T>
Json json_of(const T& value) {
  return value;
}
template <typename T>
Json json_of(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

void take(const Json& json, std::uint64_t& value) {
  if (!json.is_number_unsigned()) throw std::runtime_error("is not a whole number");
  json.get_to(value);
}
void take(const Json& json, double& value) { json.get_to(value); }
void take(const Json& json, std::string& value) { json.get_to(value); }
void take(const Json& json, std::vector<std::string>& value) { json.get_to(value); }
void take(const Json& json, std::vector<std::uint64_t>& value) {
  if (json.is_string()) {
    value = parse_counts(json.get<std::string>(), max_count);
    return;
  }
  if (!json.is_array()) throw std::runtime_error("is not a list");
  value.clear();
  for (const Json& item : json) take(item, value.emplace_back());
}
template <typename T>
void take(const Json& json, std::optional<T>& value) {
  value.reset();
  if (!json.is_null()) take(json, value.emplace());
}

std::string shown(std::uint64_t value) { return fmt::format("{}", value); }
std::string shown(double value) { return fmt::format("{}", value); }
std::string shown(const std::string& value) { return value.empty() ? "none" : fmt::format("'{}'", value); }
std::string shown(const std::vector<std::uint64_t>& value) { return fmt::format("{}", fmt::join(value, ",")); }
std::string shown(const std::vector<std::string>& value) { return fmt::format("'{}'", shell_text({.argv = value})); }
template <typename T>
std::string shown(const std::optional<T>& value) {
  return value ? shown(*value) : "none";
}

std::uint64_t parse_one(std::string_view text, std::string_view item, std::uint64_t max) {
  try {
    return base::parse_count(text, 1, max);
  } catch (const UsageError& e) {
    if (text == item) throw;
    throw UsageError(fmt::format("in '{}': {}", item, e.what()));
  }
}

/// Of "A-B" the place of the sign, which is none of an exponent's.
std::size_t find_dash(std::string_view item) {
  for (std::size_t at = item.find('-', 1); at != std::string_view::npos; at = item.find('-', at + 1)) {
    if (item[at - 1] != 'e' && item[at - 1] != 'E') return at;
  }
  return std::string_view::npos;
}

void add_range(std::string_view item, std::uint64_t max, std::set<std::uint64_t>& found) {
  const std::size_t dots = item.find("..");
  const std::size_t dash = dots == std::string_view::npos ? find_dash(item) : std::string_view::npos;
  if (dots == std::string_view::npos && dash == std::string_view::npos) {
    found.insert(parse_one(item, item, max));
    return;
  }
  const std::string_view first = item.substr(0, std::min(dots, dash));
  std::string_view last = item.substr(std::min(dots, dash) + (dots == std::string_view::npos ? 1 : 2));
  char step = '+';
  std::uint64_t by = 1;
  if (const std::size_t colon = last.find(':'); colon != std::string_view::npos) {
    const std::string_view text = last.substr(colon + 1);
    if (text.empty() || (text.front() != 'x' && text.front() != '+')) {
      throw UsageError(fmt::format("'{}' has an unknown step; give one as in 1..64:x2 or 4..32:+4", item));
    }
    step = text.front();
    by = parse_one(text.substr(1), item, max);
    if (step == 'x' && by < 2) throw UsageError(fmt::format("'{}' does not grow; give a step of x2 or more", item));
    last = last.substr(0, colon);
  }
  const std::uint64_t begin = parse_one(first, item, max);
  const std::uint64_t end = parse_one(last, item, max);
  if (end < begin) throw UsageError(fmt::format("'{}' ends before it begins; give the smaller number first", item));
  if (step == '+' && (end - begin) / by >= max_points) {
    throw UsageError(fmt::format("'{}' has too many numbers; give at most {}", item, max_points));
  }
  for (std::uint64_t value = begin; value <= end; value = step == 'x' ? value * by : value + by) found.insert(value);
}

void check_counts(const char* option, const std::vector<std::uint64_t>& values) {
  if (values.empty()) throw UsageError(fmt::format("{}: there are none; give a list as in 1,2,4,8", option));
  for (const std::uint64_t value : values) {
    if (value == 0 || value > max_count) {
      throw UsageError(fmt::format("{}: {} is not possible; give numbers from 1 to {}", option, value, max_count));
    }
  }
}

/// Words that JSON would change are other words when they are read back.
void check_text(const char* what, const std::string& text) {
  try {
    (void)Json(text).dump();
  } catch (const Json::exception&) {
    throw UsageError(fmt::format("{}: {} is not UTF-8, and a plan keeps nothing else; give it by way of a script", what,
                                 Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)));
  }
}

}  // namespace

std::vector<Point> points(const Plan& plan) {
  std::vector<Point> all;
  for (const std::uint64_t ranks : plan.ranks) {
    for (const std::uint64_t threads : plan.threads) all.push_back({ranks, threads});
  }
  std::ranges::sort(all, {}, [](const Point& point) { return std::pair{point.processors(), point.ranks}; });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void check(const Plan& plan) {
  for (const std::string& word : plan.command) check_text("COMMAND", word);
  check_text("--weak", plan.weak);
  check_text("--launcher", plan.launcher);
  check_text("study: the folder that runs are started in", plan.folder);
  check_counts("--ranks", plan.ranks);
  check_counts("--threads", plan.threads);
  if (plan.ranks.size() * plan.threads.size() > max_points) {
    throw UsageError(fmt::format("--ranks: with --threads these are more than {} points", max_points));
  }
  if (plan.repeat == 0) throw UsageError("--repeat: '0' is too small; give a whole number from 1 on");
  if (plan.max_repeat == 0) throw UsageError("--max-repeat: '0' is too small; give a whole number from 1 on");
  if (plan.precision && !(*plan.precision > 0 && *plan.precision < 1)) {
    throw UsageError("--precision: give more than 0 and less than 100 %, as in 2%");
  }
  if (plan.precision && !analysis::median_bounds(plan.max_repeat)) {
    throw UsageError(
        fmt::format("--max-repeat: with {} runs no median has an interval, which --precision is about; "
                    "give 6 or more",
                    plan.max_repeat));
  }
  if (plan.budget_s && !(*plan.budget_s > 0 && std::isfinite(*plan.budget_s))) {
    throw UsageError("--budget: give a time above 0, as in 30m");
  }
  if (plan.baseline && std::ranges::find(plan.ranks, *plan.baseline) == plan.ranks.end()) {
    throw UsageError(fmt::format("--baseline: {} is not one of the ranks; give one of {}", *plan.baseline,
                                 fmt::join(plan.ranks, ",")));
  }
  if (!plan.weak.empty()) {
    for (const Point& point : points(plan)) (void)work(plan.weak, point);
  }
  check_command(plan);
}

std::vector<std::uint64_t> parse_counts(std::string_view text, std::uint64_t max) {
  std::set<std::uint64_t> found;
  for (std::string_view rest = text;;) {
    const std::size_t comma = rest.find(',');
    add_range(rest.substr(0, comma), max, found);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (found.size() > max_points) {
    throw UsageError(fmt::format("'{}' has too many numbers; give at most {}", text, max_points));
  }
  return {found.begin(), found.end()};
}

std::string to_json(const Plan& plan) {
  Json json;
  json["schema"] = plan_schema;
  visit_plan(plan, [&](const char* name, const auto& member) { json[name] = json_of(member); });
  return json.dump(2) + '\n';
}

Plan plan_from_json(std::string_view text, const Plan& otherwise) {
  try {
    const Json json = Json::parse(text);
    if (!json.is_object()) throw std::runtime_error("it is not a JSON object");
    std::set<std::string> unknown;
    for (const auto& [name, value] : json.items()) unknown.insert(name);
    if (unknown.erase("schema") > 0 && json.at("schema") != plan_schema) {
      throw std::runtime_error(fmt::format("its schema is {}, not \"{}\": another version of Echelon wrote it",
                                           json.at("schema").dump(), plan_schema));
    }
    Plan plan = otherwise;
    visit_plan(plan, [&](const char* name, auto& member) {
      if (unknown.erase(name) == 0) return;
      try {
        take(json.at(name), member);
      } catch (const std::exception& e) {
        throw std::runtime_error(fmt::format("its {}: {}", name, json_complaint(e)));
      }
    });
    if (!unknown.empty()) {
      std::string known;
      visit_plan(plan,
                 [&](const char* name, const auto&) { known += (known.empty() ? "" : ", ") + std::string{name}; });
      throw std::runtime_error(fmt::format("'{}' is not known; there are {}", *unknown.begin(), known));
    }
    return plan;
  } catch (const Json::exception& e) {
    throw std::runtime_error(json_complaint(e));
  }
}

std::string difference(const Plan& before, const Plan& now, std::string_view in_before, std::string_view in_now) {
  std::vector<std::pair<Json, std::string>> old_members;
  visit_plan(before,
             [&](const char*, const auto& member) { old_members.emplace_back(json_of(member), shown(member)); });
  std::string text;
  std::size_t at = 0;
  visit_plan(now, [&](const char* name, const auto& member) {
    const auto& [old, old_text] = old_members[at++];
    if (json_of(member) == old || std::string_view{name} == "folder") return;
    text +=
        fmt::format("{}{} ({} {}, {} {})", text.empty() ? "" : ", ", name, old_text, in_before, shown(member), in_now);
  });
  return text;
}

std::string difference_on_resume(const Plan& before, const Plan& now) {
  Plan as_before = now;
  as_before.budget_s = before.budget_s;
  as_before.repeat = std::min(before.repeat, now.repeat);
  as_before.max_repeat = std::min(before.max_repeat, now.max_repeat);
  return difference(before, as_before);
}

}  // namespace echelon::study
