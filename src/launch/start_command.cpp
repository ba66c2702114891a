#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/base/launcher_variables.hpp>
#include <echelon/launch/start_command.hpp>
#include <echelon/launch/starter.hpp>

namespace echelon::launch {
namespace {

using base::UsageError;
using Words = std::vector<std::string>;

/// Parted by blanks, but within quotes.
Words template_words(std::string_view text) {
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

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

/// More threads than CPUs in the allocation.
bool is_oversubscribed(const LaunchPlan& plan) { return plan.slurm && plan.ranks * plan.threads > plan.slurm->cpus(); }

/// More ranks than the tasks that SLURM was asked for: mpirun wants to be told.
bool has_too_few_slots(const LaunchPlan& plan) {
  if (!plan.slurm || plan.slurm->node_tasks.empty()) return false;
  std::uint64_t slots = 0;
  for (const std::uint64_t tasks : plan.slurm->node_tasks) slots += tasks;
  return plan.ranks > slots;
}

Words mpirun_command(const LaunchPlan& plan, const Words& program) {
  Words command{"mpirun", "-n", std::to_string(plan.ranks)};
  const auto add = [&](std::initializer_list<std::string> words) { command.insert(command.end(), words); };
  if (!plan.in_allocation) {
    // All ranks are here: as many slots as ranks, no need for ssh, and shared memory between them. Open MPI would look
    // for networks first, which takes longer than all the rest of a start (0.41 s against 0.17 s).
    add({"--host", "localhost:" + std::to_string(plan.ranks), "--mca", "plm", "isolated"});
    if (!plan.user_chose_transport) add({"--mca", "pml", "ob1", "--mca", "btl", "self,vader"});
  } else {
    for (const std::string& variable : plan.variables) add({"-x", variable});
    if (plan.stops_by_itself) add({"-x", starter_variable, "-x", base::user_variables});
    if (has_too_few_slots(plan)) add({"--oversubscribe"});
  }
  // Without its states mpirun would not say that a rank was lost, nor wait less long for what never comes.
  if (plan.outlives_ranks) add({"--enable-recovery", "--mca", "state_base_verbose", "1"});
  const std::uint64_t threads = plan.ranks * plan.threads;
  const bool take_turns = plan.in_allocation ? is_oversubscribed(plan) : threads > plan.usable_cpus;
  const std::string map = "slot:PE=" + std::to_string(plan.threads);
  // mpirun binds without regard to the CPUs that it was confined to, so there the ranks inherit these instead.
  // So would, within a step, ranks that have no slots: mpirun puts them where CPUs may be too few, and ends.
  const bool are_crowded = plan.in_step && has_too_few_slots(plan);
  const bool bindable = !take_turns && !are_crowded && (plan.in_allocation || plan.all_cpus_of_machine);
  if (!bindable || (!plan.bind && !plan.in_allocation)) {
    add({"--bind-to", "none"});
    if (take_turns) add({"--mca", "mpi_yield_when_idle", "1"});
  } else if (plan.in_allocation || threads <= plan.usable_cores) {
    add({"--map-by", map, "--bind-to", "core"});
  } else {
    add({"--use-hwthread-cpus", "--map-by", map, "--bind-to", "hwthread"});
  }
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

/// With all of the environment, which sbatch --export=NONE would keep from steps; a rank that is killed ends the step,
/// which otherwise waits for it.
Words srun_command(const LaunchPlan& plan, const Words& program) {
  Words command{"srun",
                "--mpi=pmix",
                fmt::format("--ntasks={}", plan.ranks),
                fmt::format("--cpus-per-task={}", plan.threads),
                "--export=ALL",
                "--kill-on-bad-exit=1",
                "--quit-on-interrupt"};
  if (plan.in_step) command.push_back("--overlap");  // else it waits for its own end
  if (is_oversubscribed(plan)) {
    command.insert(command.end(), {"--overcommit", "--cpu-bind=none"});
  } else {
    if (plan.slurm) command.push_back(fmt::format("--nodes={}", plan.slurm->nodes_for(plan.ranks, plan.threads)));
    command.insert(command.end(), {"--distribution=block,Pack", "--cpu-bind=cores"});
  }
  command.insert(command.end(), program.begin(), program.end());
  return command;
}

Words custom_command(const Words& words, const LaunchPlan& plan, const Words& program) {
  Words command;
  for (std::string word : words) {
    if (word == "{command}") {
      command.insert(command.end(), program.begin(), program.end());
      continue;
    }
    replace_all(word, "{ranks}", std::to_string(plan.ranks));
    replace_all(word, "{threads}", std::to_string(plan.threads));
    command.push_back(std::move(word));
  }
  return command;
}

/// A word in braces that is put in nowhere; a shell's ${name} is not ours.
std::optional<std::string> unknown_placeholder(std::string_view text) {
  for (std::size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at + 1);
    if (end == std::string_view::npos || end == at + 1 || text[end] != '}' || (at > 0 && text[at - 1] == '$')) continue;
    const std::string_view word = text.substr(at, end + 1 - at);
    if (word != "{ranks}" && word != "{threads}" && word != "{command}") return std::string{word};
  }
  return std::nullopt;
}

}  // namespace

Launcher parse_launcher(std::string_view text) {
  using enum Launcher::Kind;
  if (text == "auto") return {automatic};
  if (text == "mpirun") return {mpirun};
  if (text == "srun") return {srun};
  if (const auto unknown = unknown_placeholder(text)) {
    throw UsageError(
        fmt::format("--launcher: {} is not known; a template has {{ranks}}, {{threads}} and {{command}}", *unknown));
  }
  if (text.find("{command}") == std::string_view::npos) {
    if (text.find_first_of(" {") != std::string_view::npos) {
      throw UsageError(
          fmt::format("--launcher: the template '{}' has no {{command}}; put it where the program goes", text));
    }
    throw UsageError(
        fmt::format("--launcher: '{}' is not known; give auto, mpirun, srun, or a template as in 'mpiexec -n {{ranks}} "
                    "{{command}}'",
                    text));
  }
  Words words = template_words(text);
  if (std::ranges::find(words, "{command}") == words.end()) {
    throw UsageError("--launcher: {command} must be a word of its own");
  }
  if (text.find("{ranks}") == std::string_view::npos) {
    throw UsageError(
        "--launcher: the template has no {ranks}, so all runs would be the same; put it where their number goes");
  }
  return {custom, std::move(words)};
}

Launcher::Kind chosen(Launcher::Kind asked, const LaunchPlan& plan, bool srun_serves) {
  if (asked != Launcher::Kind::automatic) return asked;
  const bool by_srun = plan.slurm && srun_serves && !plan.outlives_ranks;
  return by_srun ? Launcher::Kind::srun : Launcher::Kind::mpirun;
}

bool says_srun_serves(std::string_view text) {
  constexpr std::string_view key = "TaskPlugin ";
  const std::size_t begin = text.find(key);
  if (text.find("pmix") == std::string_view::npos || begin == std::string_view::npos) return false;
  const std::string_view plugins = text.substr(begin, text.find('\n', begin) - begin);
  return plugins.find("affinity") != std::string_view::npos || plugins.find("cgroup") != std::string_view::npos;
}

std::vector<std::string> start_command(const Launcher& launcher, const LaunchPlan& plan,
                                       const std::vector<std::string>& program) {
  switch (launcher.kind) {
    case Launcher::Kind::srun: return srun_command(plan, program);
    case Launcher::Kind::custom: return custom_command(launcher.words, plan, program);
    default: return mpirun_command(plan, program);
  }
}

std::string way_out_of_step(const measure::Environment& look_up) {
  if (look_up("SLURM_STEP_NUM_TASKS") != "1") return "";
  return "; if this is a shell that srun has opened, open it with salloc, or with srun --mpi=none";
}

}  // namespace echelon::launch
