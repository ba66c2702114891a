#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <echelon/base/error.hpp>
#include <echelon/map/journal_file.hpp>
#include <echelon/map/output_file.hpp>

#include "files.hpp"
#include "output_view.hpp"

namespace echelon::map {
namespace {

namespace fs = std::filesystem;
using base::UsageError;
using farm::journal::Piece;
using farm::journal::Tasks;

[[noreturn]] void refuse_output(const std::string& path, std::string_view what) {
  throw UsageError(fmt::format("--output: '{}' {}", path, what));
}

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error(fmt::format("cannot write {}: {}", path, reason()));
}

std::string store_of(const std::string& path) { return path + ".store"; }

/// A pipe, a terminal, a device: what is written there cannot be taken back.
bool is_special(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/// Nothing where there is no such file.
std::optional<std::uint64_t> size_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(info.st_size);
}

void check_name(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) refuse_output(path, "is a folder; give a file in it");
  const std::string folder = folder_of(real_path(path));
  if (!fs::is_directory(folder, ignored)) {
    refuse_output(path, fmt::format("cannot be written: there is no folder '{}'; create it first", folder));
  }
  const bool is_there = fs::exists(path, ignored);
  if (access(is_there ? path.c_str() : folder.c_str(), is_there ? W_OK : W_OK | X_OK) != 0) {
    refuse_output(path, fmt::format("cannot be written: {}; choose another path", reason()));
  }
}

/// What is there is not of this work.
void refuse_others(const std::string& path, bool with_journal) {
  const std::string_view way_out = with_journal
                                       ? "is there already, and not of what the journal knows; give another name, or "
                                         "--force to replace it"
                                       : "is there already; give another name, or --force to replace it";
  if (size_of(path).value_or(0) > 0) refuse_output(path, way_out);
  if (with_journal && size_of(store_of(path)).value_or(0) > 0) refuse_output(store_of(path), way_out);
}

Descriptor open_file(const std::string& path, int flags) {
  Descriptor file{open(path.c_str(), O_RDWR | O_CLOEXEC | flags, 0666)};
  if (!file.is_open()) fail(path);
  if (!lock(file.get())) refuse_output(path, "is being written by another run; wait for its end, or give another name");
  return file;
}

void cut(const Descriptor& file, std::uint64_t size, const std::string& path) {
  if (ftruncate(file.get(), static_cast<off_t>(size)) != 0) fail(path);
}

void give_name(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) fail(to);
  sync_folder(to);
}

/// In a folder, gone with whoever has it open.
Descriptor open_unnamed(const std::string& folder) {
  Descriptor file{open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  if (file.is_open()) return file;
  std::string name = folder + "/echelon.XXXXXX";  // not on every file system
  file.reset(mkostemp(name.data(), O_CLOEXEC));
  if (!file.is_open()) fail("a file in " + folder);
  unlink(name.c_str());
  return file;
}

/// What the journal knows of pieces.
struct KnownPieces {
  std::uint64_t begin = 0;  // what is before that is whole, and no piece any more
  std::uint64_t end = 0;
  std::uint64_t bytes = 0;
  [[nodiscard]] bool are_any() const noexcept { return end > begin; }
  [[nodiscard]] bool have_gaps() const noexcept { return end - begin != bytes; }
};

KnownPieces known_pieces(const Tasks& tasks) {
  KnownPieces pieces{tasks.folded().bytes, tasks.folded().bytes, 0};
  for (const Tasks::Known& known : tasks.all()) {
    if (known.has_piece == 0) continue;
    pieces.end = std::max(pieces.end, known.piece().end());
    pieces.bytes += known.size;
  }
  return pieces;
}

}  // namespace

struct OutputFile::Impl {
  std::string path;
  std::string name;  // for messages
  std::string store_path;
  bool keep_order;
  JournalFile* journal;

  Descriptor file;        // of that path
  Descriptor own_store;   // where it is not that file
  std::uint64_t end = 0;  // of the store
  std::optional<OutputView> view;

  std::optional<std::uint64_t> begun;  // the task whose piece is being written
  std::uint64_t piece_begin = 0;
  std::string failure;

