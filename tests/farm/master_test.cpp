// The master's decisions, one a test. That they fit together is histories_test.cpp's business.
#include <chrono>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/farm/master.hpp>

namespace echelon::farm {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Actions as text, so that expectations read like a log.
std::string text(const Tasks& tasks) {
  return std::to_string(tasks.job) + ":" + std::to_string(tasks.first) + "+" + std::to_string(tasks.count);
}
std::string text(const Action& action) {
  if (const auto* read = std::get_if<Read>(&action)) {
    return "read " + std::to_string(read->count) + " of " + std::to_string(read->job);
  }
  if (const auto* give = std::get_if<Give>(&action)) {
    return "give " + std::to_string(give->worker) + " " + text(give->chunk.tasks) +
           (give->chunk.careful ? " carefully" : "") + (give->chunk.isolated ? ", isolated" : "");
  }
  if (const auto* back = std::get_if<TakeBack>(&action)) {
    return "take back from " + std::to_string(back->worker) + " below " + std::to_string(back->upto);
  }
  const GiveUp& up = std::get<GiveUp>(action);
  return "give up " + text({up.job, up.task, 1}) + " on " + std::to_string(up.worker) + ", crashes " +
         std::to_string(up.crashes) + ", attempts " + std::to_string(up.attempts);
}
std::string text(const std::optional<Action>& action) { return action ? text(*action) : "nothing"; }

std::vector<std::string> all(Master& master) {
  std::vector<std::string> found;
  while (const auto action = master.next()) {
    found.push_back(text(*action));
    if (found.size() > 10'000) throw std::runtime_error("the master does not stop deciding");
  }
  return found;
}

std::vector<int> ranks(int count) {
  std::vector<int> found;
  for (int rank = 1; rank <= count; ++rank) found.push_back(rank);
  return found;
}

constexpr nanoseconds slow = milliseconds{100};

/// Opens a job whose tasks are all read.
JobId open(Master& master, std::uint64_t tasks, JobOptions options = {}) {
  options.tasks = tasks;
  const JobId job = master.open(options);
  master.read(job, tasks, true);
  return job;
}
JobOptions chunk(std::uint64_t size, std::optional<std::uint64_t> prefetch = std::nullopt) {
  return {.chunk = size, .prefetch = prefetch};
}
/// Worker 1 holds tasks 0, 1 and 2 of job 0, and nobody else works.
Master with_three_tasks_on_worker_1(int workers, JobOptions options = {}) {
  Master master{ranks(workers), false};
  options.chunk = 3;
  options.prefetch = 0;
  open(master, 3, options);
  const std::optional<Action> given = master.next();
  if (text(given) != "give 1 0:0+3") throw std::runtime_error(text(given));
  return master;
}

// ---- giving ----

TEST(master, gives_each_idle_worker_one_chunk_before_any_a_second) {
  Master master{ranks(3), false};
  open(master, 6, chunk(1));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1", "give 2 0:1+1", "give 3 0:2+1", "give 1 0:3+1", "give 2 0:4+1",
                                       "give 3 0:5+1"));
}

