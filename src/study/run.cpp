#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <echelon/study/run.hpp>
#include <echelon/study/work.hpp>

#include "json_text.hpp"

namespace echelon::study {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* allocation = "allocation";  // where there is one; runs of before have none

// One list of names for writing and reading.
template <typename Visit>
void visit_run(auto& run, Visit visit) {
  visit("seq", run.seq);
  visit("block", run.block);
  visit("ranks", run.ranks);
  visit("threads", run.threads);
  visit("warmup", run.warmup);
  visit("attempt", run.attempt);
  visit("started_at", run.started_at);
  visit("argv", run.argv);
  visit("launch_to_exit_s", run.launch_to_exit_s);
  visit("cpu_s", run.cpu_s);
  visit("exit_code", run.exit_code);
  visit("signal", run.signal);
  visit("error", run.error);
  visit("host", run.host);
  visit("cpus_allowed", run.cpus_allowed);
  visit("nodes", run.nodes);
}

template <typename T>
void put(Json& to, const T& value) {
  to = value;
}
void put(Json& to, const std::optional<double>& value) { to = value ? Json(*value) : Json(nullptr); }

template <typename T>
void get(const Json& from, T& value) {
  if (std::is_unsigned_v<T> && !std::is_same_v<T, bool> && !from.is_number_unsigned()) {
    throw std::runtime_error("it is not a whole number");
  }
  from.get_to(value);
}
void get(const Json& from, std::optional<double>& value) {
  value = from.is_null() ? std::nullopt : std::optional{from.get<double>()};
}

analysis::StudyRun measured_run(const Run& run) {
  analysis::StudyRun found{.sequence = run.seq, .time_s = time_s(run)};
  if (run.record && !run.record->repetitions_s.empty()) found = analysis::study_run(*run.record, run.seq);
  found.elapsed_s = run.launch_to_exit_s;
  // What the launch took beside the ranks is not theirs; it counts where nothing better is known.
  if (!found.cpu_s) found.cpu_s = run.cpu_s;
  return found;
}

}  // namespace

std::string to_json(const Run& run) {
  Json json;
  json["schema"] = run_schema;
  visit_run(run, [&](const char* name, const auto& member) { put(json[name], member); });
  if (!run.allocation.empty()) json[allocation] = run.allocation;
  json["record"] = run.record_json.empty() ? Json(nullptr) : Json::parse(run.record_json);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Run run_from_json(std::string_view text, const ReadRecord& read_record) {
  try {
    const Json json = Json::parse(text);
    if (json.at("schema") != run_schema) {
      throw std::runtime_error(fmt::format("its schema is {}, not \"{}\": another version of Echelon wrote it",
                                           json.at("schema").dump(), run_schema));
    }
    Run run;
    visit_run(run, [&](const char* name, auto& member) {
      try {
        get(json.at(name), member);
      } catch (const std::exception& e) {
        throw std::runtime_error(fmt::format("its {}: {}", name, json_complaint(e)));
      }
    });
    if (json.contains(allocation)) json.at(allocation).get_to(run.allocation);
    if (!json.at("record").is_null()) {
      run.record_json = json.at("record").dump();
      run.record = read_record(run.record_json);
    }
    if (!(run.launch_to_exit_s > 0) || (run.succeeded() && !(time_s(run) > 0))) {
      throw std::runtime_error("its time is not positive");
    }
    return run;
  } catch (const Json::exception& e) {
    throw std::runtime_error(json_complaint(e));
  }
}

double time_s(const Run& run) {
  if (!run.record || run.record->repetitions_s.empty()) return run.launch_to_exit_s;
  return measure::median(run.record->repetitions_s);
}

std::vector<analysis::StudyPoint> study_points(const Plan& plan, std::span<const Run> runs) {
  std::vector<analysis::StudyPoint> found;
  for (const Point& point : points(plan)) {
    analysis::StudyPoint to{.ranks = point.ranks, .threads = point.threads};
    if (!plan.weak.empty()) to.work = work(plan.weak, point);
    for (const Run& run : runs) {
      if (Point{run.ranks, run.threads} != point) continue;
      if (!run.succeeded()) ++to.failures;
      if (!run.succeeded() || run.warmup) continue;
      to.runs.push_back(measured_run(run));
      const std::uint64_t cpus = run.record ? run.record->context.cpus_allowed : run.cpus_allowed;
      if (cpus > 0) to.cpus_allowed = to.cpus_allowed == 0 ? cpus : std::min(to.cpus_allowed, cpus);
      if (!run.record) {
        to.nodes = std::max(to.nodes, run.nodes);
        to.startup_counted = true;
        continue;
      }
      to.startup_counted = to.startup_counted || run.record->repetitions_s.empty();
      to.nodes = std::max<std::uint64_t>(to.nodes, run.record->context.hosts.size());
      to.oversubscribed = to.oversubscribed || run.record->context.oversubscribed;
    }
    found.push_back(std::move(to));
  }
  return found;
}

}  // namespace echelon::study
