#include <filesystem>
#include <optional>
#include <set>
#include <stdexcept>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/study/store.hpp>

#include "files.hpp"

namespace echelon::study {
namespace {

namespace fs = std::filesystem;
using base::UsageError;

fs::path plan_file(const std::string& folder) { return fs::path{folder} / "plan.json"; }

std::string run_file(const std::string& folder, std::uint64_t seq) {
  return (fs::path{folder} / "runs" / fmt::format("{:04}.json", seq)).string();
}

/// Of "0012.json" 12; nothing for another name.
std::optional<std::uint64_t> seq_of(const std::string& name) {
  const std::string digits = name.substr(0, name.find('.'));
  if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) return {};
  const std::uint64_t seq = std::stoull(digits);
  return name == fmt::format("{:04}.json", seq) ? std::optional{seq} : std::nullopt;
}

struct Found {
  std::vector<Run> runs;
  std::vector<std::string> notes;
};

Found find_runs(const std::string& folder, const ReadRecord& read_record) {
  Found found;
  std::set<std::uint64_t> seqs;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator{fs::path{folder} / "runs", error}) {
    const std::string name = entry.path().filename();
    if (const auto seq = seq_of(name)) {
      seqs.insert(*seq);
    } else if (!name.ends_with(".json.tmp")) {  // of a run that was cut short
      found.notes.push_back(fmt::format("'{}' is none of the study's files; it is left alone", entry.path().string()));
    }
  }
  for (const std::uint64_t seq : seqs) {
    const std::uint64_t expected = found.runs.size() + 1;
    if (seq != expected) {
      throw UsageError(
          fmt::format("'{}' is missing, though later runs are there; put it back, or remove those after it",
                      run_file(folder, expected)));
    }
    const std::string path = run_file(folder, seq);
    try {
      found.runs.push_back(run_from_json(read_file(path), read_record));
      if (found.runs.back().seq != seq) throw std::runtime_error("its seq is not that of its name");
    } catch (const std::runtime_error& e) {
      throw UsageError(
          fmt::format("'{}' cannot be used: {}; where it is damaged, remove it and those after it, and "
                      "--resume runs them again",
                      path, e.what()));
    }
  }
  return found;
}

}  // namespace

struct Store::Impl {
  std::string folder;
  base::Descriptor lock;
  std::vector<Run> runs = {};
  std::vector<std::string> notes = {};

  [[nodiscard]] std::string output_file(const char* extension) const {
    return (fs::path{folder} / "output" / fmt::format("{:04}.{}", runs.size() + 1, extension)).string();
  }
};

namespace {

base::Descriptor take(const std::string& folder) {
  std::error_code error;
  fs::create_directories(fs::path{folder} / "runs", error);
  if (!error) fs::create_directories(fs::path{folder} / "output", error);
  if (error) {
    throw UsageError(
        fmt::format("--out: cannot make '{}': {}; give a folder that you may write to", folder, error.message()));
  }
  base::Descriptor lock = [&] {
    try {
      return lock_file((fs::path{folder} / "lock").string());
    } catch (const std::runtime_error& e) {
      throw UsageError(fmt::format("--out: {}; give a folder that you may write to", e.what()));
    }
  }();
  if (!lock.is_open()) {
    throw UsageError(
        fmt::format("--out: another study is at work in '{}'; wait for its end, or give another folder", folder));
  }
  return lock;
}

}  // namespace

bool Store::has_study(const std::string& folder) {
  std::error_code ignored;
  return fs::exists(plan_file(folder), ignored);
}

Plan Store::read_plan(const std::string& folder) {
  if (!has_study(folder)) {
    throw UsageError(fmt::format("--resume: '{}' has no study; give the folder of one with --out", folder));
  }
  const std::string path = plan_file(folder);
  try {
    return plan_from_json(read_file(path));
  } catch (const std::runtime_error& e) {
    throw UsageError(fmt::format("'{}' is not the plan of a study: {}", path, e.what()));
  }
}

Store Store::create(const std::string& folder, const Plan& plan) {
  auto impl = std::make_unique<Impl>(Impl{.folder = fs::absolute(folder).string(), .lock = take(folder)});
  if (has_study(folder)) {
    throw UsageError(
        fmt::format("--out: '{}' has a study already; go on with it by --resume, or give another folder", folder));
  }
  if (const Found found = find_runs(impl->folder, [](std::string_view) { return measure::Record{}; });
      !found.runs.empty()) {
    throw UsageError(fmt::format("--out: '{}' has runs but no plan.json; give another folder", folder));
  }
  write_durably(plan_file(impl->folder), to_json(plan));
  return Store{std::move(impl)};
}

Store Store::resume(const std::string& folder, const Plan& plan, const ReadRecord& read_record) {
  const Plan before = read_plan(folder);
  auto impl = std::make_unique<Impl>(Impl{.folder = fs::absolute(folder).string(), .lock = take(folder)});
  if (const std::string changed = difference_on_resume(before, plan); !changed.empty()) {
    throw UsageError(fmt::format(
        "--resume: the plan of '{}' is another: {}; leave these as they were (only --budget may change, and "
        "--repeat and --max-repeat grow), or give another folder",
        folder, changed));
  }
  Found found = find_runs(impl->folder, read_record);
  impl->runs = std::move(found.runs);
  impl->notes = std::move(found.notes);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{fs::path{impl->folder} / "runs", ignored}) {
    if (entry.path().string().ends_with(".json.tmp")) fs::remove(entry.path(), ignored);
  }
  Plan next = plan;
  next.folder = before.folder;
  if (next != before) write_durably(plan_file(impl->folder), to_json(next));
  return Store{std::move(impl)};
}

Store::Store(std::unique_ptr<Impl> impl) : impl_{std::move(impl)} {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

const std::vector<Run>& Store::runs() const noexcept { return impl_->runs; }
const std::vector<std::string>& Store::notes() const noexcept { return impl_->notes; }

Store::Places Store::begin_run() {
  drop_run();
  return {impl_->output_file("out"), impl_->output_file("err"), record_file(impl_->folder)};
}

void Store::add(Run run) {
  run.seq = impl_->runs.size() + 1;
  write_durably(run_file(impl_->folder, run.seq), to_json(run));
  std::error_code ignored;
  for (const char* extension : {"out", "err"}) {
    const std::string path = impl_->output_file(extension);
    if (fs::file_size(path, ignored) == 0) fs::remove(path, ignored);
  }
  fs::remove(record_file(impl_->folder), ignored);
  impl_->runs.push_back(std::move(run));
}

void Store::drop_run() noexcept {
  std::error_code ignored;
  for (const char* extension : {"out", "err"}) fs::remove(impl_->output_file(extension), ignored);
  fs::remove(record_file(impl_->folder), ignored);
}

std::string record_file(const std::string& folder) { return (fs::absolute(folder) / "record.json").string(); }

std::vector<Run> read_runs(const std::string& folder, const ReadRecord& read_record) {
  return find_runs(folder, read_record).runs;
}

}  // namespace echelon::study
