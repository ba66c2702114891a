#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <echelon/report/trace.hpp>

#include "report/study_view.hpp"

namespace echelon::report {
namespace {

using nlohmann::json;

std::vector<json> events_of(const json& trace, const std::string& kind, const std::string& name = "") {
  std::vector<json> found;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("ph") == kind && (name.empty() || event.at("name") == name)) found.push_back(event);
  }
  return found;
}

TEST(trace, phases_stand_one_after_another) {
  measure::Record record = view_record(3, {"node1", "node2"});
  record.ranks[2].lost = true;
  record.ranks[2].compute_s = 0;
  const json trace = json::parse(chrome_trace(record));
  const json rank_1 = json::parse(R"([
    {"name": "startup",     "cat": "phase", "ph": "X", "ts": 0.0,       "dur": 250000.0,  "pid": 1, "tid": 1},
    {"name": "compute",     "cat": "phase", "ph": "X", "ts": 250000.0,  "dur": 4000000.0, "pid": 1, "tid": 1},
    {"name": "communicate", "cat": "phase", "ph": "X", "ts": 4250000.0, "dur": 500000.0,  "pid": 1, "tid": 1},
    {"name": "wait",        "cat": "phase", "ph": "X", "ts": 4750000.0, "dur": 500000.0,  "pid": 1, "tid": 1}])");
  json found = json::array();
  for (const json& event : events_of(trace, "X")) {
    if (event.at("tid") == 1) found.push_back(event);
  }
  EXPECT_EQ(found, rank_1);
  EXPECT_EQ(events_of(trace, "X").size(), 11U) << "a phase without time is no event";
  EXPECT_EQ(events_of(trace, "X").back().at("ts"), 0.75e6);
}

TEST(trace, hosts_are_processes_and_ranks_threads) {
  measure::Record record = view_record(3, {"node1", "node2"});
  record.ranks[2].lost = true;
  const json trace = json::parse(chrome_trace(record));
  const auto processes = events_of(trace, "M", "process_name");
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_EQ(processes[1].at("pid"), 1);
  EXPECT_EQ(processes[1].at("args").at("name"), "node2");
  const auto threads = events_of(trace, "M", "thread_name");
  ASSERT_EQ(threads.size(), 3U);
  EXPECT_EQ(threads[0].at("args").at("name"), "rank 0, master");
  EXPECT_EQ(threads[2].at("args").at("name"), "rank 2, worker, lost");
  EXPECT_EQ(threads[2].at("pid"), 0);
  EXPECT_EQ(threads[2].at("tid"), 2);
  EXPECT_THAT(trace.at("otherData").at("order").get<std::string>(), testing::HasSubstr("by phase, not by time"));
}

TEST(trace, hostile_text_is_still_json) {
  measure::Record record = view_record(1, {"\xff\"</script>\n"});
  record.argv = {"a\tb", "\x80"};
  record.ranks[0].compute_s = std::numeric_limits<double>::quiet_NaN();
  const json trace = json::parse(chrome_trace(record));
  EXPECT_EQ(events_of(trace, "M", "process_name")[0].at("args").at("name"), "\uFFFD\"</script>\n");
  EXPECT_EQ(events_of(trace, "X").size(), 3U);
  EXPECT_TRUE(json::parse(chrome_trace({})).at("traceEvents").empty());
}

}  // namespace
}  // namespace echelon::report
