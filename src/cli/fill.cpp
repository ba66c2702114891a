#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/shared_file.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/measure/topology.hpp>
#include <echelon/report/output_file.hpp>
#include <echelon/workloads/fill.hpp>

#include "app.hpp"

namespace echelon::cli {
namespace {

namespace fs = std::filesystem;
using base::ExitCode;
using base::UsageError;
using workloads::FillOptions;

struct FillCommand {
  FillOptions options;
  std::optional<std::uint64_t> threads;
  OutputOptions output;
};

void check_file(const FillOptions& options) {
  const std::string& out = options.out;
  if (out == "-") throw UsageError("--out: a shared file cannot be standard output; give a file name");
  try {
    report::check_output(out);
  } catch (const UsageError& e) {
    throw UsageError(std::string{"--out: "} + e.what());
  }
  const fs::file_status status = fs::status(out);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw UsageError("--out: '" + out + "' is not a regular file; give another name");
  }
  if (fs::exists(fs::symlink_status(out)) && !options.replace) {
    throw UsageError("--out: '" + out + "' is there already; give another name, or --force to replace it");
  }
  const std::uint64_t needed = workloads::fill_bytes(options.size);
  const std::uint64_t free = comm::SharedFile::room(out);
  if (needed > free) {
    throw UsageError(fmt::format("--out: '{}' takes {}, and {} are free there; give a smaller --size or another folder",
                                 out, measure::format_bytes(needed), measure::format_bytes(free)));
  }
}

/// Where a launcher places ranks, it is one thread a rank unless told. Alone, a second one makes numbers while the
/// first writes; a third would have nothing to do.
std::uint64_t default_threads() {
  constexpr std::uint64_t useful = 2;
  return comm::placement().launched ? 1 : std::min(useful, measure::usable_cpus());
}

ExitCode run(const FillCommand& command, const RankContext& ranks) {
  FillOptions options = command.options;
  options.threads = command.threads.value_or(default_threads());
  measure::Record record;
  try {
    record = command.output.watch([&](const auto& progress) {
      return workloads::run_fill(ranks.session, ranks.account, ranks.argv, options, progress);
    });
  } catch (const comm::SharedFileError& e) {
    if (ranks.session.is_master()) tell(e.what());
    return ExitCode::broken;
  }
  if (!ranks.session.is_master()) return ExitCode::done;
  command.output.show(record, fmt::format("{}", measure::get<std::uint64_t>(record.result, "checksum")));
  return workloads::fill_is_right(record) ? ExitCode::done : wrong_answer();
}

}  // namespace

void add_fill(CLI::App& program, Command& chosen) {
  auto command = std::make_shared<FillCommand>();
  FillOptions& options = command->options;
  CLI::App& app = *program.add_subcommand("fill", "Write a .npy file of random doubles in [0, 1), all ranks at once");
  app.footer(
      "The file is the same for every number of ranks and threads. Its numbers are those of\n"
      "numpy.random.Generator(numpy.random.Philox(key=SEED)).random(SIZE), and the printed checksum is\n"
      "numpy.load(FILE).view('u8').sum(). Until it is whole it is called FILE.partial.\n\n"
      "Examples:\n"
      "  echelon fill --size 1e9 --out x.npy         one rank, 8 GB\n"
      "  echelon fill -n 4 --size 1e9 --seed 7 --out x.npy --force\n"
      "  python3 -c 'import numpy; print(numpy.load(\"x.npy\", mmap_mode=\"r\").mean())'");
  add_count(
      app, "--size", [&](std::uint64_t n) { options.size = n; }, "How many doubles, of 8 bytes each [1e6]", 1,
      FillOptions::max_size);
  add_count(
      app, "--seed", [&](std::uint64_t n) { options.seed = n; }, "Another seed, other numbers, 0 to 2^64 - 1 [0]", 0,
      std::numeric_limits<std::uint64_t>::max());
  app.add_option("--out", options.out, "The file, on a file system that all ranks see")->type_name("FILE")->required();
  app.add_flag("--force", options.replace, "Replace FILE where it is there already");
  constexpr std::uint64_t max_threads = 4096;
  add_count(
      app, "--threads", [command](std::uint64_t n) { command->threads = n; },
      "Threads a rank [1; alone and with CPUs to spare 2: more do not help, as one at a time writes]", 1, max_threads);
  command->output.add_to(app);
  app.callback([command, &chosen] {
    chosen.threads = command->threads.value_or(1);
    chosen.check = [command] {
      check_file(command->options);
      command->output.check();
    };
    chosen.run_on_ranks = [command](const RankContext& ranks) { return run(*command, ranks); };
  });
}

}  // namespace echelon::cli
