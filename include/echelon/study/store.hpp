#pragma once

#include <memory>
#include <string>
#include <vector>

#include <echelon/study/plan.hpp>
#include <echelon/study/run.hpp>

namespace echelon::study {

/// The folder of a study: plan.json, runs/NNNN.json, output/NNNN.out and .err. What is there survives anything: a
/// file has its name only once it is whole and on the disk. One process at a time has it.
///
/// Throws base::UsageError for what the user can mend, and std::runtime_error where something cannot be written.
class Store {
 public:
  /// There is a study in the folder.
  [[nodiscard]] static bool has_study(const std::string& folder);
  /// Of the study in it. Throws base::UsageError where there is none.
  [[nodiscard]] static Plan read_plan(const std::string& folder);
  /// Makes the folder, where it is not there, and begins a study in it; refuses one that has a study.
  [[nodiscard]] static Store create(const std::string& folder, const Plan& plan);
  /// Goes on with the study in it by this plan, which is kept where difference_on_resume() is none.
  [[nodiscard]] static Store resume(const std::string& folder, const Plan& plan, const ReadRecord& read_record);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  [[nodiscard]] const std::vector<Run>& runs() const noexcept;
  /// What the user should know of what was there.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept;

  /// Where the next run's standard output and error, and its record, go; what an interrupted one left is removed.
  struct Places {
    std::string out;
    std::string err;
    std::string record;
  };
  [[nodiscard]] Places begin_run();
  /// The run that began has ended. It is on the disk when this returns.
  void add(Run run);
  /// It did not end: nothing of it is kept.
  void drop_run() noexcept;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Where a run's record goes in the folder of a study.
[[nodiscard]] std::string record_file(const std::string& folder);

/// The runs in the folder of a study that may be going on, in their order. Throws base::UsageError.
[[nodiscard]] std::vector<Run> read_runs(const std::string& folder, const ReadRecord& read_record);

}  // namespace echelon::study
