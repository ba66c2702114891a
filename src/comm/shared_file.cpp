#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <echelon/comm/shared_file.hpp>

#include "session_impl.hpp"

namespace echelon::comm {
namespace {

namespace fs = std::filesystem;

/// The most that is written by one call of MPI, whose counts are int: Linux writes no more than 2^31 - 4096 at once,
/// and Open MPI takes a shorter write for a whole one.
constexpr std::size_t most_at_once = std::size_t{1} << 30;

std::string reason() { return std::strerror(errno); }

/// Of a link the file behind it: that one is to change.
fs::path behind_link(const fs::path& path) {
  return fs::is_symlink(path) && fs::exists(path) ? fs::canonical(path) : path;
}

fs::path partial_of(const fs::path& target) { return target.string() + ".partial"; }

std::string mpi_reason(int mpi_result) {
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(mpi_result, text.data(), &length);
  return text.data();
}

/// On the disk of `path`, for whoever is not root; as if there were no end where that is not known.
std::uint64_t free_bytes(const fs::path& path) {
  struct statvfs disk {};
  if (statvfs(path.c_str(), &disk) != 0) return std::numeric_limits<std::uint64_t>::max();
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

/// A new, empty file for this run alone, or -1 and the reason. It is locked for as long as it is open: a lock ends with
/// its process, however that ends.
int create_partial(const fs::path& path, std::string& why) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0) break;
    if (flock(file, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      why = "another run is writing it";
      close(file);
      return -1;
    }
    struct stat opened {};
    struct stat named {};
    const bool still_there = fstat(file, &opened) == 0 && stat(path.c_str(), &named) == 0 &&
                             opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
    // Else the run that had it was done, and took the name away, between open() and flock().
    if (still_there && ftruncate(file, 0) == 0) return file;
    close(file);
  }
  why = reason();
  return -1;
}

struct Written {
  std::size_t bytes = 0;
  std::string why_no_more;
};

/// By the operating system alone. What MPI has left out shows its reason here, which MPI does not tell.
Written write_rest(const fs::path& path, std::uint64_t offset, std::span<const std::byte> bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return {0, reason()};
  Written all;
  while (all.bytes < bytes.size() && all.why_no_more.empty()) {
    const std::span<const std::byte> rest = bytes.subspan(all.bytes);
    const ssize_t written = pwrite(file, rest.data(), rest.size(), static_cast<off_t>(offset + all.bytes));
    if (written >= 0) {
      all.bytes += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      all.why_no_more = reason();
    }
  }
  if (close(file) != 0 && all.why_no_more.empty()) all.why_no_more = reason();
  return all;
}

/// `from` gets the name `to`; the reason where not.
std::string give_name(const fs::path& from, const fs::path& to, SharedFile::Existing existing) {
  if (existing == SharedFile::Existing::keep) {
    if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EEXIST) return "a file of this name has come up meanwhile";
    if (errno != EINVAL && errno != ENOSYS) return reason();  // else: not on this file system
  }
  return rename(from.c_str(), to.c_str()) == 0 ? std::string{} : reason();
}

}  // namespace

struct SharedFile::Impl {
  Impl(const Session& of, const std::string& path, Existing what)
      : session{of}, target{behind_link(path)}, partial{partial_of(target)}, existing{what} {}

  ~Impl() {
    if (opened && std::uncaught_exceptions() <= exceptions_at_start) MPI_File_close(&file);
    if (own < 0) return;
    unlink(partial.c_str());
    close(own);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const Session& session;
  fs::path target;
  fs::path partial;
  Existing existing;
  int exceptions_at_start = std::uncaught_exceptions();
  int own = -1;  // the master's, with the lock; the partial file is there as long as it is open
  MPI_File file = MPI_FILE_NULL;
  bool opened = false;  // by all ranks
  std::string failure;  // this rank's
  std::uint64_t written = 0;

  MPI_Comm world() const { return session.impl().world; }

  void fail(const std::string& why) {
    if (failure.empty()) failure = why;
  }
  void check_io(int mpi_result) {
    if (mpi_result != MPI_SUCCESS) fail(mpi_reason(mpi_result));
  }

  /// Throws on all ranks where any has failed: what the first of these has to say.
  void agree() {
    const int mine = failure.empty() ? session.size() : session.rank();
    int first = 0;
    check(MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, world()), "MPI_Allreduce");
    if (first == session.size()) return;
    std::string text = failure;
    if (session.size() > 1) {
      std::array<char, HOST_NAME_MAX + 1> host{};
      gethostname(host.data(), host.size() - 1);
      text += " (rank " + std::to_string(session.rank()) + " on " + host.data() + ")";
    }
    int length = static_cast<int>(text.size());
    check(MPI_Bcast(&length, 1, MPI_INT, first, world()), "MPI_Bcast");
    text.resize(static_cast<std::size_t>(length));
    check(MPI_Bcast(text.data(), length, MPI_CHAR, first, world()), "MPI_Bcast");
    std::uint64_t sum = 0;
    check(MPI_Allreduce(&written, &sum, 1, MPI_UINT64_T, MPI_SUM, world()), "MPI_Allreduce");
    throw SharedFileError{text, sum};
  }

