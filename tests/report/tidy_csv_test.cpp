#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/tidy_csv.hpp>

#include "report/study_view.hpp"

namespace echelon::report {
namespace {

StudyView small_view() {
  StudyView view = amdahl_view();
  // A measured run and the failed ones, not in their order.
  view.runs = {view.runs[19], view.runs[18], view.runs[6], view.runs[7]};
  return view;
}

TEST(tidy_csv, a_line_a_run) {
  EXPECT_EQ(tidy_csv(small_view()),
            "sequence,ranks,threads,nodes,processors,warmup,repetition,attempt,started_at,host,time_s,"
            "launch_to_exit_s,cpu_s,startup_s,error\n"
            "7,2,1,1,2,false,1,1,2026-11-21T08:00:00Z,node1,5,6.5,10.8,0.25,\n"
            "8,2,1,1,2,false,2,1,2026-11-21T08:00:00Z,node1,5,6.5,10.8,0.25,\n"
            "19,8,1,2,8,true,,1,2026-11-21T08:19:00Z,node1,,0.5,,,\"exit 1: no \"\"licence\"\"; sorry\"\n"
            "20,8,1,2,8,true,,2,2026-11-21T08:20:00Z,node1,,0.25,,,signal 9 killed\n");
}

TEST(tidy_csv, warm_ups_that_succeeded_are_not_counted_as_repetitions) {
  StudyView view = small_view();
  view.runs.assign(2, {});
  view.runs[0].sequence = 2;
  view.runs[0].point = 1;
  view.runs[0].time_s = 0.30000000000000004;
  view.runs[0].launch_to_exit_s = 3;
  view.runs[1].sequence = 1;
  view.runs[1].point = 1;
  view.runs[1].warmup = true;
  view.runs[1].host = "a,b";
  view.runs[1].time_s = 0.1;
  view.runs[1].launch_to_exit_s = 2;
  view.points[1].runs.front().sequence = 2;
  EXPECT_THAT(tidy_csv(view), testing::EndsWith("error\n1,1,1,1,1,true,,1,,a;b,0.1,2,,,\n"
                                                "2,1,1,1,1,false,1,1,,,0.30000000000000004,3,,0.25,\n"));
}

TEST(tidy_csv, a_line_a_rank_of_each_record_by_points) {
  StudyView view = amdahl_view();
  view.records[2]->ranks[1].lost = true;
  view.records[2]->ranks[1].between_nodes_messages = 3;
  view.records[2]->ranks[1].between_nodes_bytes = 24;
  EXPECT_EQ(ranks_csv(view),
            "ranks,threads,nodes,started_at,rank,host,cpus,role,tasks,items,startup_s,compute_s,communicate_s,wait_s,"
            "wall_s,cpu_s,max_rss_bytes,lost,between_nodes_messages,between_nodes_bytes\n"
            "1,1,1,2026-11-21T08:00:00Z,0,node1,\"0-1,4\",master,2,100,0.25,4,0.5,0.5,5.25,5,1024,false,0,0\n"
            "2,1,1,2026-11-21T08:00:00Z,0,node1,\"0-1,4\",master,2,100,0.25,4,0.5,0.5,5.25,5,1024,false,0,0\n"
            "2,1,1,2026-11-21T08:00:00Z,1,node2,\"0-1,4\",worker,2,101,0.25,4,0.5,0.5,5.25,5,1024,true,3,24\n");
}

TEST(tidy_csv, nothing_leaves_the_heads) {
  EXPECT_THAT(tidy_csv({}), testing::EndsWith(",error\n"));
  EXPECT_THAT(ranks_csv({}), testing::EndsWith(",lost,between_nodes_messages,between_nodes_bytes\n"));
}

}  // namespace
}  // namespace echelon::report
