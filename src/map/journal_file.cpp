#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <functional>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <echelon/base/error.hpp>
#include <echelon/base/time.hpp>
#include <echelon/map/journal_file.hpp>

#include "files.hpp"
#include "journal_writer.hpp"

namespace echelon::map {
namespace {

namespace journal = farm::journal;
using base::UsageError;
using journal::Tasks;

constexpr std::size_t block_bytes = std::size_t{1} << 20U;

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> host{};
  gethostname(host.data(), host.size() - 1);
  return host.data();
}

/// A rare line is written twice, so that no single damage changes what is done with the rest.
std::string twice(const journal::Line& line) {
  const std::string text = journal::to_text(line);
  return text + text;
}

/// Of a long line its beginning.
std::string shown(std::string_view line) {
  constexpr std::size_t most = 60;
  std::string text{line.substr(0, most)};
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return line.size() > most ? fmt::format("'{}'...", text) : fmt::format("'{}'", text);
}

[[noreturn]] void refuse(const std::string& path, std::string_view what) {
  throw UsageError(fmt::format("'{}' {}", path, what));
}

struct Contents {
  Tasks tasks;
  std::vector<std::string> notes;
  std::uint64_t whole_bytes = 0;
  std::uint64_t torn_bytes = 0;
  bool newline_is_missing = false;
};

std::string read_block(int file, std::uint64_t at, std::size_t most, const std::string& path) {
  std::string block(most, '\0');
  while (true) {
    const ssize_t count = pread(file, block.data(), block.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(path, fmt::format("cannot be read: {}", reason()));
    block.resize(static_cast<std::size_t>(count));
    return block;
  }
}

void read_lines(
    int file, const std::string& path, journal::LineReader& reader,
    const std::function<bool()>& is_enough = [] { return false; }) {
  std::uint64_t at = 0;
  while (!is_enough()) {
    const std::string block = read_block(file, at, block_bytes, path);
    if (block.empty()) break;
    reader.read(block);
    at += block.size();
  }
  reader.end();
}

std::string damage_note(const std::string& path, const journal::Place& place) {
  return fmt::format("line {} of '{}' is damaged ({} bytes from byte {} on); a task that it was about is run again",
                     place.line, path, place.size, place.at);
}

enum class Extent { all, header };

/// Of a journal; without a header where not even that was written to its end.
Contents read_contents(int file, const std::string& path, Extent extent,
                       const journal::LineReader::OnLine& on_line = nullptr) {
  constexpr std::size_t most_notes = 20;
  Contents contents;
  std::uint64_t damaged = 0;
  bool first = true;
  const auto take = [&](const journal::Place& place, const journal::Line& line) {
    if (first) {
      if (const auto* other = std::get_if<journal::OtherVersion>(&line)) {
        refuse(path, fmt::format("is a journal of version {}, and this Echelon knows version {}; use a newer one",
                                 other->version, journal::version));
      }
      const bool is_header = std::holds_alternative<journal::Header>(line) && place.at == 0;
      if (!is_header) {
        const std::string beginning = read_block(file, 0, 64, path);
        refuse(path, journal::looks_like_header(beginning) || place.at > 0
                         ? "has a damaged first line, which says what work it is of; start anew with --force or "
                           "another file"
                         : "is not a journal of echelon map; give another file");
      }
      first = false;
    }
    contents.tasks.read(place, line);
    if (on_line) on_line(place, line);
  };
  const auto take_damage = [&](const journal::Place& place) {
    if (++damaged <= most_notes) contents.notes.push_back(damage_note(path, place));
  };
  journal::LineReader reader{take, take_damage};
  read_lines(file, path, reader, [&] { return extent == Extent::header && !first; });
  if (damaged > most_notes) contents.notes.push_back(fmt::format("and {} lines more", damaged - most_notes));
  contents.whole_bytes = reader.whole_bytes();
  contents.torn_bytes = reader.torn_bytes();
  contents.newline_is_missing = reader.newline_is_missing();
  if (first && contents.torn_bytes > 0) {
    const std::string beginning = read_block(file, 0, 64 * 1024, path);
    if (!journal::is_begun_header(beginning)) {
      refuse(path, journal::looks_like_header(beginning)
                       ? "has a damaged first line, which says what work it is of; start anew with --force or another "
                         "file"
                       : "is not a journal of echelon map; give another file");
    }
  }
  return contents;
}

[[noreturn]] void refuse_in_use(int file, const std::string& path) {
  std::optional<journal::Run> last;
  journal::LineReader reader{[&](const journal::Place&, const journal::Line& line) {
                               if (const auto* run = std::get_if<journal::Run>(&line)) last = *run;
                             },
                             [](const journal::Place&) {}};
  read_lines(file, path, reader);
  const std::string whose = last ? fmt::format("by process {} on {}", last->pid, last->host) : "by another run";
  refuse(path, fmt::format("is in use {}; wait for its end, or give another journal", whose));
}

struct Opened {
  Descriptor file;
  bool is_new = false;
  std::uint64_t size = 0;
};

/// Opens what is there and may be used, else creates it where asked to; refuses the rest.
Opened open_journal(const JournalOptions& options, bool create) {
  const std::string& path = options.path;
  if (path.empty()) throw UsageError("--journal: it has no name; give a file name");
  Opened opened;
  for (int attempt = 0; attempt < 100; ++attempt) {
    opened.file.reset(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | (create ? O_CREAT : 0), 0666));
    if (!opened.file.is_open()) {
      if (errno == ENOENT && !create && access(folder_of(path).c_str(), W_OK | X_OK) == 0) return opened;
      if (errno == ENOENT && access(folder_of(path).c_str(), F_OK) != 0) {
        refuse(path, fmt::format("cannot be written: there is no folder '{}'; create it first", folder_of(path)));
      }
      if (errno == EISDIR) refuse(path, "is a folder; give a file in it");
      refuse(path, fmt::format("cannot be written: {}; choose another journal", reason()));
    }
    struct stat info {};
    if (fstat(opened.file.get(), &info) != 0) refuse(path, fmt::format("cannot be read: {}", reason()));
    if (S_ISDIR(info.st_mode)) refuse(path, "is a folder; give a file in it");
    if (!S_ISREG(info.st_mode)) refuse(path, "is not a regular file; give one");
    if (!lock(opened.file.get())) refuse_in_use(opened.file.get(), path);
    struct stat named {};
    if (stat(path.c_str(), &named) != 0 || named.st_ino != info.st_ino || named.st_dev != info.st_dev) continue;
    (void)fstat(opened.file.get(), &info);  // not while another had it
    opened.size = static_cast<std::uint64_t>(info.st_size);
    if (opened.size > 0 && options.resume == Resume::no && !options.force) {
      refuse(path, "is there already; --resume goes on with it, --force replaces it");
    }
    return opened;
  }
  refuse(path, "comes and goes; choose another journal");
}

void check_same_work(const std::string& path, const journal::Header& before, const journal::Header& now) {
  const auto differ = [&](std::string_view what, const std::string& then, const std::string& given) {
    throw UsageError(fmt::format("'{}' is of other work: {} was {} and is {} now; give the same, or another journal",
                                 path, what, then, given));
  };
  if (before.command != now.command) differ("the command", shown(before.command), shown(now.command));
  if (before.output_path != now.output_path) {
    const auto named = [](const std::string& file) { return file.empty() ? "none" : fmt::format("'{}'", file); };
    differ("the output file", named(before.output_path), named(now.output_path));
  }
  if (before.keep_order != now.keep_order) {
    const auto named = [](bool keep) { return std::string{keep ? "that of the list" : "as tasks end"}; };
    differ("the order of output", named(before.keep_order), named(now.keep_order));
  }
}

Contents check_contents(const Opened& opened, const JournalOptions& options, Extent extent) {
  if (!opened.file.is_open() || opened.size == 0 || options.resume == Resume::no) return {};
  Contents contents = read_contents(opened.file.get(), options.path, extent);
  if (contents.tasks.header()) check_same_work(options.path, *contents.tasks.header(), options.work);
  return contents;
}

JournalOptions with_real_paths(JournalOptions options) {
  std::string& output = options.work.output_path;
  if (!output.empty()) output = real_path(output);
  return options;
}

/// Tasks of a journal by what they are. Of several that are alike, those that have ended come first.
class ByContent {
 public:
  explicit ByContent(std::deque<Tasks::Known>& known) : known_{known} {
    for (std::uint64_t id = 0; id < known.size(); ++id) {
      if (known[id].has_line != 0) ids_.push_back(id);
    }
    std::sort(ids_.begin(), ids_.end(), [&](std::uint64_t a, std::uint64_t b) {
      if (known[a].hash != known[b].hash) return known[a].hash < known[b].hash;
      if (known[a].is_finished() != known[b].is_finished()) return known[a].is_finished();
      return a < b;
    });
  }

