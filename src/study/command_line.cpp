#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/launch/start_command.hpp>
#include <echelon/study/command_line.hpp>
#include <echelon/study/work.hpp>

namespace echelon::study {
namespace {

using base::UsageError;
using Words = std::vector<std::string>;

struct Workload {
  std::string_view name;
  bool has_threads = false;
  bool runs_commands = false;  ///< words behind its options are another program's
  bool keeps_file = false;     ///< what is there already only --force replaces
};
constexpr std::array workloads{Workload{.name = "pi", .has_threads = true},
                               Workload{.name = "fill", .has_threads = true, .keeps_file = true},
                               Workload{.name = "queue"},
                               Workload{.name = "counter"},
                               Workload{.name = "log", .keeps_file = true},
                               Workload{.name = "map", .runs_commands = true}};

const Workload* find_workload(const Plan& plan) {
  if (plan.command.empty()) return nullptr;
  const auto found = std::ranges::find(workloads, plan.command.front(), &Workload::name);
  return found == workloads.end() ? nullptr : &*found;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

void replace_counts(std::string& word, const Point& point) {
  replace_all(word, "{ranks}", std::to_string(point.ranks));
  replace_all(word, "{threads}", std::to_string(point.threads));
}

bool any_has(const Words& words, std::string_view text) {
  return std::ranges::any_of(words, [&](const std::string& word) { return word.find(text) != std::string::npos; });
}

Words command_at(const Plan& plan, const Point& point) {
  Words words = plan.command;
  const std::string value = plan.weak.empty() ? "" : work_text(plan.weak, point);
  for (std::string& word : words) {
    replace_counts(word, point);
    if (!plan.weak.empty()) replace_all(word, "{}", value);
  }
  return words;
}

/// Options of a workload that are the study's.
void check_own_options(const Plan& plan, const Workload& workload) {
  for (std::size_t at = 1; at < plan.command.size(); ++at) {
    const std::string& word = plan.command[at];
    if (workload.runs_commands && (word.empty() || word.front() != '-' || word == "--")) break;
    const std::string option = word.substr(0, word.find('='));
    for (const char* own : {"-n", "--ranks", "--threads", "--json"}) {
      if (option != own) continue;
      throw UsageError(fmt::format("COMMAND: {} is the study's to give to {}; {}", own, workload.name,
                                   option == "--json" ? "leave it out: the study keeps every record"
                                                      : "leave it out, and give --ranks or --threads before --"));
    }
  }
}

/// Numbers of workloads are whole; other programs know what they take.
void check_whole(const Plan& plan, const Workload& workload) {
  const bool is_number =
      std::ranges::any_of(plan.command, [](const std::string& word) { return word == "{}" || word.ends_with("={}"); });
  if (plan.weak.empty() || workload.runs_commands || !is_number) return;
  for (const Point& point : points(plan)) {
    const double value = work(plan.weak, point);
    if (value == std::floor(value)) continue;
    throw UsageError(fmt::format("--weak: '{}' is {} with p = {}, and {} takes whole numbers; give rint({})", plan.weak,
                                 work_text(plan.weak, point), point.processors(), workload.name, plan.weak));
  }
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view{"%+,-./:=@_"}.find(c) != std::string_view::npos;
}

std::string quoted(const std::string& word) {
  if (!word.empty() && std::ranges::all_of(word, is_plain)) return word;
  std::string text = word;
  replace_all(text, "'", "'\\''");
  return fmt::format("'{}'", text);
}

}  // namespace

bool is_own_workload(const Plan& plan) { return find_workload(plan) != nullptr; }

void check_command(const Plan& plan) {
  if (plan.command.empty() || plan.command.front().empty()) {
    throw UsageError(
        "COMMAND: there is none; give a workload or a program after --, as in: echelon study --ranks 1,2 -- pi");
  }
  (void)launch::parse_launcher(plan.launcher);
  if (!plan.weak.empty() && !any_has(plan.command, "{}")) {
    throw UsageError("--weak: the command has no {}, where the work is to be put; give one as in: pi --points {}");
  }
  const Workload* const workload = find_workload(plan);
  if (workload == nullptr) return;
  check_own_options(plan, *workload);
  check_whole(plan, *workload);
  if (workload->keeps_file && std::ranges::find(plan.command, "--force") == plan.command.end()) {
    throw UsageError(
        fmt::format("COMMAND: {} would find its file there from the second run on; add --force", workload->name));
  }
  const bool has_threads = workload->has_threads || any_has(plan.command, "{threads}");
  if (!has_threads && plan.threads != std::vector<std::uint64_t>{1}) {
    throw UsageError(fmt::format("--threads: {} has no threads; leave it out", workload->name));
  }
}

CommandLine command_line(const Plan& plan, const Point& point, const std::string& record_file, const Machine& machine) {
  const Workload* const workload = find_workload(plan);
  const std::string ranks = std::to_string(point.ranks);
  const std::string threads = std::to_string(point.threads);
  CommandLine line{.folder = plan.folder, .own_workload = workload != nullptr};
  line.environment = {{"OMP_NUM_THREADS", threads}};
  // A workload is told by an option: the commands that map runs must not take the file for theirs.
  if (workload == nullptr) line.environment.emplace_back(record_variable, record_file);
  Words program = command_at(plan, point);
  const auto launcher = launch::parse_launcher(plan.launcher);
  const bool is_custom = launcher.kind == launch::Launcher::Kind::custom;
  if (workload != nullptr) {
    Words own{machine.echelon};
    if (!is_custom) own.insert(own.end(), {"-n", ranks});
    if (!is_custom && plan.launcher != "auto") own.insert(own.end(), {"--launcher", plan.launcher});
    own.push_back(program.front());
    if (workload->has_threads) own.insert(own.end(), {"--threads", threads});
    own.insert(own.end(), {"--json", record_file, "--quiet"});
    own.insert(own.end(), program.begin() + 1, program.end());
    program = std::move(own);
  }
  line.cpu_is_known = !is_custom && launcher.kind != launch::Launcher::Kind::srun && !machine.in_slurm;
  if (workload != nullptr && !is_custom) {
    line.argv = std::move(program);
    return line;
  }
  Words variables;
  for (const auto& [name, value] : line.environment) variables.push_back(name);
  line.argv = machine.start(launcher, point, variables, program);
  // Open MPI refuses root otherwise; in containers and CI root is all there is.
  if (machine.is_root && line.argv.front() == "mpirun") {
    line.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
    line.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  return line;
}

std::string shell_text(const CommandLine& line) {
  std::string text;
  for (const auto& [name, value] : line.environment) text += fmt::format("{}={} ", name, quoted(value));
  for (const std::string& word : line.argv) text += quoted(word) + ' ';
  if (!text.empty()) text.pop_back();
  return text;
}

}  // namespace echelon::study
