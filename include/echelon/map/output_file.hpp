#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <echelon/farm/journal.hpp>

namespace echelon::map {

class JournalFile;
struct JournalOptions;

struct OutputOptions {
  std::string path;
  bool keep_order = false;  ///< pieces are in the list's order, else in that in which they came
  bool force = false;       ///< a file that is there is replaced, unless the journal knows it
};

/// What tasks write on standard output, each once, whatever was killed when, in one file. Called by one thread; it has
/// one of its own where there is a view.
///
/// Pieces, one a task, stand one behind the other in a store, which is only ever appended to; a journal says where they
/// are. The store is the file itself, and on resume is cut back to the last piece that the journal knows. Where that
/// cannot be (the list's order is wanted; pieces have become void), the store is a file of its own,
/// FILE.store, or one without a name where there is no journal, and the file is a view: what is in the store, copied in
/// the order that is wanted, made anew on resume. Once all tasks have ended well, the journal says that the file is
/// whole, and FILE.store goes.
///
/// Throws base::UsageError for what the user can mend, and std::runtime_error with the path and the reason where
/// something cannot be written; then each later call does.
class OutputFile {
 public:
  /// Refuses what the constructor would, as far as that can be told without the journal's tasks, and changes nothing.
  /// `journal`: nullptr where there is none.
  static void check(const OutputOptions& options, const JournalOptions* journal);

  /// `journal` is verified, or nullptr, and outlives this.
  OutputFile(const OutputOptions& options, JournalFile* journal);
  /// Without finish(), the view may end anywhere.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// One piece at a time: begin(), what there is, and end(), for each task that has ended, those too that have written
  /// nothing or never ran: in the list's order others wait for them. What end() returns is for JournalFile::ended().
  void begin(std::uint64_t task);
  void write(std::string_view bytes);
  /// So many bytes of a file or a pipe, from its current position on.
  void copy(int from, std::uint64_t size);
  [[nodiscard]] farm::journal::Piece end();
  /// Instead of end(): as if it had not begun. Nothing where nothing has.
  void abandon();
  /// All at once.
  [[nodiscard]] farm::journal::Piece put(std::uint64_t task, std::string_view bytes);

  /// After the last task, or where no more are run: waits until the view shows all that it can, puts the file on the
  /// disk, and takes FILE.store away where it has served. JournalFile::list_ended() and ended() come first.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::map