  /// One that the list has not named yet.
  std::optional<std::uint64_t> next(std::uint64_t hash) {
    const auto first = std::lower_bound(ids_.begin(), ids_.end(), hash,
                                        [&](std::uint64_t id, std::uint64_t value) { return known_[id].hash < value; });
    if (first == ids_.end() || known_[*first].hash != hash) return std::nullopt;
    auto found = first;
    if (known_[*first].is_listed != 0) {
      // How many of them were taken is only kept where there are several.
      const auto taken = taken_.find(hash);
      found += taken == taken_.end() ? 1 : static_cast<std::ptrdiff_t>(taken->second);
      if (found == ids_.end() || known_[*found].hash != hash) return std::nullopt;
      taken_[hash] = static_cast<std::uint64_t>(found - first) + 1;
    }
    known_[*found].is_listed = 1;
    return *found;
  }

 private:
  std::deque<Tasks::Known>& known_;
  std::vector<std::uint64_t> ids_;
  std::unordered_map<std::uint64_t, std::uint64_t> taken_;
};

}  // namespace

struct JournalFile::Impl {
  JournalOptions options;
  Descriptor file;
  bool resumed = false;
  bool by_content = false;
  Tasks tasks;  // as they were when this run began
  std::vector<std::string> notes;
  Counts counts;
  std::uint64_t digest = 0;
  std::optional<std::uint64_t> list_end;
  std::string once_verified;  // lines that a refused list must not leave behind

