#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <echelon/base/error.hpp>

namespace echelon::comm {

/// A rank's place as its launcher tells it by environment variables, known before MPI starts.
struct Placement {
  bool launched = false;          ///< by mpirun, srun or another launcher that MPI understands
  int rank = 0;                   ///< 0 where not launched
  std::string launcher = "none";  ///< "none", "mpirun" or "srun"
};
[[nodiscard]] Placement placement();

/// MPI from its start to its end, and a communicator that only Echelon uses. One a process, made and destroyed by the
/// thread that calls main(); only that thread may communicate.
class Session {
 public:
  /// Collective over all ranks. Without a launcher the process becomes the only rank, and starts no daemon for it.
  Session(int& argc, char**& argv);
  /// Collective over all ranks.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] int rank() const noexcept;
  [[nodiscard]] int size() const noexcept;
  [[nodiscard]] bool is_master() const noexcept { return rank() == 0; }

  /// Returns when all ranks have called it; a rank that waits long sleeps. Collective.
  void barrier() const;

  /// Lets MPI serve other ranks' requests that need this one; cheap enough to be called every 100 us.
  void progress() const;

  /// Says why on standard error, naming this rank and its host, and ends all ranks. Any rank may call it.
  [[noreturn]] void abort(base::ExitCode code, std::string_view why) const noexcept;

  /// As in "Open MPI 4.1.4".
  [[nodiscard]] static std::string library();

  struct Impl;  // holds MPI's types, for the sources of this folder
  [[nodiscard]] const Impl& impl() const noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
