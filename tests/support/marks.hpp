#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"

namespace echelon::test {

/// Looks until `holds` is true; false where it is not within `limit`.
template <typename Condition>
[[nodiscard]] bool comes_true(Condition holds, std::chrono::steady_clock::duration limit = std::chrono::seconds{30}) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    usleep(500);
  }
  return true;
}

/// Files by which tasks on all ranks of this machine tell the test what they do, and wait for it.
class Marks {
 public:
  explicit Marks(std::string name = "marks") : path_{folder_.path() / name} {}

  /// For tasks, which know the path only.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::size_t count() const { return lines().size(); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    std::ifstream in{path_};
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }
  /// Lets pass those that await_gate().
  void open_gate() const { std::ofstream{path_ + ".gate"}; }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

/// A line in the file, whoever else writes there.
inline void leave_mark(const std::string& path, const std::string& line = "mark") {
  const std::string text = line + "\n";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    throw std::runtime_error("cannot write " + path);
  }
  close(file);
}

/// Passes also where the test has ended, and its folder with it.
inline void await_gate(const std::string& path) {
  const std::filesystem::path gate = path + ".gate";
  if (!comes_true([&] { return exists(gate) || !exists(gate.parent_path()); })) {
    throw std::runtime_error("no gate was opened");
  }
}

/// A function of a task's number that leaves a mark.
struct MarkAndReturn {
  std::string path;
  int operator()(int number) const {
    leave_mark(path, std::to_string(number));
    return number;
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& path;
  }
};

/// The task of that number waits for the gate.
struct WaitAtGate {
  std::string path;
  int who = 0;
  int operator()(int number) const {
    if (number == who) await_gate(path);
    return number;
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& path& who;
  }
};

/// Leaves a mark when it begins, and then waits for the gate.
struct MarkAndWait {
  std::string mark;
  std::string gate;
  int operator()(int number) const {
    leave_mark(mark, std::to_string(number));
    await_gate(gate);
    return number;
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& mark& gate;
  }
};

}  // namespace echelon::test
