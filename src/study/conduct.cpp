#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/study/conduct.hpp>

#include "files.hpp"
#include "last_words.hpp"

namespace echelon::study {
namespace {

std::string how_it_ended(const Ending& ending) {
  if (!ending.start_error.empty()) return ending.start_error;
  if (ending.signal != 0) return fmt::format("ended by signal {} ({})", ending.signal, strsignal(ending.signal));
  return fmt::format("ended with status {}", ending.exit_code);
}

/// Takes over what the run recorded itself. Why that is not as it must be; empty where it is.
std::string take_record(Run& run, const std::string& file, bool is_needed, const ReadRecord& read_record) {
  std::string text;
  try {
    text = read_file(file);
  } catch (const std::runtime_error&) {
    return is_needed ? "it left no record" : "";
  }
  if (text.empty() && !is_needed) return "";
  try {
    run.record = read_record(text);
    run.record_json = std::move(text);
    return "";
  } catch (const std::exception& e) {
    return fmt::format("its record cannot be read: {}", e.what());
  }
}

/// Of a file in a folder of the study the name from the study on.
std::string in_study(const std::filesystem::path& file) {
  return (file.parent_path().filename() / file.filename()).string();
}

Run make_run(const Task& task, const Point& point, const CommandLine& line, const Ending& ending,
             const Store::Places& places, const World& world) {
  Run run{.block = task.block,
          .ranks = point.ranks,
          .threads = point.threads,
          .warmup = task.warmup,
          .attempt = task.attempt,
          .argv = line.argv,
          .launch_to_exit_s = ending.launch_to_exit_s,
          .cpu_s = ending.cpu_s,
          .exit_code = ending.exit_code,
          .signal = ending.signal,
          .host = world.host,
          .cpus_allowed = line.cpu_is_known ? world.cpus_allowed : 0,
          .nodes = world.nodes(point),
          .allocation = world.allocation};
  if (!ending.start_error.empty() || ending.exit_code != 0 || ending.signal != 0) {
    const std::string words = last_words(places.err);
    run.error = how_it_ended(ending);
    if (!words.empty()) run.error += fmt::format(" ({}): {}", in_study(places.err), words);
    return run;
  }
  run.error = take_record(run, places.record, line.own_workload, world.read_record);
  if (run.error.empty() && !(time_s(run) > 0)) run.error = "its time is not above 0";
  return run;
}

Result result_of(const Run& run) { return {run.succeeded(), run.succeeded() ? time_s(run) : 0, run.launch_to_exit_s}; }

/// The schedule after the runs that the store has.
Schedule replay(const Plan& plan, const std::vector<Run>& runs) {
  // Runs may have been begun with a larger budget than the plan has now.
  Plan any_budget = plan;
  any_budget.budget_s.reset();
  Schedule schedule{any_budget};
  for (const Run& run : runs) {
    const std::optional<Task> task = schedule.next();
    const auto is = [&](const Task& t) {
      return Point{run.ranks, run.threads} == schedule.points()[t.point] &&
             Task{t.point, run.block, run.warmup, run.attempt} == t;
    };
    if (!task || !is(*task)) {
      throw base::UsageError(fmt::format(
          "--resume: run {} is not the one that the plan has there; give the folder as the study left it, or another",
          run.seq));
    }
    schedule.finish(result_of(run));
  }
  schedule.set_budget(plan.budget_s);
  return schedule;
}

}  // namespace

Conclusion conduct(const Plan& plan, Store& store, const World& world) {
  Schedule schedule = replay(plan, store.runs());
  Conclusion conclusion;
  world.progress(schedule);
  while (const std::optional<Task> task = schedule.next()) {
    if (world.stop_asked()) {
      conclusion.stopped = true;
      break;
    }
    const Point& point = schedule.points()[task->point];
    const Store::Places places = store.begin_run();
    const CommandLine line = command_line(plan, point, places.record, world.machine);
    const std::string started_at = world.utc_now();
    const Ending ending = world.launch(line, places, schedule.budget_left_s());
    if (ending.stopped || ending.overran) {
      store.drop_run();
      conclusion.stopped = ending.stopped;
      if (ending.stopped) break;
      schedule.end_by_budget();
      conclusion.overrun = task->point;
      continue;
    }
    Run run = make_run(*task, point, line, ending, places, world);
    run.started_at = started_at;
    const Result result = result_of(run);
    store.add(std::move(run));
    schedule.finish(result);
    if (!result.succeeded) world.failed(store.runs().back(), schedule.states()[task->point].given_up);
    world.progress(schedule);
  }
  conclusion.budget_is_spent = schedule.budget_is_spent();
  for (std::size_t i = 0; i < schedule.states().size(); ++i) {
    if (schedule.states()[i].given_up) conclusion.given_up.push_back(i);
  }
  return conclusion;
}

}  // namespace echelon::study
