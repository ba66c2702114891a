#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/csv.hpp>

namespace echelon::report {
namespace {

using testing::ElementsAre;

measure::Record small_record() {
  measure::Record record;
  record.command = "pi";
  record.started_at = "2026-11-21T08:15:30Z";
  record.context.ranks = 2;
  record.context.launcher = "mpirun";
  record.parameters = {{"points", std::uint64_t{1000}}, {"schedule", std::string{"static"}}};
  record.ranks.resize(2);
  record.ranks[0] = {.rank = 0, .host = "a", .cpus = "0", .role = "master", .tasks = 1, .items = 500, .wall_s = 0.5};
  record.ranks[1] = {.rank = 1,
                     .host = "b",
                     .cpus = "0-1,4",
                     .role = "worker",
                     .tasks = 2,
                     .items = 600,
                     .startup_s = 0.25,
                     .compute_s = 1e-7,
                     .communicate_s = 0.1,
                     .wait_s = 3,
                     .wall_s = 4.5,
                     .cpu_s = 0.30000000000000004,
                     .max_rss_bytes = 1024,
                     .lost = true,
                     .between_nodes_messages = 7,
                     .between_nodes_bytes = 560};
  return record;
}

/// RFC 4180, read by its grammar.
std::vector<std::vector<std::string>> parse(const std::string& csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  bool quoted = false;
  for (std::size_t i = 0; i < csv.size(); ++i) {
    const char c = csv[i];
    if (quoted) {
      const bool doubled = c == '"' && i + 1 < csv.size() && csv[i + 1] == '"';
      if (c == '"' && !doubled) {
        quoted = false;
      } else {
        row.back() += c;
        if (doubled) ++i;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row.emplace_back();
    } else if (c == '\n') {
      rows.push_back(std::move(row));
      row.assign(1, "");
    } else {
      row.back() += c;
    }
  }
  EXPECT_FALSE(quoted);
  EXPECT_THAT(row, ElementsAre("")) << "the last line has no end";
  return rows;
}

TEST(csv, whole_text_is_as_documented) {
  EXPECT_EQ(to_csv(small_record()),
            "started_at,command,ranks,launcher,points,schedule,rank,host,cpus,role,tasks,items,startup_s,compute_s,"
            "communicate_s,wait_s,wall_s,cpu_s,max_rss_bytes,lost,between_nodes_messages,between_nodes_bytes\n"
            "2026-11-21T08:15:30Z,pi,2,mpirun,1000,static,0,a,0,master,1,500,0,0,0,0,0.5,0,0,false,0,0\n"
            "2026-11-21T08:15:30Z,pi,2,mpirun,1000,static,1,b,\"0-1,4\",worker,2,600,0.25,1e-07,0.1,3,4.5,"
            "0.30000000000000004,1024,true,7,560\n");
}

TEST(csv, every_row_has_as_many_cells_as_the_head) {
  measure::Record record = small_record();
  record.command = "comma, quote \" and\nline";
  record.context.launcher = "\"";
  record.ranks[0].host = "\r";
  record.parameters = {{"a,b", std::string{"x,y"}},
                       {"list", std::vector<std::string>{"p,1", "q\"2"}},
                       {"flag", true},
                       {"real", 0.1},
                       {"empty", std::string{}}};
  const auto rows = parse(to_csv(record));
  ASSERT_EQ(rows.size(), 3U);
  for (const auto& row : rows) EXPECT_EQ(row.size(), rows[0].size());
  EXPECT_EQ(rows[0][4], "a,b");
  EXPECT_EQ(rows[1][1], record.command);
  EXPECT_EQ(rows[1][3], "\"");
  EXPECT_EQ(rows[1][4], "x,y");
  EXPECT_EQ(rows[1][5], "p,1 q\"2");
  EXPECT_EQ(rows[1][6], "true");
  EXPECT_EQ(rows[1][7], "0.1");
  EXPECT_EQ(rows[1][8], "");
  EXPECT_EQ(rows[1][10], "\r");
}

TEST(csv, no_ranks_leave_the_head) {
  measure::Record record = small_record();
  record.ranks.clear();
  EXPECT_EQ(parse(to_csv(record)).size(), 1U);
}

}  // namespace
}  // namespace echelon::report