  void open_on_all() {
    if (session.is_master()) own = create_partial(partial, failure);
    agree();
    // Not MPI_MODE_CREATE: on a node that does not see the master's folder this has to fail.
    check_io(MPI_File_open(world(), partial.c_str(), MPI_MODE_WRONLY, MPI_INFO_NULL, &file));
    agree();  // on failure what some have opened stays so: closing it would wait for the others
    opened = true;
    check_io(MPI_File_set_errhandler(file, MPI_ERRORS_RETURN));
  }

  void close_on_all() {
    opened = false;
    check_io(MPI_File_close(&file));
  }

  /// How many bytes MPI has written.
  std::size_t write_by_mpi(std::uint64_t offset, std::span<const std::byte> bytes) {
    // Open MPI prints a line of its own about a write that fails, so none is begun that cannot fit.
    if (free_bytes(partial) < bytes.size()) return 0;
    MPI_Status status{};
    int count = 0;
    // For what did not fit on the disk Open MPI 4.1 returns success, and only the count tells; 5.0 fails, without a
    // count of what it has written before.
    if (MPI_File_write_at(file, static_cast<MPI_Offset>(offset), bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE,
                          &status) != MPI_SUCCESS ||
        MPI_Get_count(&status, MPI_BYTE, &count) != MPI_SUCCESS || count < 0) {
      return 0;
    }
    return std::min(static_cast<std::size_t>(count), bytes.size());
  }

  void write(std::uint64_t offset, std::span<const std::byte> bytes) {
    const std::size_t done = write_by_mpi(offset, bytes);
    written += done;
    if (done == bytes.size()) return;
    const Written rest = write_rest(partial, offset + done, bytes.subspan(done));
    written += rest.bytes;
    fail(rest.why_no_more);
  }

  void name_it() {
    struct stat before {};
    if (existing == Existing::replace && stat(target.c_str(), &before) == 0) fchmod(own, before.st_mode & 07777);
    if (const std::string why = give_name(partial, target, existing); !why.empty()) return fail(why);
    close(own);
    own = -1;
  }
};

SharedFile::SharedFile(const Session& session, const std::string& path, Existing existing)
    : impl_{std::make_unique<Impl>(session, path, existing)} {
  impl_->open_on_all();
}

SharedFile::~SharedFile() = default;

bool SharedFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty() && impl_->failure.empty()) {
    const std::size_t count = std::min(bytes.size(), most_at_once);
    impl_->write(offset, bytes.first(count));
    offset += count;
    bytes = bytes.subspan(count);
  }
  return impl_->failure.empty();
}

void SharedFile::finish() {
  Impl& file = *impl_;
  try {
    file.agree();
    file.check_io(MPI_File_sync(file.file));
    file.close_on_all();
    file.agree();
    if (file.session.is_master()) file.name_it();
    file.agree();
  } catch (const SharedFileError&) {
    if (file.opened) file.close_on_all();
    throw;
  }
}

std::uint64_t SharedFile::room(const std::string& path) {
  const fs::path target = behind_link(path);
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path{"."};
  const std::uint64_t free = free_bytes(folder);
  constexpr std::uint64_t stat_block_bytes = 512;
  struct stat left {};
  const bool any_left = stat(partial_of(target).c_str(), &left) == 0;
  return free + (any_left ? static_cast<std::uint64_t>(left.st_blocks) * stat_block_bytes : 0);
}

}  // namespace echelon::comm
