#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/table.hpp>

namespace echelon::report {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A run on a master and two workers whose tasks all ended well.
struct MapRun {
  std::uint64_t succeeded = 5000;
  std::uint64_t failed = 0;
  std::uint64_t ended_before = 0;
  std::uint64_t failed_before = 0;
  std::uint64_t output_lost = 0;
  std::uint64_t retried = 0;
  std::string stopped = {};
  bool unfinished = false;
  std::vector<std::string> failures = {};
  double time_s = 2.5;
  double tasks_per_s = 2000;
  double utilisation = 0.9444;
  std::vector<measure::RankRecord> ranks{
      {.rank = 0, .host = "login", .cpus = "0", .role = "master", .communicate_s = 0.5, .wait_s = 2},
      {.rank = 1,
       .host = "node-1",
       .cpus = "0-1",
       .role = "worker",
       .tasks = 2600,
       .compute_s = 2.375,
       .wait_s = 0.125},
      {.rank = 2,
       .host = "b",
       .cpus = "2",
       .role = "worker",
       .tasks = 2400,
       .compute_s = 2,
       .communicate_s = 0.25,
       .wait_s = 0.25}};
};

std::string summary(const MapRun& run) {
  measure::Record record;
  record.command = "map";
  record.result = {{"listed", run.succeeded + run.failed},
                   {"succeeded", run.succeeded},
                   {"failed", run.failed},
                   {"ended_before", run.ended_before},
                   {"failed_before", run.failed_before},
                   {"output_lost", run.output_lost},
                   {"unfinished", run.unfinished},
                   {"retried", run.retried},
                   {"stopped", run.stopped},
                   {"failures", run.failures},
                   {"time_s", run.time_s},
                   {"tasks_per_s", run.tasks_per_s},
                   {"utilisation", run.utilisation}};
  record.ranks = run.ranks;
  return map_summary(record);
}

std::string first_line(const MapRun& run) {
  const std::string text = summary(run);
  return text.substr(0, text.find('\n'));
}

TEST(map_summary, whole_text_is_as_documented) {
  EXPECT_EQ(summary(MapRun{}),
            "5000 tasks ended well, 0 failed   2.5000 s, 2.00e3 tasks/s, utilisation 0.944\n"
            "\n"
            "rank  host    cpus  tasks  busy s  idle s  busy %  state\n"
            "   1  node-1  0-1    2600  2.3750  0.1250      95\n"
            "   2  b       2      2400  2.0000  0.5000      80\n");
}

TEST(map_summary, what_went_between_nodes_follows_the_table) {
  MapRun run;
  run.ranks[0].between_nodes_messages = 1;
  run.ranks[0].between_nodes_bytes = 100;
  EXPECT_THAT(summary(run), testing::EndsWith("80\n\nbetween nodes: 1 message, 100 bytes\n"));
}

TEST(map_summary, without_tasks_is_zeros) {
  MapRun run{.succeeded = 0, .time_s = 0, .tasks_per_s = 0, .utilisation = 0};
  run.ranks = {{.rank = 0, .host = "a", .cpus = "0", .role = "master"}};
  EXPECT_EQ(summary(run),
            "0 tasks ended well, 0 failed   0.0000 s, 0 tasks/s, utilisation 0.000\n"
            "\n"
            "rank  host  cpus  tasks  busy s  idle s  busy %  state\n"
            "   0  a     0         0  0.0000  0.0000       0\n");
}

TEST(map_summary, one_rank_works_itself) {
  MapRun run{.succeeded = 1, .time_s = 0.0004, .tasks_per_s = 2500, .utilisation = 1};
  run.ranks = {{.rank = 0, .host = "a", .cpus = "0-3", .role = "master", .tasks = 1, .compute_s = 0.0004}};
  EXPECT_EQ(summary(run),
            "1 task ended well, 0 failed   0.000400 s, 2.50e3 tasks/s, utilisation 1.000\n"
            "\n"
            "rank  host  cpus  tasks    busy s  idle s  busy %  state\n"
            "   0  a     0-3       1  0.000400  0.0000     100\n");
}

TEST(map_summary, what_an_earlier_run_did_and_attempts_that_were_repeated_are_told) {
  EXPECT_THAT(first_line({.ended_before = 1}), StartsWith("5000 tasks ended well, 0 failed, 1 had ended before   2.5"));
  EXPECT_THAT(first_line({.failed = 3, .ended_before = 4, .failed_before = 2}),
              StartsWith("5000 tasks ended well, 3 failed, 4 had ended before (2 failed; --resume-failed runs those "
                         "again)   2.5"));
  EXPECT_THAT(first_line({.retried = 1}), StartsWith("5000 tasks ended well, 0 failed, 1 attempt was repeated   2.5"));
  EXPECT_THAT(first_line({.retried = 2}), StartsWith("5000 tasks ended well, 0 failed, 2 attempts were repeated   "));
  EXPECT_THAT(first_line({.succeeded = 1, .failed = 2, .ended_before = 30, .retried = 4}),
              StartsWith("1 task ended well, 2 failed, 30 had ended before, 4 attempts were repeated   2.5000 s"));
}

TEST(map_summary, failures_have_a_line_each) {
  const MapRun run{.succeeded = 1,
                   .failed = 2,
                   .failures = {"task 2 ended with status 1 (rank 1 on node-1): ./x: no such file",
                                "task 3 was killed by signal 9 after 3 attempts (rank 2 on b): y"}};
  EXPECT_THAT(summary(run), HasSubstr("1 task ended well, 2 failed   2.5000 s, 2.00e3 tasks/s, utilisation 0.944\n"
                                      "  task 2 ended with status 1 (rank 1 on node-1): ./x: no such file\n"
                                      "  task 3 was killed by signal 9 after 3 attempts (rank 2 on b): y\n"
                                      "\n"
                                      "rank  host"));
}

TEST(map_summary, of_many_failures_some_are_shown) {
  const auto text_for = [](std::size_t failed, std::size_t kept) {
    MapRun run{.failed = failed};
    for (std::size_t i = 0; i < kept; ++i) run.failures.push_back("failure " + std::to_string(i + 1));
    return summary(run);
  };
  EXPECT_THAT(text_for(20, 20), AllOf(HasSubstr("\n  failure 20\n\nrank"), Not(HasSubstr("more"))));
  EXPECT_THAT(text_for(21, 21), AllOf(HasSubstr("\n  failure 20\n  and 1 more\n\nrank"), Not(HasSubstr("failure 21"))));
  EXPECT_THAT(text_for(1'000'000, 1000), HasSubstr("\n  failure 20\n  and 999980 more\n\nrank"));
}

TEST(map_summary, lost_ranks_are_marked) {
  MapRun run;
  run.ranks[1].lost = true;
  EXPECT_THAT(summary(run), EndsWith("rank  host    cpus  tasks  busy s  idle s  busy %  state\n"
                                     "   1  node-1  0-1    2600  2.3750  0.1250      95  lost\n"
                                     "   2  b       2      2400  2.0000  0.5000      80\n"));
}

TEST(map_summary, an_early_end_is_told_last) {
  EXPECT_THAT(summary({.stopped = "stopped by a signal", .unfinished = true}),
              EndsWith("      80\n\nstopped by a signal; what is left was not run\n"));
  EXPECT_THAT(summary({.stopped = "--halt has stopped the run", .unfinished = false}),
              EndsWith("      80\n\n--halt has stopped the run\n"));
}

TEST(map_summary, columns_grow_with_what_is_in_them) {
  MapRun run;
  run.ranks = {{.rank = 0, .host = "m", .cpus = "", .role = "master"},
               {.rank = 1,
                .host = "a-host-with-a-long-name",
                .cpus = "0-3,8-11",
                .role = "worker",
                .tasks = 1'000'000,
                .compute_s = 1e5},
               {.rank = 1000, .host = "b", .cpus = "", .role = "worker", .tasks = 0, .wait_s = 0.0001}};
  EXPECT_THAT(summary(run),
              EndsWith("rank  host                     cpus        tasks       busy s    idle s  busy %  state\n"
                       "   1  a-host-with-a-long-name  0-3,8-11  1000000  100000.0000    0.0000     100\n"
                       "1000  b                                        0       0.0000  0.000100       0\n"));
}

/// The line of one failure.
std::string shown(std::string_view failure) {
  const std::string text = summary({.failed = 1, .failures = {std::string{failure}}});
  const std::size_t begin = text.find('\n') + 3;
  return text.substr(begin, text.find("\n\nrank") - begin);
}

// Whatever a command wrote last, the terminal of who started the run does not obey it.
TEST(map_summary, control_characters_do_not_reach_the_terminal) {
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(shown("a\x1b[2J\x1b]0;title\x07z"), "a [2J ]0;title z");
  EXPECT_EQ(shown("a\rb\nc\td\be\0f\x7fg"sv), "a b c d e f g");
  EXPECT_EQ(shown("a\xc2\x9b"
                  "2Jb"),
            "a 2Jb")
      << "the control sequence introducer in UTF-8";
  EXPECT_EQ(shown("a\x9b"
                  "2Jb"),
            "a\xef\xbf\xbd"
            "2Jb")
      << "and in Latin-1";
  for (int c = 0; c < 256; ++c) {
    const std::string text{static_cast<char>(c)};
    const std::string expected = c < 0x20 || c == 0x7f ? " " : c < 0x80 ? text : "\xef\xbf\xbd";
    EXPECT_EQ(shown("x" + text + "x"), "x" + expected + "x") << c;
  }
}

TEST(map_summary, text_in_utf_8_is_shown_as_it_is) {
  for (const char* text : {"é", "\u00a0", "€uro", "日本", "😀", "\u07ff", "\uffff", "\U0010ffff", "‘quoted’"}) {
    EXPECT_EQ(shown(text), text);
  }
}

TEST(map_summary, what_is_no_utf_8_is_replaced_byte_by_byte) {
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(shown("cut \xe2\x82"), "cut " + bad + bad);
  EXPECT_EQ(shown("\xc3x"), bad + "x");
  EXPECT_EQ(shown("\xc0\x8a\xc1\xbf"), bad + bad + bad + bad) << "a newline in two bytes";
  EXPECT_EQ(shown("\xe2\x82\x1b[1m"), bad + bad + " [1m");
  EXPECT_EQ(shown("\xf5\x80\x80\x80"), bad + bad + bad + bad);
  EXPECT_EQ(shown("\xe0\x82\x9b\xf0\x80\x82\x9b"), bad + bad + bad + bad + bad + bad + bad) << "controls in long forms";
  EXPECT_EQ(shown("\xed\xa0\x80"), bad + bad + bad) << "half of a pair of UTF-16";
}

}  // namespace
}  // namespace echelon::report
