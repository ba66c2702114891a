#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <map>
#include <numbers>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/workloads/pi.hpp>

#include "support/mpi_session.hpp"

namespace echelon::workloads {
namespace {

using measure::RankRecord;
using measure::Record;
using numeric::Isa;
using numeric::Kernel;
using schedule::Schedule;
using test::session;

/// Collective.
Record run(const PiOptions& options) {
  Account account;
  return run_pi(session(), account, {"echelon", "pi"}, options, [](double) {});
}

std::string hex(double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%a", value);
  return text.data();
}

/// The same sum by one thread of one process.
std::string serial_hex(std::uint64_t points, std::uint64_t block, Kernel kernel, Isa isa = Isa::scalar) {
  static std::map<std::tuple<std::uint64_t, std::uint64_t, Kernel, Isa>, std::string> known;
  std::string& text = known[{points, block, kernel, isa}];
  if (text.empty()) {
    const numeric::MidpointRule rule{points, block, kernel, isa};
    numeric::ExactSum sum;
    rule.add(0, rule.blocks(), sum);
    text = hex(rule.integral(sum));
  }
  return text;
}

measure::Value& field(measure::Fields& fields, std::string_view name) {
  const auto at = std::ranges::find(fields, name, [](const auto& f) { return std::string_view{f.first}; });
  if (at == fields.end()) throw std::out_of_range("no field " + std::string{name});
  return at->second;
}

template <typename T>
T result(Record record, std::string_view name) {
  return std::get<T>(field(record.result, name));
}

template <typename T>
T parameter(Record record, std::string_view name) {
  return std::get<T>(field(record.parameters, name));
}

std::string describe(const PiOptions& o) {
  std::string text = std::to_string(o.points) + " points, " + std::string{numeric::name(o.kernel)} + ", " +
                     std::string{schedule::name(o.schedule)} + ", block " + std::to_string(o.block) + ", " +
                     std::to_string(o.threads) + " threads";
  if (o.chunk) text += ", chunk " + std::to_string(*o.chunk);
  if (o.isa) text += ", " + std::string{numeric::name(*o.isa)};
  return text;
}

/// Runs on all ranks; the master compares with the serial sum. Collective.
void expect_serial_bits(const PiOptions& options) {
  const Record record = run(options);
  if (!session().is_master()) return;
  EXPECT_EQ(result<std::string>(record, "value_hex"), serial_hex(options.points, options.block, options.kernel))
      << describe(options);
  EXPECT_EQ(hex(result<double>(record, "value")), result<std::string>(record, "value_hex"));
  std::uint64_t items = 0;
  for (const RankRecord& rank : record.ranks) items += rank.items;
  EXPECT_EQ(items, options.points * options.repeat) << describe(options);
  EXPECT_TRUE(pi_is_right(record)) << describe(options);
}

constexpr std::array kernels{Kernel::fused, Kernel::direct};

TEST(pi, every_schedule_thread_count_kernel_and_size_has_the_serial_bits) {
  for (const Schedule schedule : schedule::all_schedules()) {
    for (const Kernel kernel : kernels) {
      for (const std::uint64_t threads : {1U, 2U}) {
        for (const std::uint64_t points : {1U, 2U, 3U, 1'000'003U}) {
          expect_serial_bits({.points = points, .kernel = kernel, .schedule = schedule, .threads = threads});
        }
      }
    }
  }
}

TEST(pi, every_block_and_chunk_has_the_serial_bits) {
  constexpr std::uint64_t points = 1'000'003;
  for (const Schedule schedule : schedule::all_schedules()) {
    for (const std::uint64_t block : {std::uint64_t{1000}, std::uint64_t{4096}, numeric::MidpointRule::max_points}) {
      using Chunk = std::optional<std::uint64_t>;
      for (const Chunk chunk : {Chunk{}, Chunk{1}, Chunk{100'001}, Chunk{numeric::MidpointRule::max_points}}) {
        expect_serial_bits({.points = points, .schedule = schedule, .block = block, .chunk = chunk, .threads = 2});
      }
    }
  }
}

TEST(pi, blocks_of_one_point_have_the_serial_bits) {
  for (const Schedule schedule : schedule::all_schedules()) {
    for (const Kernel kernel : kernels) {
      expect_serial_bits({.points = 1003, .kernel = kernel, .schedule = schedule, .block = 1});
    }
  }
}

TEST(pi, every_instruction_set_has_the_scalar_bits) {
  for (const Isa isa : numeric::supported_isas()) {
    for (const Kernel kernel : kernels) {
      expect_serial_bits({.points = 1'000'003, .kernel = kernel, .schedule = Schedule::guided, .isa = isa});
    }
  }
}

TEST(pi, large_sums_have_the_serial_bits) {
  constexpr std::uint64_t points = 1'000'000'007;
  for (const Kernel kernel : kernels) {
    const Record record = run({.points = points, .kernel = kernel, .schedule = Schedule::dynamic});
    if (!session().is_master()) continue;
    EXPECT_EQ(result<std::string>(record, "value_hex"),
              serial_hex(points, numeric::MidpointRule::default_block, kernel, numeric::best_isa(kernel)));
    EXPECT_NEAR(result<double>(record, "value"), std::numbers::pi, 1e-15);
    EXPECT_TRUE(pi_is_right(record));
  }
}

TEST(pi, scalar_has_the_bits_of_the_fastest_on_many_blocks) {
  constexpr std::uint64_t points = 20'000'003;
  const Record record = run({.points = points, .schedule = Schedule::factoring, .isa = Isa::scalar});
  if (!session().is_master()) return;
  const Isa fastest = numeric::best_isa(Kernel::fused);
  EXPECT_EQ(result<std::string>(record, "value_hex"),
            serial_hex(points, numeric::MidpointRule::default_block, Kernel::fused, fastest));
}

TEST(pi, unsupported_instruction_set_is_refused_on_every_rank) {
  const auto& supported = numeric::supported_isas();
  for (const Isa isa : numeric::all_isas()) {
    if (std::ranges::find(supported, isa) != supported.end()) continue;
    Account account;
    const auto try_it = [&] { (void)run_pi(session(), account, {}, {.points = 10, .isa = isa}, [](double) {}); };
    EXPECT_THROW(try_it(), std::runtime_error) << numeric::name(isa);
  }
}

void expect_complete(const Record& record, const PiOptions& options) {
  const auto size = static_cast<std::uint64_t>(session().size());
  EXPECT_EQ(record.command, "pi");
  EXPECT_EQ(record.argv, (std::vector<std::string>{"echelon", "pi"}));
  EXPECT_THAT(record.started_at, testing::MatchesRegex("20..-..-..T..:..:..Z"));

  EXPECT_EQ(parameter<std::uint64_t>(record, "points"), options.points);
  EXPECT_EQ(parameter<std::string>(record, "kernel"), numeric::name(options.kernel));
  EXPECT_EQ(parameter<std::string>(record, "schedule"), schedule::name(options.schedule));
  EXPECT_EQ(parameter<std::uint64_t>(record, "block"), options.block);
  EXPECT_EQ(parameter<std::uint64_t>(record, "threads"), options.threads);
  EXPECT_EQ(parameter<std::uint64_t>(record, "repeat"), options.repeat);
  EXPECT_EQ(parameter<std::string>(record, "isa"), "auto");
  const auto chunk = parameter<std::uint64_t>(record, "chunk");
  EXPECT_EQ(chunk % options.block, 0U);
  EXPECT_EQ(chunk == 0, options.schedule == Schedule::fixed);

  ASSERT_EQ(record.repetitions_s.size(), options.repeat);
  EXPECT_THAT(record.repetitions_s, testing::Each(testing::Gt(0)));
  EXPECT_EQ(result<std::uint64_t>(record, "points"), options.points);
  const auto time_s = result<double>(record, "time_s");
  EXPECT_DOUBLE_EQ(time_s, measure::median(record.repetitions_s));
  EXPECT_DOUBLE_EQ(result<double>(record, "points_per_s"), static_cast<double>(options.points) / time_s);
  EXPECT_DOUBLE_EQ(result<double>(record, "error"), result<double>(record, "value") - std::numbers::pi);

  ASSERT_EQ(record.ranks.size(), size);
  std::uint64_t items = 0;
  double longest_s = 0;
  for (std::size_t i = 0; i < record.ranks.size(); ++i) {
    const RankRecord& rank = record.ranks[i];
    EXPECT_EQ(rank.rank, i);
    EXPECT_EQ(rank.role, i == 0 ? "master" : "worker");
    EXPECT_EQ(rank.host, measure::host_name());
    EXPECT_NO_THROW(EXPECT_FALSE(measure::parse_cpu_list(rank.cpus).empty()));
    EXPECT_EQ(rank.tasks == 0, rank.items == 0);
    for (const double s : {rank.startup_s, rank.communicate_s, rank.wait_s, rank.wall_s, rank.cpu_s}) EXPECT_GT(s, 0);
    EXPECT_EQ(rank.compute_s > 0, rank.items > 0);
    const double sum = rank.startup_s + rank.compute_s + rank.communicate_s + rank.wait_s;
    EXPECT_NEAR(sum, rank.wall_s, 1e-9 * rank.wall_s);
    EXPECT_GT(rank.max_rss_bytes, 1'000'000U);
    EXPECT_FALSE(rank.lost);
    items += rank.items;
    longest_s = std::max(longest_s, rank.wall_s);
  }
  EXPECT_EQ(items, options.points * options.repeat);
  EXPECT_EQ(record.wall_s, longest_s);
  for (const double s : record.repetitions_s) EXPECT_LT(s, record.wall_s);

  const measure::Efficiency& e = record.efficiency;
  for (const double value : {e.load_balance, e.communication, e.parallel}) {
    EXPECT_GT(value, 0);
    EXPECT_LE(value, 1);
  }
  EXPECT_DOUBLE_EQ(e.load_balance * e.communication, e.parallel);

  const measure::Context& context = record.context;
  EXPECT_EQ(context.hosts, std::vector<std::string>{measure::host_name()});
  EXPECT_EQ(context.ranks, size);
  EXPECT_EQ(context.threads, options.threads);
  EXPECT_EQ(context.launcher, "mpirun");
  EXPECT_EQ(context.mpi, comm::Session::library());
  EXPECT_EQ(context.isa, numeric::name(numeric::best_isa(options.kernel)));
  EXPECT_EQ(context.cpu_model, measure::cpu_model());
  for (const std::string& text : {context.version, context.commit, context.compiler}) EXPECT_FALSE(text.empty());
  EXPECT_GE(context.cpus_allowed, 1U);
  EXPECT_LE(context.cpus_allowed, measure::online_cpus());
  EXPECT_EQ(context.oversubscribed, size * options.threads > context.cpus_allowed);
}

TEST(pi, record_is_complete_with_every_schedule) {
  for (const Schedule schedule : schedule::all_schedules()) {
    for (const std::uint64_t repeat : {1U, 5U}) {
      const PiOptions options{.points = 3'000'001, .schedule = schedule, .block = 1024, .repeat = repeat};
      const Record record = run(options);
      SCOPED_TRACE(describe(options) + ", " + std::to_string(repeat) + " repetitions");
      if (session().is_master()) {
        expect_complete(record, options);
      }
    }
  }
}

TEST(pi, only_the_master_gets_the_record) {
  const Record record = run({.points = 1000});
  EXPECT_EQ(record.command, session().is_master() ? "pi" : "");
  EXPECT_EQ(record.ranks.empty(), !session().is_master());
  EXPECT_EQ(record.result.empty(), !session().is_master());
}

TEST(pi, static_gives_each_rank_its_share_of_blocks) {
  constexpr std::uint64_t blocks = 100;
  const Record record = run({.points = blocks * 1000, .block = 1000});
  const auto size = static_cast<std::uint64_t>(session().size());
  for (const RankRecord& rank : record.ranks) {
    EXPECT_EQ(rank.items, 1000 * (blocks / size + (rank.rank < blocks % size ? 1 : 0)));
    EXPECT_EQ(rank.tasks, 1U);
  }
}

TEST(pi, dynamic_gives_chunks_of_whole_blocks) {
  // 64 blocks of 1000 points, four a chunk since 3001 points are more than three blocks.
  const Record record = run({.points = 64'000, .schedule = Schedule::dynamic, .block = 1000, .chunk = 3001});
  if (!session().is_master()) return;
  EXPECT_EQ(parameter<std::uint64_t>(record, "chunk"), 4000U);
  std::uint64_t chunks = 0;
  for (const RankRecord& rank : record.ranks) {
    EXPECT_EQ(rank.items, 4000 * rank.tasks);
    chunks += rank.tasks;
  }
  EXPECT_EQ(chunks, 16U);
}

/// Messages that all ranks sent to other nodes meanwhile, on the master. Collective.
std::uint64_t messages_between_nodes(const PiOptions& options) {
  const std::uint64_t before = session().between_nodes().messages;
  (void)run(options);
  std::uint64_t sum = 0;
  for (const std::uint64_t mine : comm::gather(session(), session().between_nodes().messages - before)) sum += mine;
  return sum;
}

TEST(pi, nodes_claim_many_chunks_by_few_messages) {
  const bool is_one_node = comm::Nodes::of(session()).is_one();
  const auto nodes = static_cast<std::uint64_t>(comm::Nodes::of(session()).count());
  const auto ranks = static_cast<std::uint64_t>(session().size());
  // 2000 chunks: at most 4M (ln(2000 / 4M) + 2) pieces, and a question behind the end for each node, all with answers.
  const double four = 4 * static_cast<double>(nodes);
  const double claims = four * (std::log(2000 / four) + 2) + static_cast<double>(nodes);
  const std::uint64_t messages = messages_between_nodes({.points = std::uint64_t{2000} << 15,
                                                         .kernel = Kernel::direct,
                                                         .schedule = Schedule::dynamic,
                                                         .block = 1 << 15,
                                                         .chunk = 1 << 15});
  if (!session().is_master()) return;
  EXPECT_EQ(messages > 0, !is_one_node);
  // Beside these, each rank tells all others where its node's memory is, and gives the master what it has found.
  EXPECT_LE(static_cast<double>(messages), 2 * claims + static_cast<double>(2 * ranks * ranks + 8 * ranks));
}

TEST(pi, nothing_goes_between_nodes_where_there_is_one) {
  if (!comm::Nodes::of(session()).is_one()) return;
  for (const Schedule schedule : schedule::all_schedules()) {
    const Record record = run({.points = 100'000, .schedule = schedule, .block = 1000});
    for (const RankRecord& rank : record.ranks) {
      EXPECT_EQ(rank.between_nodes_messages, 0U);
      EXPECT_EQ(rank.between_nodes_bytes, 0U);
    }
  }
}

TEST(pi, progress_reaches_the_master_only_and_ends_at_the_whole) {
  for (const Schedule schedule : {Schedule::fixed, Schedule::dynamic}) {
    std::vector<double> seen;
    Account account;
    const PiOptions options{.points = 10'000'000, .schedule = schedule, .repeat = 3};
    (void)run_pi(session(), account, {}, options, [&](double done) { seen.push_back(done); });
    if (!session().is_master()) {
      EXPECT_TRUE(seen.empty());
      continue;
    }
    EXPECT_TRUE(std::ranges::is_sorted(seen)) << schedule::name(schedule);
    for (const double done : seen) {
      EXPECT_GT(done, 0);
      EXPECT_LE(done, 1);
    }
    if (schedule == Schedule::fixed) {
      EXPECT_THAT(seen, testing::SizeIs(testing::Ge(3U)));
      EXPECT_DOUBLE_EQ(seen.empty() ? 0 : seen.back(), 1);
    }
  }
}

/// On the master: a right record for tests to spoil.
class pi_check : public testing::Test {
 protected:
  Record record_ = run({.points = 1'000'003, .schedule = Schedule::dynamic, .repeat = 2});
};

TEST_F(pi_check, untouched_record_is_right) {
  if (session().is_master()) {
    EXPECT_TRUE(pi_is_right(record_));
  }
}

TEST_F(pi_check, wrong_value_is_noticed) {
  if (!session().is_master()) return;
  for (const double wrong : {3.0, 0.0, -std::numbers::pi, 3.141592653, std::nan(""), HUGE_VAL}) {
    Record spoilt = record_;
    field(spoilt.result, "value") = wrong;
    EXPECT_FALSE(pi_is_right(spoilt)) << wrong;
  }
}

TEST_F(pi_check, wrong_error_is_noticed) {
  if (!session().is_master()) return;
  for (const double wrong : {1e-10, -1e-10, std::nan(""), HUGE_VAL}) {
    Record spoilt = record_;
    field(spoilt.result, "error") = wrong;
    EXPECT_FALSE(pi_is_right(spoilt)) << wrong;
  }
}

TEST_F(pi_check, point_done_twice_or_never_is_noticed) {
  if (!session().is_master()) return;
  for (const std::uint64_t change : {std::uint64_t{1}, ~std::uint64_t{0}}) {  // one more, one less
    Record spoilt = record_;
    spoilt.ranks.back().items += change;
    EXPECT_FALSE(pi_is_right(spoilt));
  }
  Record spoilt = record_;
  spoilt.repetitions_s.push_back(1);
  EXPECT_FALSE(pi_is_right(spoilt)) << "a repetition that nobody computed";
}

TEST_F(pi_check, repetitions_that_differ_are_noticed) {
  if (!session().is_master()) return;
  field(record_.result, "same_bits_in_all_repetitions") = false;
  EXPECT_FALSE(pi_is_right(record_));
}

}  // namespace
}  // namespace echelon::workloads