TEST(master, keeps_one_chunk_waiting_on_a_worker_where_nothing_is_known_of_its_tasks) {
  Master master{ranks(1), false};
  open(master, 10, chunk(1));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1", "give 1 0:1+1"));
  EXPECT_TRUE(master.done(1, {0, 0, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:2+1"));
}

TEST(master, keeps_more_chunks_waiting_while_they_are_short) {
  Master master{ranks(1), false};
  open(master, 1000, chunk(1));
  all(master);
  EXPECT_TRUE(master.done(1, {0, 0, 1}, nanoseconds{1000}));
  all(master);
  EXPECT_EQ(master.leased(1), Master::max_leases);
  EXPECT_TRUE(master.done(1, {0, 1, 30}, 30 * slow));
  EXPECT_THAT(all(master), IsEmpty()) << "they are not short any more";
}

TEST(master, prefetch_is_the_number_of_chunks_behind_the_running_one) {
  for (const std::uint64_t prefetch : {0, 1, 5}) {
    Master master{ranks(1), false};
    open(master, 100, chunk(2, prefetch));
    EXPECT_THAT(all(master), SizeIs(prefetch + 1));
  }
}

TEST(master, no_worker_holds_more_than_the_most_leases) {
  Master master{ranks(1), false};
  open(master, 1000, chunk(1, UINT64_MAX));
  EXPECT_THAT(all(master), SizeIs(Master::max_leases));
}

TEST(master, numbers_what_it_sends_without_gaps) {
  Master master{ranks(2), false};
  open(master, 12, chunk(3));
  std::vector<std::pair<int, std::uint64_t>> sequences;
  while (const auto action = master.next()) {
    const Give& give = std::get<Give>(*action);
    sequences.emplace_back(give.worker, give.chunk.sequence);
  }
  EXPECT_THAT(sequences, ElementsAre(std::pair{1, 0}, std::pair{2, 0}, std::pair{1, 3}, std::pair{2, 3}));
}

TEST(master, jobs_take_turns) {
  Master master{ranks(1), false};
  open(master, 2, chunk(1, 3));
  open(master, 2, chunk(1, 3));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1", "give 1 1:0+1", "give 1 0:1+1", "give 1 1:1+1"));
}

TEST(master, a_job_without_prefetch_gets_its_turn_beside_one_that_fills_all_workers) {
  Master master{ranks(2), false};
  const JobId filling = open(master, 1000, chunk(1, 3));
  all(master);
  const JobId modest = open(master, 1, chunk(1, 0));
  for (std::uint64_t task = 0; task < 16 && !master.is_finished(modest); task += 2) {
    for (const int worker : {1, 2}) {
      if (!master.done(worker, {filling, task + static_cast<std::uint64_t>(worker) - 1, 1}, slow)) FAIL();
      for (const std::string& action : all(master)) {
        if (action.ends_with("1:0+1")) return;
      }
    }
  }
  FAIL() << "it waits for ever";
}

// ---- sizes of chunks ----

TEST(master, chunks_grow_to_the_target_time) {
  Master master{ranks(1), false};
  open(master, 1'000'000, {.prefetch = 0});
  std::vector<std::uint64_t> sizes;
  for (int i = 0; i < 6; ++i) {
    const auto action = master.next();
    const Tasks tasks = std::get<Give>(*action).chunk.tasks;
    sizes.push_back(tasks.count);
    master.done(1, tasks, tasks.count * nanoseconds{10'000});
  }
  // 1 ms has place for 100 tasks; until then three times as many as before, or less as the first ones are forgotten.
  EXPECT_THAT(sizes, ElementsAre(1, 3, 8, 24, 69, 100));
}

TEST(master, long_tasks_travel_alone) {
  Master master{ranks(1), false};
  open(master, 1000, {.prefetch = 0});
  all(master);
  master.done(1, {0, 0, 1}, slow);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:1+1"));
}

TEST(master, jobs_of_one_kind_know_each_others_times) {
  Master master{ranks(1), false};
  open(master, 1, {.kind = 7});
  all(master);
  master.done(1, {0, 0, 1}, nanoseconds{1000});
  open(master, 1'000'000, {.prefetch = 0, .kind = 7});
  EXPECT_THAT(all(master), ElementsAre("give 1 1:0+3"));
}

TEST(master, the_last_chunks_are_small_where_the_number_of_tasks_is_known) {
  Master master{ranks(2), false};
  open(master, 1, {.kind = 1});
  all(master);
  master.done(1, {0, 0, 1}, nanoseconds{1});
  for (int i = 0; i < 8; ++i) {
    const JobId warm_up = open(master, 1'000'000, {.chunk = 1'000'000, .prefetch = 0, .kind = 1});
    all(master);
    const int worker = master.leased(1) > 0 ? 1 : 2;
    master.done(worker, {warm_up, 0, 1'000'000}, milliseconds{1});
  }
  open(master, 8, {.prefetch = 0, .kind = 1});
  EXPECT_THAT(all(master), Each(testing::EndsWith("+2"))) << "a quarter: two chunks for each of two workers";
}

TEST(master, large_inputs_travel_in_small_chunks) {
  Master master{ranks(1), false};
  open(master, 1, {.kind = 1});
  all(master);
  master.done(1, {0, 0, 1}, nanoseconds{1});
  const JobId job = master.open({.prefetch = 0, .kind = 1});
  master.read(job, 100, true, 100 * Master::chunk_bytes / 2);
  EXPECT_THAT(all(master), ElementsAre("give 1 1:0+2"));
}

std::vector<std::uint64_t> sizes_given(const JobOptions& options, int workers, std::uint64_t tasks) {
  Master master{ranks(workers), false};
  const JobId job = open(master, tasks, options);
  std::vector<std::uint64_t> sizes;
  while (!master.is_finished(job)) {
    const auto action = master.next();
    if (!action || !std::holds_alternative<Give>(*action)) throw std::runtime_error(text(action));
    const Give& give = std::get<Give>(*action);
    sizes.push_back(give.chunk.tasks.count);
    master.done(give.worker, give.chunk.tasks, slow);
    master.consumed(job, give.chunk.tasks.count);
  }
  return sizes;
}

TEST(master, chunks_of_a_schedule_have_the_schedules_sizes) {
  for (const schedule::Schedule schedule : schedule::all_schedules()) {
    for (const std::uint64_t least : {1, 3}) {
      schedule::Chunks chunks{schedule, 100, 4, least};
      std::vector<std::uint64_t> expected;
      while (const auto chunk = chunks.at(expected.size())) expected.push_back(chunk->count);
      EXPECT_EQ(sizes_given({.chunk = least, .schedule = schedule}, 4, 100), expected) << schedule::name(schedule);
    }
  }
}

TEST(master, a_chunk_of_a_schedule_that_the_window_cuts_goes_on_with_its_rest) {
  EXPECT_THAT(sizes_given({.schedule = schedule::Schedule::fixed, .window = 20}, 2, 100),
              ElementsAre(20, 20, 10, 20, 20, 10));
}

TEST(master, static_gives_the_masters_own_rank_its_chunk) {
  Master master{ranks(2), true};
  open(master, 9, {.schedule = schedule::Schedule::fixed});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+3", "give 2 0:3+3"));
  EXPECT_EQ(text(master.next_here()), "give 0 0:6+3");
}

TEST(master, a_chunk_of_no_tasks_is_one_of_one) {
  for (const schedule::Schedule schedule : schedule::all_schedules()) {
    EXPECT_FALSE(sizes_given({.chunk = 0, .schedule = schedule}, 2, 10).empty());
  }
  EXPECT_THAT(sizes_given({.chunk = 0}, 2, 3), ElementsAre(1, 1, 1));
}

TEST(master, counts_up_to_2_to_the_62_without_overflow) {
  constexpr std::uint64_t tasks = std::uint64_t{1} << 62;
  Master master{ranks(2), false};
  const JobId job = master.open({.tasks = tasks});
  master.read(job, tasks, true, UINT64_MAX);
  EXPECT_TRUE(std::holds_alternative<Give>(*master.next()));
  for (int i = 0; i < 200; ++i) {
    const auto action = master.next();
    ASSERT_TRUE(action);
    if (const auto* back = std::get_if<TakeBack>(&*action)) {
      master.taken_back(back->worker, back->upto);
      continue;
    }
    const Give& give = std::get<Give>(*action);
    ASSERT_GE(give.chunk.tasks.count, 1U);
    ASSERT_LE(give.chunk.tasks.end(), tasks);
    if (give.worker == 2) master.done(2, give.chunk.tasks, nanoseconds{0});
  }
  EXPECT_THAT(sizes_given({.chunk = tasks, .kind = 1}, 1, tasks), ElementsAre(tasks));
}

// ---- input ----

TEST(master, reads_as_much_as_the_next_chunk_needs) {
  Master master{ranks(1), false};
  const JobId job = master.open(chunk(4, 0));
  EXPECT_EQ(text(master.next()), "read 4 of 0");
  master.read(job, 3, false);
  EXPECT_EQ(text(master.next()), "read 1 of 0");
  master.read(job, 1, false);
  EXPECT_EQ(text(master.next()), "give 1 0:0+4");
  EXPECT_EQ(text(master.next()), "nothing") << "no worker could take more";
}

TEST(master, gives_the_rest_once_the_input_has_ended) {
  Master master{ranks(1), false};
  const JobId job = master.open(chunk(4));
  EXPECT_EQ(text(master.next()), "read 4 of 0");
  master.read(job, 2, true);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+2"));
  EXPECT_FALSE(master.is_finished(job));
  master.done(1, {job, 0, 2}, slow);
  EXPECT_TRUE(master.is_finished(job));
}

TEST(master, a_job_without_tasks_is_finished_when_its_input_has_ended) {
  Master master{ranks(1), false};
  const JobId job = master.open({});
  EXPECT_FALSE(master.is_finished(job));
  EXPECT_EQ(text(master.next()), "read 1 of 0");
  master.read(job, 0, true);
  EXPECT_TRUE(master.is_finished(job));
  EXPECT_THAT(all(master), IsEmpty());
}

TEST(master, held_input_is_not_read_and_what_was_read_is_given_without_waiting_for_more) {
  Master master{ranks(1), false};
  const JobId job = master.open(chunk(4));
  master.read(job, 2, false);
  master.hold(job, true);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+2"));
  master.hold(job, false);
  EXPECT_EQ(text(master.next()), "read 4 of 0");
}

TEST(master, window_holds_back_what_nobody_has_room_for) {
  Master master{ranks(4), false};
  const JobId job = open(master, 100, {.chunk = 1, .window = 3});
  EXPECT_THAT(all(master), SizeIs(3));
  master.done(1, {job, 0, 1}, slow);
  EXPECT_THAT(all(master), IsEmpty()) << "done, but not consumed";
  master.consumed(job, 1);
  EXPECT_THAT(all(master), ElementsAre("give 4 0:3+1"));
}

TEST(master, window_is_not_filled_with_crumbs_of_chunks) {
  Master master{ranks(1), false};
  const JobId job = open(master, 100, {.chunk = 4, .window = 6});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+4"));
  master.done(1, {job, 0, 1}, slow);
  master.consumed(job, 1);
  EXPECT_THAT(all(master), IsEmpty());
  master.done(1, {job, 1, 1}, slow);
  master.consumed(job, 1);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:4+4"));
}

TEST(master, window_smaller_than_a_chunk_makes_the_chunk_smaller) {
  Master master{ranks(1), false};
  open(master, 100, {.chunk = 4, .window = 2});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+2"));
  Master none{ranks(1), false};
  open(none, 100, {.chunk = 4, .window = 0});
  EXPECT_THAT(all(none), ElementsAre("give 1 0:0+1")) << "no window at all would be no job at all";
}

// ---- reports ----

TEST(master, a_report_may_be_part_of_a_chunk_or_of_several) {
  Master master{ranks(1), false};
  const JobId job = open(master, 6, chunk(2, 5));
  all(master);
  EXPECT_TRUE(master.done(1, {job, 0, 1}, slow));
  EXPECT_TRUE(master.done(1, {job, 1, 4}, slow));
  EXPECT_EQ(master.leased(1), 1U);
  EXPECT_TRUE(master.done(1, {job, 5, 1}, slow));
  EXPECT_TRUE(master.is_finished(job));
}

TEST(master, a_report_of_what_the_worker_did_not_hold_next_is_a_bug) {
  Master master{ranks(2), false};
  const JobId job = open(master, 4, chunk(2));
  all(master);
  EXPECT_THROW(master.done(1, {job, 1, 1}, slow), std::logic_error);
  EXPECT_THROW(master.done(2, {job, 0, 1}, slow), std::logic_error);
  EXPECT_THROW(master.done(1, {job, 0, 3}, slow), std::logic_error);
}

// ---- failures ----

TEST(master, a_failure_without_retries_is_final) {
  Master master{ranks(2), false};
  const JobId job = open(master, 1, chunk(1));
  all(master);
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::final);
  EXPECT_TRUE(master.is_finished(job));
  EXPECT_THAT(all(master), IsEmpty());
}

TEST(master, a_retry_goes_to_each_other_worker_before_it_goes_to_one_again) {
  Master master{ranks(3), false};
  const JobId job = open(master, 1, {.chunk = 1, .retries = 3});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1"));
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1"));
  EXPECT_EQ(master.failed(2, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 3 0:0+1"));
  EXPECT_EQ(master.failed(3, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1")) << "all have tried: it begins anew";
  EXPECT_EQ(master.attempts(job, 0), 4U);
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::final);
}

TEST(master, a_retry_waits_for_a_worker_that_has_not_tried_it) {
  Master master{ranks(2), false};
  const JobId job = open(master, 2, {.chunk = 1, .prefetch = 0, .retries = 1});
  all(master);
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), IsEmpty()) << "worker 2 is busy";
  EXPECT_TRUE(master.done(2, {job, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1"));
}

TEST(master, a_retry_goes_to_the_same_worker_where_the_others_are_lost) {
  Master master{ranks(2), false};
  const JobId job = open(master, 1, {.chunk = 1, .retries = 1});
  all(master);
  EXPECT_TRUE(master.lost(2));
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1"));
}

TEST(master, a_retry_joins_workers_that_all_have_enough) {
  Master master{ranks(2), false};
  const JobId job = open(master, 1, {.chunk = 1, .retries = 1});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1"));
  open(master, 100, chunk(1, 3));
  all(master);
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), testing::Contains("give 2 0:0+1"));
}

TEST(master, a_retry_that_is_taken_back_still_goes_to_another_worker_only) {
  Master master{ranks(2), false};
  const JobId job = open(master, 2, {.chunk = 1, .retries = 1});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1", "give 2 0:1+1"));
  EXPECT_EQ(master.failed(1, job, 0), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1", "take back from 2 below 2"));
  EXPECT_TRUE(master.taken_back(2, 1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1")) << "and is not taken back again and again";
}

TEST(master, forgets_the_trouble_of_a_task_with_its_end) {
  Master master{ranks(3), false};
  const JobId job = open(master, 2, {.chunk = 1, .retries = 1, .crash_limit = 1});
  all(master);
  master.failed(1, job, 0);
  master.failed(2, job, 1);
  EXPECT_THAT(all(master), ElementsAre("give 3 0:0+1", "give 1 0:1+1"));
  for (const std::uint64_t task : {0, 1}) EXPECT_EQ(master.attempts(job, task), 2U);
  EXPECT_TRUE(master.done(3, {job, 0, 1}, slow));
  EXPECT_TRUE(master.lost(1));
  for (const std::uint64_t task : {0, 1}) EXPECT_EQ(master.attempts(job, task), 1U);
}

// ---- losses ----

TEST(master, a_lost_worker_is_not_heard_again) {
  Master master = with_three_tasks_on_worker_1(2);
  EXPECT_TRUE(master.lost(1));
  EXPECT_FALSE(master.lost(1));
  EXPECT_FALSE(master.done(1, {0, 0, 3}, slow));
  EXPECT_EQ(master.failed(1, 0, 0), Master::Verdict::ignored);
  EXPECT_FALSE(master.taken_back(1, 0));
  EXPECT_FALSE(master.is_live(1));
  EXPECT_EQ(master.live_workers(), 1);
}

TEST(master, tasks_lost_with_their_worker_run_one_by_one_as_any_may_be_the_cause) {
  Master master = with_three_tasks_on_worker_1(3);
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated", "give 3 0:1+1 carefully, isolated"));
  EXPECT_TRUE(master.done(3, {0, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 3 0:2+1 carefully, isolated"));
}

TEST(master, a_suspect_gets_no_company) {
  Master master = with_three_tasks_on_worker_1(2);
  EXPECT_TRUE(master.done(1, {0, 0, 2}, slow));
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1 carefully, isolated"));
  open(master, 10, chunk(1));
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_TRUE(master.done(2, {0, 2, 1}, slow));
  EXPECT_THAT(all(master), SizeIs(2));
}

TEST(master, suspects_come_after_everything_else) {
  Master master{ranks(2), false};
  const JobId job = open(master, 6, chunk(1, 0));
  all(master);
  EXPECT_TRUE(master.lost(1));
  for (const std::uint64_t task : {1, 2, 3, 4, 5}) {
    EXPECT_THAT(all(master), SizeIs(task == 1 ? 0 : 1)) << "the last worker has all else to do";
    EXPECT_TRUE(master.done(2, {job, task, 1}, slow));
  }
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated"));
}

TEST(master, a_suspect_runs_when_nothing_else_can_as_the_window_is_full) {
  Master master{ranks(2), false};
  const JobId job = open(master, 10, {.chunk = 1, .prefetch = 0, .window = 2});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1", "give 2 0:1+1"));
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), IsEmpty()) << "worker 2 is busy";
  EXPECT_TRUE(master.done(2, {job, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated")) << "whose result the others wait for";
}

TEST(master, a_suspect_waits_for_what_is_about_to_come_back) {
  Master master{ranks(3), false};
  const JobId job = open(master, 9, {.chunk = 4, .prefetch = 0});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+4", "give 2 0:4+4", "give 3 0:8+1"));
  EXPECT_TRUE(master.lost(1));
  EXPECT_TRUE(master.done(3, {job, 8, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("take back from 2 below 4"));
  EXPECT_TRUE(master.taken_back(2, 1));
  EXPECT_THAT(all(master), ElementsAre("give 3 0:5+2"));
}

TEST(master, a_suspect_that_kills_its_own_process_only_is_given_up_and_its_worker_goes_on) {
  Master master = with_three_tasks_on_worker_1(2);
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated"));
  EXPECT_TRUE(master.crashed(2, 0, 0));
  EXPECT_THAT(all(master),
              ElementsAre("give up 0:0+1 on 2, crashes 2, attempts 2", "give 2 0:1+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 2, 1}, slow));
  EXPECT_TRUE(master.is_finished(0));
  EXPECT_EQ(master.live_workers(), 1);
}

TEST(master, below_the_limit_a_suspect_that_crashed_comes_after_those_that_did_not) {
  Master master = with_three_tasks_on_worker_1(2, {.crash_limit = 3});
  EXPECT_TRUE(master.lost(1));
  all(master);
  EXPECT_TRUE(master.crashed(2, 0, 0));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:1+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 2, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated"));
}

TEST(master, what_suits_no_process_of_its_own_runs_on_a_worker_after_all_others) {
  Master master = with_three_tasks_on_worker_1(2);
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated"));
  EXPECT_TRUE(master.undecided(2, 0, 0));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:1+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1 carefully, isolated"));
  EXPECT_TRUE(master.crashed(2, 0, 2));
  EXPECT_THAT(all(master), ElementsAre("give up 0:2+1 on 2, crashes 2, attempts 2", "give 2 0:0+1 carefully"));
  EXPECT_EQ(master.attempts(0, 0), 2U) << "but for the worker that died, perhaps of another";
  EXPECT_TRUE(master.done(2, {0, 0, 1}, slow));
  EXPECT_TRUE(master.is_finished(0));
}

TEST(master, an_isolated_job_runs_each_task_in_a_process_of_its_own) {
  Master master{ranks(1), false};
  const JobId job = open(master, 2, {.chunk = 1, .prefetch = 0, .isolated = true});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1, isolated"));
  EXPECT_TRUE(master.crashed(1, job, 0));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:1+1, isolated"));
  EXPECT_TRUE(master.done(1, {job, 1, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1 carefully, isolated"));
  EXPECT_TRUE(master.crashed(1, job, 0));
  EXPECT_THAT(all(master), ElementsAre("give up 0:0+1 on 1, crashes 2, attempts 2"));
}

TEST(master, a_task_is_given_up_when_the_limit_of_workers_died_over_it) {
  Master master = with_three_tasks_on_worker_1(3, {.crash_limit = 2});
  EXPECT_TRUE(master.lost(1));
  all(master);
  EXPECT_TRUE(master.lost(2));
  EXPECT_THAT(all(master), ElementsAre("give up 0:0+1 on 2, crashes 2, attempts 2"));
  EXPECT_TRUE(master.done(3, {0, 1, 1}, slow)) << "the others go on";
  EXPECT_THAT(all(master), ElementsAre("give 3 0:2+1 carefully, isolated"));
  EXPECT_TRUE(master.done(3, {0, 2, 1}, slow));
  EXPECT_TRUE(master.is_finished(0));
}

TEST(master, a_task_that_its_worker_held_alone_is_known_to_be_the_cause) {
  Master master{ranks(2), false};
  open(master, 1, {.chunk = 1, .crash_limit = 1});
  all(master);
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give up 0:0+1 on 1, crashes 1, attempts 1"));
}

TEST(master, a_limit_of_one_gives_up_no_task_that_was_in_company) {
  Master master = with_three_tasks_on_worker_1(2, {.crash_limit = 1});
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:0+1 carefully, isolated"));
  EXPECT_TRUE(master.done(2, {0, 0, 1}, slow));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:1+1 carefully, isolated"));
}

TEST(master, a_task_is_not_given_up_for_the_deed_of_one_that_came_after_it) {
  Master master = with_three_tasks_on_worker_1(4, {.crash_limit = 2});
  // Task 1 kills. The result of task 0 is lost with worker 2, so task 0 is all that is known to have been there.
  EXPECT_TRUE(master.lost(1));
  EXPECT_EQ(text(master.next()), "give 2 0:0+1 carefully, isolated");
  EXPECT_EQ(text(master.next()), "give 3 0:1+1 carefully, isolated") << "never to worker 2, beside task 0";
}

TEST(master, a_suspect_that_fails_stays_a_suspect_and_goes_elsewhere_first) {
  Master master = with_three_tasks_on_worker_1(3, {.retries = 1});
  EXPECT_TRUE(master.done(1, {0, 0, 2}, slow));
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1 carefully, isolated"));
  EXPECT_EQ(master.failed(2, 0, 2), Master::Verdict::retry);
  EXPECT_THAT(all(master), ElementsAre("give 3 0:2+1 carefully, isolated"));
  EXPECT_TRUE(master.lost(3));
  EXPECT_THAT(all(master), ElementsAre("give up 0:2+1 on 3, crashes 2, attempts 3"));
}

TEST(master, without_workers_nothing_happens) {
  Master master = with_three_tasks_on_worker_1(1);
  const JobId other = master.open({});
  EXPECT_TRUE(master.lost(1));
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_FALSE(master.is_finished(0));
  EXPECT_FALSE(master.is_finished(other));
  EXPECT_EQ(master.live_workers(), 0);
}

// ---- the master's own rank ----

TEST(master, own_rank_works_when_it_is_asked) {
  Master master{ranks(1), true};
  open(master, 10, chunk(1));
  EXPECT_THAT(all(master), SizeIs(2)) << "all for worker 1";
  EXPECT_EQ(text(master.next_here()), "give 0 0:2+1");
  EXPECT_EQ(text(master.next_here()), "nothing") << "until that is done";
  EXPECT_TRUE(master.done(0, {0, 2, 1}, slow));
  EXPECT_EQ(text(master.next_here()), "give 0 0:3+1");
}

TEST(master, own_rank_takes_little_at_a_time_as_it_hears_nothing_meanwhile) {
  Master master{{}, true};
  open(master, 1000, chunk(500));
  EXPECT_EQ(text(master.next_here()), "give 0 0:0+1");
  master.done(0, {0, 0, 1}, nanoseconds{10'000});
  EXPECT_EQ(text(master.next_here()), "give 0 0:1+20") << "200 us";
}

TEST(master, own_rank_never_runs_a_suspect) {
  Master master = Master{ranks(1), true};
  open(master, 2, chunk(2));
  all(master);
  EXPECT_TRUE(master.lost(1));
  EXPECT_EQ(text(master.next_here()), "nothing");
  EXPECT_THAT(all(master),
              ElementsAre("give up 0:0+1 on -1, crashes 1, attempts 1", "give up 0:1+1 on -1, crashes 1, attempts 1"));
  EXPECT_TRUE(master.is_finished(0));
}

TEST(master, own_rank_runs_suspects_in_processes_of_their_own_once_no_worker_is_left) {
  Master master{ranks(2), true};
  master.isolate_here(false);
  open(master, 5, {.chunk = 2, .prefetch = 0});
  EXPECT_THAT(all(master), SizeIs(2));
  EXPECT_TRUE(master.lost(1));
  EXPECT_EQ(text(master.next_here()), "give 0 0:4+1") << "on the rank itself, as ever";
  EXPECT_TRUE(master.done(0, {0, 4, 1}, slow));
  EXPECT_EQ(text(master.next_here()), "take back from 2 below 2");
  EXPECT_TRUE(master.taken_back(2, 2));
  EXPECT_EQ(text(master.next_here()), "nothing") << "suspects are for the worker that is left";
  EXPECT_TRUE(master.lost(2));
  for (const int task : {0, 1, 2}) {
    EXPECT_THAT(all(master), IsEmpty());
    EXPECT_EQ(text(master.next_here()), "give 0 0:" + std::to_string(task) + "+1 carefully, isolated");
    EXPECT_TRUE(master.done(0, {0, static_cast<std::uint64_t>(task), 1}, slow));
  }
  EXPECT_EQ(text(master.next_here()), "give 0 0:3+1 carefully, isolated");
  EXPECT_TRUE(master.undecided(0, 0, 3));
  EXPECT_THAT(all(master), ElementsAre("give up 0:3+1 on -1, crashes 1, attempts 2")) << "never on the rank itself";
  EXPECT_TRUE(master.is_finished(0));
}

TEST(master, own_rank_that_takes_over_runs_everything_in_processes_of_their_own) {
  Master master{ranks(1), false};
  open(master, 5, chunk(2, 0));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+2"));
  EXPECT_TRUE(master.lost(1));
  master.isolate_here(true);
  master.set_here(true);
  std::vector<std::string> given;
  while (const auto action = master.next_here()) {
    given.push_back(text(action));
    EXPECT_TRUE(master.done(0, std::get<Give>(*action).chunk.tasks, slow));
  }
  EXPECT_THAT(given, ElementsAre("give 0 0:2+1, isolated", "give 0 0:3+1, isolated", "give 0 0:4+1, isolated",
                                 "give 0 0:0+1 carefully, isolated", "give 0 0:1+1 carefully, isolated"));
  EXPECT_TRUE(master.is_finished(0));
}

TEST(master, what_is_taken_back_for_the_own_rank_is_not_given_to_where_it_came_from) {
  Master master{ranks(1), true};
  open(master, 2, chunk(1));
  EXPECT_THAT(all(master), SizeIs(2));
  EXPECT_EQ(text(master.next_here()), "take back from 1 below 2");
  EXPECT_TRUE(master.taken_back(1, 1));
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_EQ(text(master.next_here()), "give 0 0:1+1");
}

// ---- taking back ----

TEST(master, take_back_from_the_worker_with_most_tasks_when_another_is_idle) {
  Master master{ranks(3), false};
  const JobId job = open(master, 20, chunk(4, 1));
  EXPECT_THAT(all(master), SizeIs(5)) << "worker 1 and 2 have 8 tasks, worker 3 has 4";
  EXPECT_TRUE(master.done(1, {job, 0, 2}, slow));
  EXPECT_TRUE(master.done(3, {job, 8, 4}, slow));
  EXPECT_EQ(text(master.next()), "take back from 2 below 8");
}

TEST(master, take_back_returns_tasks_in_order_and_shares_them) {
  Master master{ranks(2), false};
  const JobId job = open(master, 9, chunk(4, 2));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+4", "give 2 0:4+4", "give 1 0:8+1"));
  EXPECT_TRUE(master.done(2, {job, 4, 4}, slow));
  EXPECT_THAT(all(master), ElementsAre("take back from 1 below 5"));
  EXPECT_TRUE(master.taken_back(1, 2));
  EXPECT_EQ(master.leased(1), 2U);
  EXPECT_THAT(all(master), ElementsAre("give 2 0:2+1", "give 1 0:3+1", "give 2 0:8+1"));
}

TEST(master, take_back_is_asked_once_until_the_worker_gets_more) {
  Master master{ranks(2), false};
  open(master, 2, chunk(2));
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+2", "take back from 1 below 2"));
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_TRUE(master.taken_back(1, 2)) << "both have begun";
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_FALSE(master.taken_back(1, 2)) << "the same answer twice";
}

TEST(master, take_back_is_not_for_single_tasks_or_for_what_is_done_in_no_time) {
  Master master{ranks(2), false};
  open(master, 1, {.chunk = 1, .kind = 1});
  EXPECT_THAT(all(master), ElementsAre("give 1 0:0+1"));
  EXPECT_TRUE(master.done(1, {0, 0, 1}, nanoseconds{1000}));
  open(master, 100, {.chunk = 100, .kind = 1});
  EXPECT_THAT(all(master), ElementsAre("give 2 1:0+100")) << "100 us";
}

TEST(master, a_worker_that_is_to_give_back_gets_nothing_until_it_has_answered) {
  Master master{ranks(2), false};
  open(master, 2, chunk(2));
  all(master);
  open(master, 4, chunk(1, 5));
  EXPECT_THAT(all(master), Each(testing::StartsWith("give 2")));
}

// ---- cancelling ----

TEST(master, a_cancelled_job_gives_nothing_and_takes_back_what_it_gave) {
  Master master{ranks(1), false};
  const JobId job = open(master, 9, chunk(3));
  EXPECT_THAT(all(master), SizeIs(2));
  master.cancel(job);
  EXPECT_THAT(all(master), ElementsAre("take back from 1 below 6"));
  EXPECT_TRUE(master.taken_back(1, 2));
  EXPECT_FALSE(master.is_finished(job)) << "two have begun";
  EXPECT_TRUE(master.done(1, {job, 0, 2}, slow));
  EXPECT_TRUE(master.is_finished(job));
  EXPECT_THAT(all(master), IsEmpty());
}

TEST(master, a_cancelled_job_is_not_retried_and_its_suspects_are_forgotten) {
  Master master{ranks(3), false};
  const JobId job = open(master, 4, {.chunk = 2, .prefetch = 0, .retries = 5});
  all(master);
  EXPECT_TRUE(master.lost(1));
  master.cancel(job);
  EXPECT_EQ(master.failed(2, job, 2), Master::Verdict::ignored);
  EXPECT_TRUE(master.done(2, {job, 3, 1}, slow));
  EXPECT_TRUE(master.is_finished(job));
  EXPECT_THAT(all(master), IsEmpty());
}

TEST(master, a_cancelled_job_gives_up_nothing) {
  Master master{ranks(2), false};
  const JobId job = open(master, 1, {.chunk = 1, .crash_limit = 1});
  all(master);
  EXPECT_TRUE(master.lost(1));
  EXPECT_FALSE(master.is_finished(job)) << "its GiveUp was not handed out";
  master.cancel(job);
  EXPECT_THAT(all(master), IsEmpty());
}

TEST(master, a_closed_job_is_forgotten) {
  Master master{ranks(1), false};
  const JobId job = open(master, 1, chunk(1));
  all(master);
  EXPECT_TRUE(master.done(1, {job, 0, 1}, slow));
  master.close(job);
  EXPECT_THAT(all(master), IsEmpty());
  EXPECT_NE(open(master, 1), job);
}

}  // namespace
}  // namespace echelon::farm