  std::optional<ByContent> contents;
  std::uint64_t next_id = 0;
  std::map<std::uint64_t, std::uint64_t> ids;  // in the journal, of tasks of the list that are to be run
  std::vector<std::uint64_t> listed_ids;       // of those of the list; kept where output goes by that

  std::optional<JournalWriter> writer;

  explicit Impl(const JournalOptions& of) : options{with_real_paths(of)} {
    Opened opened = open_journal(options, true);
    Contents before = check_contents(opened, options, Extent::all);
    file = std::move(opened.file);
    resumed = before.tasks.header().has_value();
    tasks = std::move(before.tasks);
    notes = std::move(before.notes);
    by_content = options.by_content || tasks.is_by_content();
    std::uint64_t size = before.whole_bytes;
    mend(before);
    std::string first;
    if (!resumed) {
      journal::Header header = options.work;
      header.host = host_name();
      header.pid = getpid();
      first += journal::to_text(header);
    } else if (before.newline_is_missing) {
      first = "\n";
    }
    first += journal::to_text(journal::Run{host_name(), getpid(), base::seconds_since_1970()});
    if (write_at(file.get(), first, size) != first.size() || fdatasync(file.get()) != 0) {
      const std::string why = reason();
      (void)ftruncate(file.get(), static_cast<off_t>(size));
      throw std::runtime_error(fmt::format("cannot write {}: {}", options.path, why));
    }
    sync_folder(options.path);
    size += first.size();
    if (by_content && !tasks.is_by_content()) once_verified += twice(journal::ByContent{});
    if (options.resume == Resume::failed && tasks.count(Tasks::State::failed) > 0) {
      tasks.open_failed();
      once_verified += twice(journal::Again{});
    }
    if (by_content) contents.emplace(tasks.all());
    next_id = tasks.all().size();
    writer.emplace(file.get(), options.path, size);
    look_verified();
  }

