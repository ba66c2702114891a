#include <algorithm>
#include <array>

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

/// What Echelon may want of a launcher, and how each says it.
enum class Want {
  start,          ///< so many ranks; with srun: with all of the environment, which sbatch --export=NONE would keep
                  ///< from steps, and a rank that is killed ends the step, which otherwise waits for it
  all_here,       ///< as many slots as ranks, and no need for ssh
  shared_memory,  ///< alone: Open MPI would look for networks first, which takes longer than all the rest of a
                  ///< start (4.1: 0.41 s against 0.17 s), and version 5 complains of what it finds
  variable,       ///< goes to ranks of other nodes too
  more_than_slots,
  outlive_ranks,
  free,        ///< not bound to CPUs
  take_turns,  ///< there are more threads than CPUs
  bound_to_cores,
  bound_to_hwthreads,
  within_step,  ///< else srun waits for the end of the step that it is called from
  nodes,
};
struct Flags {
  Want want;
  const char* open_mpi_4;
  const char* open_mpi_5;
  const char* srun;
};
constexpr std::array flags{
    Flags{Want::start, "mpirun -n {ranks}", "mpirun -n {ranks}",
          "srun --mpi=pmix --ntasks={ranks} --cpus-per-task={threads} --export=ALL --kill-on-bad-exit=1 "
          "--quit-on-interrupt"},
    Flags{Want::all_here, "--host localhost:{ranks} --mca plm isolated", "--host localhost:{ranks} --prtemca plm ssh",
          ""},
    Flags{Want::shared_memory, "--mca pml ob1 --mca btl self,vader", "--mca pml ob1 --mca btl self,sm", ""},
    Flags{Want::variable, "-x {variable}", "-x {variable}", ""},
    Flags{Want::more_than_slots, "--oversubscribe", "--oversubscribe", "--overcommit"},
    Flags{Want::outlive_ranks, "--enable-recovery", "--enable-recovery", ""},
    Flags{Want::free, "--bind-to none", "--bind-to none", "--cpu-bind=none"},
    Flags{Want::take_turns, "--mca mpi_yield_when_idle 1", "--mca mpi_yield_when_idle 1", ""},
    Flags{Want::bound_to_cores, "--map-by slot:PE={threads} --bind-to core",
          "--map-by slot:PE={threads} --bind-to core", "--distribution=block,Pack --cpu-bind=cores"},
    Flags{Want::bound_to_hwthreads, "--use-hwthread-cpus --map-by slot:PE={threads} --bind-to hwthread",
          "--map-by slot:PE={threads}:HWTCPUS --bind-to hwthread", ""},
    Flags{Want::within_step, "", "", "--overlap"},
    Flags{Want::nodes, "", "", "--nodes={nodes}"},
};

/// A launcher's command, word by word.
class CommandLine {
 public:
  CommandLine(const char* Flags::*launcher, const LaunchPlan& plan) : launcher_{launcher}, plan_{plan} {
    add(Want::start);
  }

  void add(Want want, std::string_view variable = {}) {
    const auto found = std::ranges::find(flags, want, &Flags::want);
    for (std::string& word : template_words((*found).*launcher_)) {
      replace_all(word, "{ranks}", std::to_string(plan_.ranks));
      replace_all(word, "{threads}", std::to_string(plan_.threads));
      replace_all(word, "{variable}", std::string{variable});
      if (plan_.slurm) {
        replace_all(word, "{nodes}", std::to_string(plan_.slurm->nodes_for(plan_.ranks, plan_.threads)));
      }
      words_.push_back(std::move(word));
    }
  }
  [[nodiscard]] Words with(const Words& program) && {
    words_.insert(words_.end(), program.begin(), program.end());
    return std::move(words_);
  }

 private:
  const char* Flags::*launcher_;
  const LaunchPlan& plan_;
  Words words_;
};

Words mpirun_command(const LaunchPlan& plan, const Words& program) {
  CommandLine command{plan.open_mpi_major < 5 ? &Flags::open_mpi_4 : &Flags::open_mpi_5, plan};
  if (!plan.in_allocation) {
    command.add(Want::all_here);
    if (!plan.user_chose_transport) command.add(Want::shared_memory);
  } else {
    for (const std::string& variable : plan.variables) command.add(Want::variable, variable);
    if (plan.stops_by_itself) {
      for (const char* const variable : {starter_variable, base::user_variables}) command.add(Want::variable, variable);
    }
    if (has_too_few_slots(plan)) command.add(Want::more_than_slots);
  }
  if (plan.outlives_ranks) command.add(Want::outlive_ranks);
  const std::uint64_t threads = plan.ranks * plan.threads;
  const bool take_turns = plan.in_allocation ? is_oversubscribed(plan) : threads > plan.usable_cpus;
  // mpirun binds without regard to the CPUs that it was confined to, so there the ranks inherit these instead.
  // So would, within a step, ranks that have no slots: mpirun puts them where CPUs may be too few, and ends.
  const bool are_crowded = plan.in_step && has_too_few_slots(plan);
  const bool bindable = !take_turns && !are_crowded && (plan.in_allocation || plan.all_cpus_of_machine);
  if (!bindable || (!plan.bind && !plan.in_allocation)) {
    command.add(Want::free);
    if (take_turns) command.add(Want::take_turns);
  } else if (plan.in_allocation || threads <= plan.usable_cores) {
    command.add(Want::bound_to_cores);
  } else {
    command.add(Want::bound_to_hwthreads);
  }
  return std::move(command).with(program);
}

Words srun_command(const LaunchPlan& plan, const Words& program) {
  CommandLine command{&Flags::srun, plan};
  if (plan.in_step) command.add(Want::within_step);
  if (is_oversubscribed(plan)) {
    command.add(Want::more_than_slots);
    command.add(Want::free);
  } else {
    if (plan.slurm) command.add(Want::nodes);
    command.add(Want::bound_to_cores);
  }
  return std::move(command).with(program);
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
