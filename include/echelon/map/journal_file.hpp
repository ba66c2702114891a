#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <echelon/farm/ending.hpp>
#include <echelon/farm/journal.hpp>
#include <echelon/farm/journal_tasks.hpp>

namespace echelon::map {

/// What a run does with a journal that is there already.
enum class Resume {
  no,          ///< it is refused
  unfinished,  ///< tasks that have ended, well or not, are not run again
  failed,      ///< the same, but those that have failed are
};

struct JournalOptions {
  std::string path;
  Resume resume = Resume::no;
  bool by_content = false;          ///< tasks are told apart by what they are, not by their number in the list
  bool force = false;               ///< without resume, a file that is there is replaced
  farm::journal::Header work = {};  ///< `host` and `pid` are filled in
};

/// The journal of a run, as a file: what earlier runs have left there, and what this one adds. Called by one thread; it
/// has one of its own, which writes.
///
/// In this order: the constructor; list() for each task of the list from the first one on, and list_ended() where there
/// are no more; nothing is to be started until verified(); then an OutputFile, if there is to be one; then ended() for
/// each task that list() has not called finished, in any order, with more of list() in between.
///
/// Throws base::UsageError for what the user can mend, and std::runtime_error where the file cannot be written (then
/// each later call does, and the file holds whole lines only).
class JournalFile {
 public:
  /// Refuses what the constructor would refuse, and changes nothing; the list alone is checked later.
  static void check(const JournalOptions& options);

  explicit JournalFile(const JournalOptions& options);
  ~JournalFile();
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  /// The next task of the list, `task` counting from 0. True: it has ended in an earlier run, and is not to be run.
  [[nodiscard]] bool list(std::uint64_t task, std::string_view line);
  /// The list was that of the journal, as far as that goes; other tasks may follow.
  [[nodiscard]] bool verified() const noexcept;
  void list_ended(std::uint64_t tasks);
  /// A task has ended for good. On the disk some 20 ms later. `piece`: what OutputFile::end() has returned.
  void ended(const farm::Ending& ending, const std::optional<farm::journal::Piece>& piece = std::nullopt);
  /// Waits until all of that is on the disk.
  void flush();

  /// What the journal calls that task of the list; another number where tasks go by their content.
  [[nodiscard]] std::uint64_t number_of(std::uint64_t task) const;

  struct Counts {
    std::uint64_t listed = 0;           ///< of the list so far
    std::uint64_t finished_before = 0;  ///< of these, by earlier runs
    std::uint64_t failed_before = 0;    ///< of these, not well
    std::uint64_t good = 0;             ///< by this run
    std::uint64_t failed = 0;
  };
  [[nodiscard]] const Counts& counts() const noexcept;
  /// What the user should know of the file that was there: damage, and a run that was cut short.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept;
  /// There was a run before this one.
  [[nodiscard]] bool is_resumed() const noexcept;

  // ---- for OutputFile ----
  [[nodiscard]] const std::string& path() const noexcept;
  [[nodiscard]] const farm::journal::Tasks& known() const noexcept;
  /// What is known of the task of this number in the list; nothing where it was not listed, or is new.
  [[nodiscard]] const farm::journal::Tasks::Known* known_as(std::uint64_t task) const;
  /// All that the journal knows has ended well, the list too.
  [[nodiscard]] bool is_complete() const;
  [[nodiscard]] bool is_by_content() const noexcept;
  /// The store of pieces is synced before each group of lines.
  void write_after(int store);
  /// On the disk when it returns.
  void output_taken();
  void folded(std::uint64_t bytes);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A journal that is looked at, while a run writes it or not.
struct JournalView {
  farm::journal::Tasks tasks;
  std::vector<std::string> notes;
  bool is_in_use = false;
};
/// Reads a journal, without changing it; `on_line`, where given, is called for each line. Throws base::UsageError where
/// it is none, and calls it `name` where that is not empty.
[[nodiscard]] JournalView read_journal(const std::string& path,
                                       const farm::journal::LineReader::OnLine& on_line = nullptr,
                                       const std::string& name = {});

}  // namespace echelon::map