  // The list's order: what waits for tasks before it.
  std::deque<std::optional<Piece>> waiting;
  std::uint64_t next = 0;  // the task of the first of these

  Impl(const OutputOptions& options, JournalFile* of)
      : path{real_path(options.path)},
        name{options.path},
        store_path{store_of(path)},
        keep_order{options.keep_order},
        journal{of} {
    if (journal != nullptr && journal->known().has_output()) {
      open_again();
    } else {
      open_new(options.force);
    }
    if (journal != nullptr) journal->write_after(store());
    advance();
  }

  [[nodiscard]] int store() const { return own_store.is_open() ? own_store.get() : file.get(); }

  // ---- opening ----

  void open_new(bool force) {
    if (!force) refuse_others(path, journal != nullptr);
    file = open_file(path, O_CREAT);
    if (!force && size_of(path).value_or(0) > 0) refuse_others(path, journal != nullptr);  // another run had it
    cut(file, 0, path);
    if (journal != nullptr) unlink(store_path.c_str());
    if (keep_order) {
      own_store = journal != nullptr ? open_file(store_path, O_CREAT | O_EXCL) : open_unnamed(folder_of(path));
      view.emplace(own_store.get(), OutputView::Target{file.get(), name, 0}, journal == nullptr);
    }
    sync_folder(path);
    if (journal != nullptr) journal->output_taken();
  }

  void open_again() {
    const KnownPieces pieces = known_pieces(journal->known());
    const bool has_store = size_of(store_path).has_value();
    if (keep_order) {
      need(path, pieces.begin);
      if (pieces.are_any()) need(store_path, pieces.end);
    } else if (!has_store) {
      need(path, pieces.end);
      if (pieces.have_gaps()) give_name(path, store_path);
    } else if (pieces.are_any()) {
      need(store_path, pieces.end);
    }
    if (size_of(path).value_or(0) < pieces.begin) restore_beginning(pieces.begin);
    file = open_file(path, O_CREAT);
    end = pieces.end;
    // Without pieces it is of no use: left over, or begun just before a run was cut short.
    if (!pieces.are_any()) unlink(store_path.c_str());
    if (!keep_order && !size_of(store_path)) {
      cut(file, end, path);
    } else {
      // What is whole in the file is a hole in a new store: pieces stand where they would in the file.
      own_store = open_file(store_path, O_CREAT);
      cut(own_store, end, store_path);
      cut(file, pieces.begin, path);
      view.emplace(own_store.get(), OutputView::Target{file.get(), name, pieces.begin}, false);
      if (!keep_order) show_known(false);
    }
    sync_folder(path);
  }

  static void need(const std::string& file_path, std::uint64_t bytes) {
    const auto size = size_of(file_path);
    if (size.value_or(0) >= bytes) return;
    const std::string found = size ? fmt::format("has {} bytes", *size) : "is not there";
    refuse_output(file_path,
                  fmt::format("{}, and the journal knows of {} bytes in it; bring it back, or start anew with "
                              "another journal",
                              found, bytes));
  }

  /// After the file itself became the store: its beginning, which is whole, is that of the view too.
  void restore_beginning(std::uint64_t size) const {
    need(store_path, size);
    const std::string partial = path + ".partial";
    const Descriptor from{open(store_path.c_str(), O_RDONLY | O_CLOEXEC)};
    const Descriptor to = open_file(partial, O_CREAT | O_TRUNC);
    const std::uint64_t offset = 0;
    if (!from.is_open() || map::copy(from.get(), &offset, to.get(), &offset, size) < size || fsync(to.get()) != 0) {
      const std::string why = reason();
      unlink(partial.c_str());
      throw std::runtime_error(fmt::format("cannot write {}: {}", partial, why));
    }
    give_name(partial, path);
  }

  /// Pieces of earlier runs in the order in which they came.
  void show_known(bool unlisted_only) {
    std::vector<Piece> pieces;
    for (const Tasks::Known& known : journal->known().all()) {
      if (known.has_piece != 0 && !(unlisted_only && known.is_listed != 0)) pieces.push_back(known.piece());
    }
    std::ranges::sort(pieces, {}, &Piece::offset);
    for (const Piece& piece : pieces) view->add(piece);
  }

