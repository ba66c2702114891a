#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/study/command_line.hpp>
#include <echelon/study/work.hpp>

namespace echelon::study {
namespace {

using base::UsageError;
using Words = std::vector<std::string>;

struct Workload {
  std::string_view name;
  bool has_threads;
  bool runs_commands;  ///< words behind its options are another program's
};
constexpr std::array workloads{Workload{"pi", true, false},     Workload{"fill", true, false},
                               Workload{"queue", false, false}, Workload{"counter", false, false},
                               Workload{"log", false, false},   Workload{"map", false, true}};

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
  const std::string value = plan.weak.empty() ? "" : work(plan.weak, point);
  for (std::string& word : words) {
    replace_counts(word, point);
    if (!plan.weak.empty()) replace_all(word, "{}", value);
  }
  return words;
}

/// The words of a launcher's template: parted by blanks, but within quotes.
Words template_words(const std::string& text) {
  Words words;
  std::optional<std::string> word;
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && (c == ' ' || c == '\t')) {
      if (word) words.push_back(*word);
      word.reset();
      continue;
    }
    if (!word) word.emplace();
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else {
      *word += c;
    }
  }
  if (quote != 0) throw UsageError("--launcher: a quote has no end");
  if (word) words.push_back(*word);
  return words;
}

bool is_template(const std::string& launcher) { return launcher.find("{command}") != std::string::npos; }

void check_launcher(const std::string& launcher) {
  if (launcher == "auto" || launcher == "mpirun" || launcher == "srun") return;
  if (!is_template(launcher)) {
    throw UsageError(
        fmt::format("--launcher: '{}' is not known; give auto, mpirun, srun, or a template as in 'mpiexec -n {{ranks}} "
                    "{{command}}'",
                    launcher));
  }
  const Words words = template_words(launcher);
  if (std::ranges::find(words, "{command}") == words.end()) {
    throw UsageError("--launcher: {command} must be a word of its own");
  }
  if (!any_has(words, "{ranks}")) {
    throw UsageError(
        "--launcher: the template has no {ranks}, so all runs would be the same; put it where their number goes");
  }
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
  check_launcher(plan.launcher);
  if (!plan.weak.empty() && !any_has(plan.command, "{}")) {
    throw UsageError("--weak: the command has no {}, where the work is to be put; give one as in: pi --points {}");
  }
  const Workload* const workload = find_workload(plan);
  if (workload == nullptr) return;
  check_own_options(plan, *workload);
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
  const bool by_srun = plan.launcher == "srun" || (plan.launcher == "auto" && machine.in_slurm && workload == nullptr);
  const bool by_echelon = workload != nullptr && (plan.launcher == "auto" || plan.launcher == "mpirun");
  if (workload != nullptr) {
    Words own{machine.echelon};
    if (by_echelon) own.insert(own.end(), {"-n", ranks});
    own.push_back(program.front());
    if (workload->has_threads) own.insert(own.end(), {"--threads", threads});
    own.insert(own.end(), {"--json", record_file, "--quiet"});
    own.insert(own.end(), program.begin() + 1, program.end());
    program = std::move(own);
  }
  if (is_template(plan.launcher)) {
    for (std::string& word : template_words(plan.launcher)) {
      if (word == "{command}") {
        line.argv.insert(line.argv.end(), program.begin(), program.end());
      } else {
        replace_counts(word, point);
        line.argv.push_back(word);
      }
    }
    line.cpu_is_known = false;
  } else if (by_srun) {
    line.argv = {"srun", "--mpi=pmix", "-n", ranks, "-c", threads};
    if (machine.tasks_per_node > 0) {
      const std::uint64_t by_cpus = machine.tasks_per_node * machine.cpus_per_task / point.threads;
      const std::uint64_t per_node = std::clamp<std::uint64_t>(by_cpus, 1, machine.tasks_per_node);
      line.argv.insert(line.argv.end(), {"-N", std::to_string((point.ranks + per_node - 1) / per_node),
                                         "--ntasks-per-node=" + std::to_string(per_node)});
    }
    line.argv.insert(line.argv.end(), program.begin(), program.end());
    line.cpu_is_known = false;
  } else if (by_echelon) {
    line.argv = std::move(program);
    line.cpu_is_known = !machine.in_slurm;
  } else {
    Words variables;
    for (const auto& [name, value] : line.environment) variables.push_back(name);
    line.argv = machine.mpirun(point, variables, program);
    line.cpu_is_known = !machine.in_slurm;
    // Open MPI refuses root otherwise; in containers and CI root is all there is.
    if (machine.is_root) {
      line.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT", "1");
      line.environment.emplace_back("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    }
  }
  return line;
}

std::string shell_text(const CommandLine& line) {
  std::string text;
  for (const auto& [name, value] : line.environment) text += fmt::format("{}={} ", name, quoted(value));
  for (const std::string& word : line.argv) text += quoted(word) + ' ';
  text.pop_back();
  return text;
}

}  // namespace echelon::study
