// The worker's decisions, one a test; and the one that two threads take together.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/farm/worker.hpp>

namespace echelon::farm {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;

Chunk run(JobId job, std::uint64_t first, std::uint64_t count, std::uint64_t sequence, bool careful = false) {
  return {{job, first, count}, sequence, careful};
}

/// Sizes of the runs of one chunk of 96 tasks, each of which takes `time`.
std::vector<std::uint64_t> run_sizes(nanoseconds time, bool careful = false) {
  Worker worker;
  worker.receive(run(0, 0, 96, 0, careful));
  std::vector<std::uint64_t> sizes;
  while (const auto begun = worker.begin()) {
    sizes.push_back(begun->tasks.count);
    worker.ended(begun->tasks.count, begun->tasks.count * time);
  }
  return sizes;
}

TEST(worker, begins_tasks_in_the_order_in_which_they_were_sent) {
  Worker worker;
  EXPECT_EQ(worker.begin(), std::nullopt);
  worker.receive(run(3, 10, 2, 0));
  worker.receive(run(1, 5, 1, 2));
  EXPECT_EQ(worker.begin(), run(3, 10, 1, 0));
  EXPECT_EQ(worker.begin(), run(3, 11, 1, 1));
  EXPECT_EQ(worker.begin(), run(1, 5, 1, 2));
  EXPECT_EQ(worker.begin(), std::nullopt);
}

TEST(worker, runs_grow_fourfold_to_what_takes_the_run_time) {
  EXPECT_THAT(run_sizes(nanoseconds{10}), ElementsAre(1, 4, 16, 64, 11));
  EXPECT_THAT(run_sizes(microseconds{2}), ElementsAre(1, 4, 10, 10, 10, 10, 10, 10, 10, 10, 10, 1));
}

TEST(worker, long_tasks_are_begun_one_by_one) {
  EXPECT_EQ(run_sizes(microseconds{30}), std::vector<std::uint64_t>(96, 1));
}

TEST(worker, a_suspect_is_begun_alone) {
  EXPECT_EQ(run_sizes(nanoseconds{10}, true), std::vector<std::uint64_t>(96, 1));
}

TEST(worker, another_jobs_tasks_are_not_assumed_to_be_as_short) {
  Worker worker;
  worker.receive(run(0, 0, 1, 0));
  worker.receive(run(1, 0, 9, 1));
  EXPECT_TRUE(worker.begin());
  worker.ended(1, nanoseconds{10});
  EXPECT_EQ(worker.begin(), run(1, 0, 1, 1));
}

TEST(worker, a_run_ends_with_its_chunk) {
  Worker worker;
  worker.receive(run(0, 0, 2, 0));
  worker.receive(run(0, 2, 50, 2));
  EXPECT_EQ(worker.begin(), run(0, 0, 1, 0));
  worker.ended(1, nanoseconds{10});
  EXPECT_EQ(worker.begin(), run(0, 1, 1, 1));
  worker.ended(1, nanoseconds{10});
  EXPECT_EQ(worker.begin(), run(0, 2, 16, 2));
}

TEST(worker, take_back_leaves_what_has_begun) {
  Worker worker;
  worker.receive(run(0, 0, 5, 0));
  EXPECT_EQ(worker.begin(), run(0, 0, 1, 0));
  EXPECT_EQ(worker.begin(), run(0, 1, 1, 1));
  EXPECT_EQ(worker.take_back(5), 2U);
  EXPECT_EQ(worker.begin(), std::nullopt);
}

TEST(worker, take_back_of_nothing_returns_the_limit) {
  Worker worker;
  worker.receive(run(0, 0, 1, 0));
  EXPECT_TRUE(worker.begin());
  EXPECT_EQ(worker.take_back(1), 1U);
  EXPECT_EQ(worker.take_back(0), 0U) << "and changes nothing";
  worker.receive(run(0, 1, 1, 1));
  EXPECT_EQ(worker.begin(), run(0, 1, 1, 1));
}

TEST(worker, take_back_includes_what_is_still_under_way) {
  Worker worker;
  EXPECT_EQ(worker.take_back(4), 0U);
  worker.receive(run(0, 0, 3, 0));
  worker.receive(run(0, 3, 1, 3));
  EXPECT_EQ(worker.begin(), std::nullopt);
  worker.receive(run(0, 1, 3, 4));
  EXPECT_EQ(worker.begin(), run(0, 1, 1, 4)) << "sent after that";
}

TEST(worker, take_back_below_a_limit_leaves_what_was_sent_later) {
  Worker worker;
  worker.receive(run(0, 0, 4, 0));
  EXPECT_EQ(worker.take_back(2), 0U);
  EXPECT_EQ(worker.begin(), run(0, 2, 1, 2));
}

TEST(worker, reports_when_nothing_is_left_to_do_or_after_the_report_time) {
  Worker worker;
  worker.receive(run(0, 0, 2, 0));
  EXPECT_TRUE(worker.begin());
  EXPECT_FALSE(worker.must_report(false, nanoseconds{0}));
  EXPECT_TRUE(worker.must_report(true, nanoseconds{0})) << "careful";
  EXPECT_TRUE(worker.must_report(false, Worker::report_time));
  EXPECT_TRUE(worker.begin());
  EXPECT_TRUE(worker.must_report(false, nanoseconds{0}));
}

TEST(worker, reports_once_begin_finds_that_the_rest_was_taken_back) {
  Worker worker;
  worker.receive(run(0, 0, 2, 0));
  EXPECT_TRUE(worker.begin());
  EXPECT_EQ(worker.take_back(2), 1U);
  EXPECT_EQ(worker.begin(), std::nullopt);
  EXPECT_TRUE(worker.must_report(false, nanoseconds{0}));
}

// One thread works and another takes back, a few tasks at a time: they race for the next ones.
TEST(worker, each_task_is_begun_or_taken_back_whatever_two_threads_do) {
  constexpr std::uint64_t chunks = 40'000;
  constexpr std::uint64_t size = 64;
  Worker worker;
  std::atomic<std::uint64_t> received{0};
  std::vector<char> fates(chunks * size, 0);  // times that it was begun or taken back
  std::thread taker{[&] {
    for (std::uint64_t upto = 8; upto <= chunks * size; upto += 8) {
      for (int looks = 1; received < upto; ++looks) {
        if (looks % 4096 == 0) std::this_thread::yield();
      }
      for (std::uint64_t task = worker.take_back(upto); task < upto; ++task) ++fates[task];
    }
  }};
  for (std::uint64_t first = 0; first < chunks * size; first += size) {
    worker.receive(run(0, first, size, first));
    received = first + size;
    while (const auto one = worker.begin()) {
      for (std::uint64_t i = 0; i < one->tasks.count; ++i) ++fates[one->sequence + i];
      worker.ended(one->tasks.count, one->tasks.count * microseconds{20});
    }
  }
  taker.join();
  EXPECT_EQ(std::ranges::count(fates, 1), std::ssize(fates));
}

}  // namespace
}  // namespace echelon::farm
