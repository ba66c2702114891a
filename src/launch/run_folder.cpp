#include "run_folder.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace echelon::launch {
namespace {

constexpr const char* parent = "/dev/shm";

/// Takes away what is left of runs of which everything was killed.
void sweep() {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{parent, ignored}) {
    int starter = 0;
    if (std::sscanf(entry.path().filename().c_str(), "echelon-%d-", &starter) != 1 || starter <= 0) continue;
    if (kill(starter, 0) == 0 || errno != ESRCH) continue;
    // A container that has this memory, too, may have processes that are not seen from here.
    const base::Descriptor folder{open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (folder.is_open() && flock(folder.get(), LOCK_EX | LOCK_NB) == 0)
      std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

void RunFolder::make(const std::string& token, const std::string& entry) {
  sweep();
  constexpr std::size_t digits = 8;
  const std::string path = fmt::format("{}/echelon-{}-{}", parent, getpid(), token.substr(0, digits));
  caretaker_.emplace(path, entry);  // before there is a folder, so that none is left
  if (mkdir(path.c_str(), S_IRWXU) != 0) return;
  path_ = path;
  in_use_.reset(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (in_use_.is_open()) (void)flock(in_use_.get(), LOCK_EX | LOCK_NB);
}

void RunFolder::remove() noexcept {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(std::exchange(path_, {}), ignored);
  caretaker_.reset();
}

void RunFolder::announce() const {
  if (path_.empty()) return;
  // Open MPI 4 and 5: what mpirun keeps for itself and its ranks.
  setenv("OMPI_MCA_orte_tmpdir_base", path_.c_str(), 0);
  setenv("PRTE_MCA_prte_tmpdir_base", path_.c_str(), 0);
  // Shared memory: each rank removes its own, and who is killed would leave 4 MiB behind for good.
  setenv("OMPI_MCA_btl_vader_backing_directory", path_.c_str(), 0);
}

}  // namespace echelon::launch