  void mend(const Contents& before) {
    if (before.torn_bytes > 0 && resumed) {
      notes.push_back(fmt::format("the last {} bytes of '{}' were not written to their end, and are dropped",
                                  before.torn_bytes, options.path));
    }
    if (ftruncate(file.get(), static_cast<off_t>(before.whole_bytes)) != 0) {
      throw std::runtime_error(fmt::format("cannot write {}: {}", options.path, reason()));
    }
  }

  [[nodiscard]] bool verified() const noexcept { return by_content || counts.listed >= tasks.all().size(); }

  void look_verified() {
    if (once_verified.empty() || !verified()) return;
    writer->append(once_verified, true);
    once_verified.clear();
  }

  /// From the file, for a message alone.
  [[nodiscard]] std::optional<std::string> line_of(std::uint64_t task) const {
    std::optional<std::string> line;
    journal::LineReader reader{[&](const journal::Place&, const journal::Line& found) {
                                 const auto* known = std::get_if<journal::Task>(&found);
                                 if (known != nullptr && known->task == task) line = known->line;
                               },
                               [](const journal::Place&) {}};
    read_lines(file.get(), options.path, reader);
    return line;
  }

  [[noreturn]] void refuse_list(const std::string& what) const {
    throw UsageError(
        fmt::format("the list has changed since '{}' was begun: {}; give the same list, or "
                    "--by-content to go by what tasks are, not by their number",
                    options.path, what));
  }

  Tasks::State list_by_number(std::uint64_t task, std::string_view line) {
    const std::uint64_t hash = journal::hash_of(line);
    digest = journal::digest_of(digest, hash);
    if (task >= tasks.all().size()) {
      write_task(task, line);
      return Tasks::State::open;
    }
    const Tasks::Known& known = tasks.all()[task];
    if (known.has_line != 0 && known.hash != hash) {
      refuse_list(
          fmt::format("task {} was {} and is now {}", task + 1, shown(line_of(task).value_or("?")), shown(line)));
    }
    const journal::Folded& folded = tasks.folded();
    if (task + 1 == folded.tasks && folded.list_digest && *folded.list_digest != digest) {
      refuse_list(fmt::format("one of its first {} tasks is another", folded.tasks));
    }
    if (known.has_line == 0 && !known.is_finished()) write_task(task, line);
    return known.how();
  }

  Tasks::State list_by_content(std::uint64_t task, std::string_view line) {
    std::optional<std::uint64_t> id = contents->next(journal::hash_of(line));
    const Tasks::State state = id ? tasks.all()[*id].how() : Tasks::State::open;
    if (!id) {
      id = next_id++;
      write_task(*id, line);
    }
    if (state == Tasks::State::open && *id != task) ids.emplace(task, *id);
    if (resumed && options.work.keep_order) listed_ids.push_back(*id);
    return state;
  }

  void write_task(std::uint64_t id, std::string_view line) {
    std::string text;
    journal::append_task(text, id, line);
    writer->append(text, false);
  }
};

void JournalFile::check(const JournalOptions& given) {
  const JournalOptions options = with_real_paths(given);
  (void)check_contents(open_journal(options, false), options, Extent::header);
}

JournalFile::JournalFile(const JournalOptions& options) : impl_{std::make_unique<Impl>(options)} {}

JournalFile::~JournalFile() = default;

bool JournalFile::list(std::uint64_t task, std::string_view line) {
  Impl& impl = *impl_;
  if (task != impl.counts.listed) throw std::logic_error(fmt::format("task {} is listed out of turn", task));
  const Tasks::State state = impl.by_content ? impl.list_by_content(task, line) : impl.list_by_number(task, line);
  ++impl.counts.listed;
  if (state != Tasks::State::open) ++impl.counts.finished_before;
  if (state == Tasks::State::failed) ++impl.counts.failed_before;
  impl.look_verified();
  return state != Tasks::State::open;
}

bool JournalFile::verified() const noexcept { return impl_->verified(); }

