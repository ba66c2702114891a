#pragma once

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>

#include <echelon/comm/collectives.hpp>

#include "support/mpi_session.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {

/// A temporary folder that all ranks know, made and removed by the master. Collective.
class SharedFolder {
 public:
  SharedFolder() {
    std::array<char, 256> name{};
    if (session().is_master()) {
      folder_.emplace();
      const std::string path = folder_->path();
      std::copy_n(path.begin(), std::min(path.size(), name.size() - 1), name.begin());
    }
    path_ = comm::broadcast(session(), name).data();
  }
  ~SharedFolder() { session().barrier(); }
  SharedFolder(const SharedFolder&) = delete;
  SharedFolder& operator=(const SharedFolder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// How many files there are. Collective: between two barriers, so that nobody changes them meanwhile.
  [[nodiscard]] std::size_t count() const {
    session().barrier();
    const auto files = std::distance(std::filesystem::directory_iterator{path_}, {});
    session().barrier();
    return static_cast<std::size_t>(files);
  }

 private:
  std::optional<TemporaryFolder> folder_;
  std::filesystem::path path_;
};

}  // namespace echelon::test
