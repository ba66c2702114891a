#pragma once

#include <optional>
#include <string>

#include <echelon/base/files.hpp>

#include "caretaker.hpp"

namespace echelon::launch {

/// A place of the run's own, in memory: for the line to rank 0, and for the files that Open MPI leaves behind where its
/// processes are killed. It goes with the run, however that ends: by remove(), by the caretaker where this process is
/// killed, and by the next run's make() where that was killed too.
class RunFolder {
 public:
  RunFolder() = default;
  ~RunFolder() { remove(); }
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// `token` names it; processes of the run have `entry` in their environment.
  void make(const std::string& token, const std::string& entry);
  void remove() noexcept;
  /// Empty where there is none.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Has mpirun and its ranks, which are all here, keep their files there, unless the user has chosen another place.
  void announce() const;

 private:
  std::string path_;
  base::Descriptor in_use_;
  std::optional<Caretaker> caretaker_;
};

}  // namespace echelon::launch
