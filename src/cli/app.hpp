#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <echelon/comm/session.hpp>
#include <echelon/launch/launcher.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::cli {

/// Progress can be shown: here, or by the echelon that started the ranks.
[[nodiscard]] bool has_terminal();

/// A line on standard error, after "echelon: "; newlines in it become blanks. What cannot be written is let go: it must
/// not change how the program ends.
void tell(std::string line) noexcept;

/// For what failed its own check: says so.
[[nodiscard]] base::ExitCode wrong_answer();

/// Whether it is there or not, by whatever way the paths go.
[[nodiscard]] bool names_same_file(const std::string& one, const std::string& other);

/// Where a run's results go; every command that makes a record has these options.
struct OutputOptions {
  std::string json;
  std::string csv;
  CLI::Option* json_option = nullptr;
  CLI::Option* csv_option = nullptr;
  bool quiet = false;

  void add_to(CLI::App& command);
  /// Throws UsageError where a file could not be written.
  void check() const;
  /// Writes the files; nothing goes to standard output but what was asked to go there ("-").
  void write(const measure::Record& record) const;
  /// What becomes of a run's record: the files, then the table, or with --quiet `bare_answer` alone on a line, then
  /// what looks wrong.
  void show(const measure::Record& record, const std::string& bare_answer) const;
  /// Runs a workload, and shows its progress where there is a terminal, this rank's or that of the echelon which
  /// started the ranks.
  [[nodiscard]] measure::Record watch(
      const std::function<measure::Record(const std::function<void(double done)>& progress)>& run) const;
  /// Standard output is taken by --json - or --csv -.
  [[nodiscard]] bool owns_stdout() const { return json == "-" || csv == "-"; }
};

/// What a command that runs on all ranks is given.
struct RankContext {
  const comm::Session& session;
  workloads::Account& account;
  const std::vector<std::string>& argv;
};

/// A command, once it was chosen on the command line.
struct Command {
  /// Throws UsageError. Called before anything is started, and by the master of a session.
  std::function<void()> check = [] {};
  /// The same, for what depends on the number of ranks.
  std::function<void(std::uint64_t ranks)> check_ranks = [](std::uint64_t) {};
  /// On every rank; the exit code of the master counts. Either this or `run_here` is set.
  std::function<base::ExitCode(const RankContext&)> run_on_ranks;
  /// Without MPI.
  std::function<base::ExitCode()> run_here;
  std::uint64_t threads = 1;   ///< a rank
  std::uint64_t ranks = 1;     ///< to start where neither -n nor a launcher says
  bool runs_commands = false;  ///< it outlives ranks, ends by itself when it is asked to stop, and is not bound to CPUs
  bool is_about_this_process = false;  ///< one rank is what was meant
  bool reads_input = false;            ///< of the one who starts the ranks
  /// In the one who starts the ranks, of whose descriptors rank 0 needs these, too. Throws UsageError.
  std::function<std::vector<launch::GivenFile>()> files = [] { return std::vector<launch::GivenFile>{}; };
  std::string if_lost = "start it again";  ///< what to type after a run that came to no end
  /// On every rank, before MPI starts.
  std::function<void()> before_mpi = [] {};
  std::vector<std::string> words{};  ///< what stands behind the options of a command that takes such
};

/// Each adds its command to the program; parsing it fills `chosen`.
void add_pi(CLI::App& program, Command& chosen);
void add_fill(CLI::App& program, Command& chosen);
void add_queue(CLI::App& program, Command& chosen);
void add_counter(CLI::App& program, Command& chosen);
void add_log(CLI::App& program, Command& chosen);
void add_map(CLI::App& program, Command& chosen);
void add_journal(CLI::App& program, Command& chosen);
void add_report(CLI::App& program, Command& chosen);
void add_compare(CLI::App& program, Command& chosen);
void add_study(CLI::App& program, Command& chosen);
void add_info(CLI::App& program, Command& chosen);

/// An option that takes a whole number, as parse_count() reads it.
CLI::Option* add_count(CLI::App& command, const std::string& name, const std::function<void(std::uint64_t)>& set,
                       const std::string& description, std::uint64_t min, std::uint64_t max);

/// --repeat, for commands that measure several times.
void add_repeat(CLI::App& command, std::uint64_t& repeat);

/// An option that takes one of some words, which become values of an enumeration.
template <typename T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, std::vector<std::pair<std::string, T>> choices,
                        std::function<void(T)> set, const std::string& description);

}  // namespace echelon::cli

template <typename T>
CLI::Option* echelon::cli::add_choice(CLI::App& command, const std::string& name,
                                      std::vector<std::pair<std::string, T>> choices, std::function<void(T)> set,
                                      const std::string& description) {
  std::string words;
  for (const auto& [word, value] : choices) words += (words.empty() ? "" : ", ") + word;
  const auto parse = [=](const std::string& text) {
    for (const auto& [word, value] : choices) {
      if (word == text) return set(value);
    }
    throw CLI::ValidationError(name, "'" + text + "' is not known; give one of " + words);
  };
  return command.add_option_function<std::string>(name, parse, description)->type_name("WORD")->option_text(words);
}