  // ---- pieces ----

  void check() const {
    if (!failure.empty()) throw std::runtime_error(failure);
  }

  void check_begun() const {
    check();
    if (!begun) throw std::logic_error("output of no task");
  }

  [[noreturn]] void fail_writing() {
    failure = fmt::format("cannot write {}: {}", own_store.is_open() ? store_path : name, reason());
    cut_back();
    throw std::runtime_error(failure);
  }

  void cut_back() {
    end = piece_begin;
    begun.reset();
    (void)ftruncate(store(), static_cast<off_t>(end));
  }

  Piece close_piece() {
    const Piece piece{piece_begin, end - piece_begin};
    const std::uint64_t task = *begun;
    begun.reset();
    if (!view) return piece;
    if (!keep_order) {
      view->add(piece);
      return piece;
    }
    if (task < next || (task - next < waiting.size() && waiting[task - next])) {
      throw std::logic_error(fmt::format("task {} has output a second time", task));
    }
    if (task - next >= waiting.size()) waiting.resize(task - next + 1);
    waiting[task - next] = piece;
    advance();
    return piece;
  }

  /// Shows what no task before it is missing for.
  void advance() {
    if (!keep_order || !view) return;
    while (true) {
      std::optional<Piece> piece = waiting.empty() ? std::nullopt : waiting.front();
      if (!piece && journal != nullptr) {
        const Tasks::Known* const known = journal->known_as(next);
        if (known != nullptr && known->is_finished()) piece = known->has_piece != 0 ? known->piece() : Piece{};
      }
      if (!piece) return;
      view->add(*piece);
      if (!waiting.empty()) waiting.pop_front();
      ++next;
    }
  }

  void finish() {
    check();
    advance();
    const bool is_complete = journal != nullptr && journal->is_complete();
    if (view) {
      // Those of tasks that the list does not name any more have no other place.
      if (keep_order && journal != nullptr && journal->is_by_content() && next == journal->counts().listed) {
        show_known(true);
      }
      const std::uint64_t size = view->drain();
      if (fsync(file.get()) != 0) fail(path);
      if (!is_complete) return;
      journal->folded(size);
      view.reset();
      unlink(store_path.c_str());
      sync_folder(path);
    } else if (fsync(file.get()) != 0) {
      fail(path);
    }
  }
};

void OutputFile::check(const OutputOptions& options, const JournalOptions* journal) {
  check_name(options.path);
  if (is_special(options.path)) refuse_output(options.path, "is not a regular file; give one");
  // What a journal knows of it is seen once that is read.
  if (journal != nullptr && journal->resume != Resume::no && size_of(journal->path).value_or(0) > 0) return;
  if (!options.force) refuse_others(real_path(options.path), journal != nullptr);
}

OutputFile::OutputFile(const OutputOptions& options, JournalFile* journal)
    : impl_{std::make_unique<Impl>(options, journal)} {}

OutputFile::~OutputFile() = default;

void OutputFile::begin(std::uint64_t task) {
  impl_->check();
  if (impl_->begun) throw std::logic_error("output of two tasks at once");
  impl_->begun = task;
  impl_->piece_begin = impl_->end;
}

void OutputFile::write(std::string_view bytes) {
  impl_->check_begun();
  if (write_at(impl_->store(), bytes, impl_->end) < bytes.size()) impl_->fail_writing();
  impl_->end += bytes.size();
}

void OutputFile::copy(int from, std::uint64_t size) {
  impl_->check_begun();
  if (map::copy(from, nullptr, impl_->store(), &impl_->end, size) < size) {
    if (errno != 0) impl_->fail_writing();
    impl_->cut_back();
    throw std::runtime_error("a task's output is shorter than it was said to be");
  }
  impl_->end += size;
}

Piece OutputFile::end() {
  impl_->check_begun();
  return impl_->close_piece();
}

void OutputFile::abandon() {
  if (impl_->begun) impl_->cut_back();
}

Piece OutputFile::put(std::uint64_t task, std::string_view bytes) {
  begin(task);
  write(bytes);
  return end();
}

void OutputFile::finish() { impl_->finish(); }

}  // namespace echelon::map
