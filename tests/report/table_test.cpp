#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/report/table.hpp>

namespace echelon::report {
namespace {

using enum Table::Align;

TEST(table, numbers_stand_right_and_words_left) {
  Table table{{{"rank"}, {"host", left}, {"time s"}}};
  table.add({"0", "a", "1.25"});
  table.add({"10", "node-12", "10.5"});
  EXPECT_EQ(table.text(),
            "rank  host     time s\n"
            "   0  a          1.25\n"
            "  10  node-12    10.5\n");
}

TEST(table, lines_do_not_end_in_blanks) {
  Table table{{{"n"}, {"remark", left}, {"", left}}};
  table.add({"1", "", ""});
  table.add({"2", "long remark", "x"});
  table.add({"3", "", ""});
  EXPECT_EQ(table.text(),
            "n  remark\n"
            "1\n"
            "2  long remark  x\n"
            "3\n");
}

TEST(table, without_rows_is_its_head) { EXPECT_EQ((Table{{{"a"}, {"b", left}}}.text()), "a  b\n"); }

TEST(engineering, exponents_are_multiples_of_three) {
  EXPECT_EQ(engineering(27.5e9), "27.5e9");
  EXPECT_EQ(engineering(1000), "1.00e3");
  EXPECT_EQ(engineering(1234), "1.23e3");
  EXPECT_EQ(engineering(12345), "12.3e3");
  EXPECT_EQ(engineering(123456), "123e3");
  EXPECT_EQ(engineering(1e6), "1.00e6");
  EXPECT_EQ(engineering(1e15), "1.00e15");
  EXPECT_EQ(engineering(std::numeric_limits<double>::max()), "180e306");
}

TEST(engineering, below_a_thousand_there_is_no_exponent) {
  EXPECT_EQ(engineering(1), "1");
  EXPECT_EQ(engineering(1.5), "1.5");
  EXPECT_EQ(engineering(27.46), "27.5");
  EXPECT_EQ(engineering(999), "999");
  EXPECT_EQ(engineering(999.4), "999");
  EXPECT_EQ(engineering(0.5), "0.5");
  EXPECT_EQ(engineering(0.00012345), "0.000123");
}

TEST(engineering, rounding_over_a_boundary_keeps_three_digits) {
  EXPECT_EQ(engineering(999.5), "1.00e3");
  EXPECT_EQ(engineering(999.6), "1.00e3");
  EXPECT_EQ(engineering(999499), "999e3");
  EXPECT_EQ(engineering(999500), "1.00e6");
  EXPECT_EQ(engineering(999999), "1.00e6");
  EXPECT_EQ(engineering(9.994e3), "9.99e3");
  EXPECT_EQ(engineering(9.996e3), "10.0e3");
  EXPECT_EQ(engineering(99.94e3), "99.9e3");
  EXPECT_EQ(engineering(99.96e3), "100e3");
  EXPECT_EQ(engineering(999999999999999.9), "1.00e15");
}

TEST(engineering, negative_values_have_the_same_digits) {
  EXPECT_EQ(engineering(-1234), "-1.23e3");
  EXPECT_EQ(engineering(-999.6), "-1.00e3");
  EXPECT_EQ(engineering(-27.5), "-27.5");
}

TEST(engineering, zero_and_what_is_no_number_are_named) {
  EXPECT_EQ(engineering(0), "0");
  EXPECT_EQ(engineering(std::numeric_limits<double>::infinity()), "inf");
  EXPECT_EQ(engineering(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(engineering(std::numeric_limits<double>::quiet_NaN()), "nan");
}

measure::Record pi_record() {
  measure::Record record;
  record.command = "pi";
  record.context.isa = "avx2";
  record.context.ranks = 2;
  record.context.threads = 1;
  record.parameters = {
      {"points", std::uint64_t{1000}}, {"kernel", std::string{"fused"}}, {"schedule", std::string{"dynamic"}}};
  record.result = {{"value", 3.1415927369231262},
                   {"error", 8.3333333e-08},
                   {"points", std::uint64_t{1000}},
                   {"points_per_s", 2000.0},
                   {"time_s", 0.5}};
  record.repetitions_s = {0.5, 0.625, 0.0004};
  record.ranks = {{.rank = 0,
                   .host = "node-1",
                   .cpus = "0-1",
                   .role = "master",
                   .tasks = 3,
                   .items = 900,
                   .compute_s = 0.45,
                   .communicate_s = 0.0123,
                   .wait_s = 0.00001,
                   .wall_s = 2,
                   .cpu_s = 1.5},
                  {.rank = 1, .host = "b", .cpus = "2", .role = "worker", .items = 100}};
  record.efficiency = {0.75, 0.8, 0.6};
  return record;
}

TEST(run_table, whole_text_is_as_documented) {
  EXPECT_EQ(run_table(pi_record()),
            "pi = 3.1415927369231262   error 8.3e-08\n"
            "1000 points in 0.5000 s, 2.00e3 points/s   fused, dynamic, avx2, 2 ranks x 1 thread\n"
            "median of 3 repetitions, 0.000400 s to 0.6250 s\n"
            "\n"
            "rank  host    cpus  chunks  points  compute s  communicate s    wait s  cpu %  points/s\n"
            "   0  node-1  0-1        3     900     0.4500         0.0123  0.000010     75    2.00e3\n"
            "   1  b       2          0     100     0.0000         0.0000    0.0000      0         0\n"
            "\n"
            "load balance 0.750   communication efficiency 0.800   parallel efficiency 0.600\n");
}

TEST(run_table, what_went_between_nodes_is_the_last_line) {
  measure::Record record = pi_record();
  record.ranks[0].between_nodes_messages = 1200;
  record.ranks[0].between_nodes_bytes = 56 * 1024;
  record.ranks[1].between_nodes_messages = 34;
  EXPECT_TRUE(run_table(record).ends_with("parallel efficiency 0.600\nbetween nodes: 1234 messages, 56 KiB\n"));
  record.ranks[0].compute_s = 0;
  record.ranks[1].between_nodes_bytes = 512;
  EXPECT_TRUE(run_table(record).ends_with("  0\n\nbetween nodes: 1234 messages, 56.5 KiB\n")) << run_table(record);
}

TEST(run_table, one_repetition_has_no_median) {
  measure::Record record = pi_record();
  record.repetitions_s = {0.5};
  record.context.ranks = 1;
  record.context.threads = 4;
  record.ranks.pop_back();
  record.result[2].second = std::uint64_t{1};
  EXPECT_EQ(run_table(record),
            "pi = 3.1415927369231262   error 8.3e-08\n"
            "1 point in 0.5000 s, 2.00e3 points/s   fused, dynamic, avx2, 1 rank x 4 threads\n"
            "\n"
            "rank  host    cpus  chunks  points  compute s  communicate s    wait s  cpu %  points/s\n"
            "   0  node-1  0-1        3     900     0.4500         0.0123  0.000010     75    2.00e3\n"
            "\n"
            "load balance 0.750   communication efficiency 0.800   parallel efficiency 0.600\n");
}

TEST(run_table, fill_has_its_own_words) {
  measure::Record record = pi_record();
  record.command = "fill";
  record.parameters = {{"seed", std::uint64_t{7}}};
  record.result = {{"file", std::string{"x.npy"}},
                   {"size", std::uint64_t{1'000'000}},
                   {"bytes", std::uint64_t{8'000'128}},
                   {"mean", 0.5001788021099828},
                   {"checksum", std::uint64_t{2607208952862336286U}},
                   {"time_s", 0.004},
                   {"doubles_per_s", 250e6},
                   {"bytes_per_s", 2.0e9}};
  record.repetitions_s = {0.004};
  record.ranks.pop_back();
  EXPECT_EQ(run_table(record),
            "x.npy: 7.6 MiB   mean 0.5001788021099828   checksum 2607208952862336286\n"
            "1000000 doubles in 0.0040 s, 250e6 doubles/s, 2.00 GB/s   seed 7, avx2, 2 ranks x 1 thread\n"
            "\n"
            "rank  host    cpus  blocks  doubles  compute s  communicate s    wait s  cpu %  doubles/s\n"
            "   0  node-1  0-1        3      900     0.4500         0.0123  0.000010     75     2.00e3\n"
            "\n"
            "load balance 0.750   communication efficiency 0.800   parallel efficiency 0.600\n");
}

TEST(run_table, command_without_words_of_its_own_has_general_ones) {
  measure::Record record = pi_record();
  record.command = "new";
  record.repetitions_s = {0.5};
  EXPECT_EQ(run_table(record),
            "new on 2 ranks x 1 thread\n"
            "\n"
            "rank  host    cpus  tasks  items  compute s  communicate s    wait s  cpu %  items/s\n"
            "   0  node-1  0-1       3    900     0.4500         0.0123  0.000010     75   2.00e3\n"
            "   1  b       2         0    100     0.0000         0.0000    0.0000      0        0\n"
            "\n"
            "load balance 0.750   communication efficiency 0.800   parallel efficiency 0.600\n");
}

/// Ranks that put and take: nothing is computed.
measure::Record queue_record() {
  measure::Record record;
  record.command = "queue";
  record.context.ranks = 2;
  record.parameters = {{"producers", std::uint64_t{1}}, {"bytes", std::uint64_t{8}}, {"capacity", std::uint64_t{1024}}};
  record.result = {{"items", std::uint64_t{1000}},   {"each_once", true}, {"damaged", std::uint64_t{0}},
                   {"disordered", std::uint64_t{0}}, {"time_s", 0.5},     {"items_per_s", 2000.0},
                   {"bytes_per_s", 16000.0}};
  record.repetitions_s = {0.5};
  record.ranks = {{.rank = 0,
                   .host = "a",
                   .cpus = "0",
                   .role = "producer",
                   .items = 1000,
                   .communicate_s = 0.25,
                   .wait_s = 0.25,
                   .wall_s = 2,
                   .cpu_s = 1.5},
                  {.rank = 1, .host = "b", .cpus = "2", .role = "consumer", .items = 1000, .communicate_s = 0.5}};
  return record;
}

TEST(run_table, queue_has_roles_and_where_nothing_is_computed_there_are_no_efficiencies) {
  EXPECT_EQ(
      run_table(queue_record()),
      "each item once: yes   whole: yes   in its producer's order: yes\n"
      "1000 items of 8 bytes in 0.5000 s, 2.00e3 items/s, 16.0e3 bytes/s   1 producer, 1 consumer, capacity 1024\n"
      "\n"
      "rank  host  cpus  role      items  communicate s  wait s  cpu %  items/s\n"
      "   0  a     0     producer   1000         0.2500  0.2500     75   4.00e3\n"
      "   1  b     2     consumer   1000         0.5000  0.0000      0   2.00e3\n");
}

TEST(run_table, queue_says_what_is_not_as_it_should_be) {
  const std::vector<std::pair<std::size_t, measure::Value>> wrong{
      {1, false}, {2, std::uint64_t{1}}, {3, std::uint64_t{1}}};
  const std::vector<std::string> lines{"each item once: no   whole: yes   in its producer's order: yes\n",
                                       "each item once: yes   whole: no   in its producer's order: yes\n",
                                       "each item once: yes   whole: yes   in its producer's order: no\n"};
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    measure::Record record = queue_record();
    record.result[wrong[i].first].second = wrong[i].second;
    EXPECT_TRUE(run_table(record).starts_with(lines[i])) << run_table(record);
  }
}

TEST(run_table, counter_and_log_have_words_of_their_own) {
  measure::Record record = pi_record();
  record.repetitions_s = {0.5};
  record.ranks.resize(1);
  record.command = "counter";
  record.parameters = {{"method", std::string{"lock"}}};
  record.result = {
      {"expected", std::uint64_t{400}}, {"found", std::uint64_t{399}}, {"time_s", 0.5}, {"increments_per_s", 800.0}};
  EXPECT_TRUE(
      run_table(record).starts_with("counter = 399   expected 400\n"
                                    "400 increments in 0.5000 s, 800 increments/s   lock, 2 ranks\n"
                                    "\n"
                                    "rank  host    cpus  increments  compute s "))
      << run_table(record);
  record.command = "log";
  record.result = {{"file", std::string{"x.log"}},
                   {"expected", std::uint64_t{400}},
                   {"found", std::uint64_t{1}},
                   {"wrong", std::uint64_t{399}},
                   {"time_s", 0.5},
                   {"lines_per_s", 800.0}};
  EXPECT_TRUE(
      run_table(record).starts_with("x.log: 1 line whole and once, of 400; 399 torn, double or out of order\n"
                                    "400 lines in 0.5000 s, 800 lines/s   2 ranks\n"
                                    "\n"
                                    "rank  host    cpus  lines  compute s "))
      << run_table(record);
}

measure::Record scaling_record(std::uint64_t ranks, std::uint64_t threads, std::vector<double> repetitions_s) {
  measure::Record record;
  record.context.ranks = ranks;
  record.context.threads = threads;
  record.repetitions_s = std::move(repetitions_s);
  record.efficiency = {1.0 / static_cast<double>(ranks), 0.9876, 0.5};
  return record;
}

// Speedup 8 / 5 = 1.6 over 2 threads; 8 / 2.5 = 3.2 over 4.
TEST(scaling_table, records_are_compared_with_the_smallest) {
  std::vector<measure::Record> records{scaling_record(4, 1, {2.5}), scaling_record(1, 1, {9, 8, 7}),
                                       scaling_record(1, 2, {5, 5}), scaling_record(2, 1, {4, 6})};
  records[0].context.oversubscribed = true;
  EXPECT_EQ(scaling_table(records),
            "ranks  threads  time s  speedup  efficiency  load balance  communication  repetitions\n"
            "    1        1  8.0000     1.00       1.000         1.000          0.988            3\n"
            "    1        2  5.0000     1.60       0.800         1.000          0.988            2\n"
            "    2        1  5.0000     1.60       0.800         0.500          0.988            2\n"
            "    4        1  2.5000     3.20       0.800         0.250          0.988            1  oversubscribed\n");
}

TEST(scaling_table, baseline_with_several_threads_is_the_unit) {
  EXPECT_EQ(scaling_table({scaling_record(4, 2, {1}), scaling_record(2, 2, {2})}),
            "ranks  threads  time s  speedup  efficiency  load balance  communication  repetitions\n"
            "    2        2  2.0000     1.00       1.000         0.500          0.988            1\n"
            "    4        2  1.0000     2.00       1.000         0.250          0.988            1\n");
}

}  // namespace
}  // namespace echelon::report