void JournalFile::list_ended(std::uint64_t tasks) {
  Impl& impl = *impl_;
  if (tasks != impl.counts.listed) throw std::logic_error("the list has another number of tasks than were listed");
  if (!impl.verified()) {
    const std::optional<std::string> line = impl.line_of(tasks);
    impl.refuse_list(fmt::format("it has {} tasks now, and had {} or more; task {} was {}", tasks,
                                 impl.tasks.all().size(), tasks + 1, shown(line.value_or("?"))));
  }
  impl.list_end = tasks;
  impl.writer->append(journal::to_text(journal::ListEnd{tasks}), true);
}

void JournalFile::ended(const farm::Ending& ending, const std::optional<journal::Piece>& piece) {
  Impl& impl = *impl_;
  ++(ending.is_good() ? impl.counts.good : impl.counts.failed);
  journal::Done done{ending, piece};
  done.ending.task = number_of(ending.task);
  impl.ids.erase(ending.task);
  impl.writer->append(journal::to_text(done), true);
}

std::uint64_t JournalFile::number_of(std::uint64_t task) const {
  const auto found = impl_->ids.find(task);
  return found == impl_->ids.end() ? task : found->second;
}

void JournalFile::flush() { impl_->writer->flush(); }

const JournalFile::Counts& JournalFile::counts() const noexcept { return impl_->counts; }
const std::vector<std::string>& JournalFile::notes() const noexcept { return impl_->notes; }
bool JournalFile::is_resumed() const noexcept { return impl_->resumed; }
bool JournalFile::is_by_content() const noexcept { return impl_->by_content; }
const std::string& JournalFile::path() const noexcept { return impl_->options.path; }
const Tasks& JournalFile::known() const noexcept { return impl_->tasks; }

const Tasks::Known* JournalFile::known_as(std::uint64_t task) const {
  const Impl& impl = *impl_;
  if (task >= impl.counts.listed) return nullptr;
  std::uint64_t id = task;
  if (impl.by_content) {
    if (task >= impl.listed_ids.size()) return nullptr;
    id = impl.listed_ids[task];
  }
  return id < impl.tasks.all().size() ? &impl.tasks.all()[id] : nullptr;
}

bool JournalFile::is_complete() const {
  const Impl& impl = *impl_;
  const Counts& counts = impl.counts;
  if (!impl.list_end || counts.failed > 0 || counts.finished_before + counts.good != counts.listed) return false;
  // By content, what the list has not named is none of this run's, but may come back.
  return std::ranges::none_of(impl.tasks.all(), [&](const Tasks::Known& known) {
    return known.how() == Tasks::State::failed ||
           (impl.by_content && known.has_line != 0 && !known.is_finished() && known.is_listed == 0);
  });
}

void JournalFile::write_after(int store) { impl_->writer->sync_before(store); }

void JournalFile::output_taken() {
  impl_->writer->append(twice(journal::OutputTaken{}), true);
  impl_->writer->flush();
}

void JournalFile::folded(std::uint64_t bytes) {
  Impl& impl = *impl_;
  journal::Folded line{bytes, impl.by_content ? impl.next_id : impl.counts.listed, std::nullopt};
  if (!impl.by_content) line.list_digest = impl.digest;
  impl.writer->append(twice(line), true);
  impl.writer->flush();
}

JournalView read_journal(const std::string& path, const journal::LineReader::OnLine& on_line,
                         const std::string& given_name) {
  const std::string& name = given_name.empty() ? path : given_name;
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file.is_open()) refuse(name, fmt::format("cannot be read: {}", reason()));
  struct stat info {};
  if (fstat(file.get(), &info) != 0) refuse(name, fmt::format("cannot be read: {}", reason()));
  if (S_ISDIR(info.st_mode)) refuse(name, "is a folder; give a journal");
  if (!S_ISREG(info.st_mode)) refuse(name, "is not a regular file; give a journal");
  const bool in_use = is_locked(file.get());
  Contents contents = read_contents(file.get(), name, Extent::all, on_line);
  if (!contents.tasks.header()) refuse(name, "has nothing in it yet; give a journal that a run has begun");
  if (contents.torn_bytes > 0 && !in_use) {
    contents.notes.push_back(
        fmt::format("the last {} bytes of '{}' were not written to their end", contents.torn_bytes, name));
  }
  return {std::move(contents.tasks), std::move(contents.notes), in_use};
}

}  // namespace echelon::map
