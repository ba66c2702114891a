// What tasks throw, and what becomes of the others.
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/measure/machine.hpp>
#include <echelon/pool/pool.hpp>

#include "support/marks.hpp"
#include "support/mpi_session.hpp"

namespace echelon::pool {
namespace {

using test::session;
using testing::HasSubstr;

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

/// The error of one task.
template <typename F>
TaskError error_of(Pool& pool, F function, TaskOptions options = {}) {
  auto outcomes = pool.outcomes(function, std::vector{0}, options);
  EXPECT_EQ(outcomes.size(), 1);
  if (outcomes.at(0).ok()) throw std::logic_error("the task did not fail");
  return outcomes[0].error();
}

int throw_at_3(int x) {
  if (x == 3) throw std::out_of_range("three");
  return x;
}

struct Own {
  int value;
};
class OwnError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct FailsEveryThird {
  std::string path;
  int operator()(int x) const {
    test::leave_mark(path);
    if (x % 3 == 0) throw std::runtime_error("a third");
    return 2 * x;
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& path;
  }
};

struct FailsFirst {
  std::string path;
  std::string operator()(int x) const {
    if (x == 0) throw std::runtime_error("the first");
    test::leave_mark(path);
    return std::to_string(x);
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& path;
  }
};

struct FailsToBeWritten {
  std::string before;
  int value = 0;
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& before;
    if (value == 2 && Archive::is_saving::value) throw std::range_error("half");
    archive& value;
  }
};

struct CannotBePacked {
  int value = 0;
  std::string text;
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    if (Archive::is_saving::value && value == 2) throw std::range_error("unpackable");
    archive& value& text;
  }
};

TEST(Errors, OfStandardTypesComeHomeWithTypeAndMessage) {
  Pool pool{session()};
  const TaskError range = error_of(pool, [](int) -> int { throw std::out_of_range("too far"); });
  EXPECT_EQ(range.type, "std::out_of_range");
  EXPECT_EQ(range.message, "too far");
  const TaskError own = error_of(pool, [](int) -> int { throw OwnError("mine"); });
  EXPECT_THAT(own.type, HasSubstr("OwnError"));
  EXPECT_EQ(own.message, "mine");
}

TEST(Errors, CanBeOfAnyType) {
  Pool pool{session()};
  const TaskError number = error_of(pool, [](int) -> int { throw 42; });
  EXPECT_EQ(number.type, "int");
  EXPECT_EQ(number.message, "42");
  const TaskError text = error_of(pool, [](int) -> int { throw "plain"; });
  EXPECT_EQ(text.type, "char const*");
  EXPECT_EQ(text.message, "plain");
  const TaskError string = error_of(pool, [](int) -> int { throw std::string{"a string"}; });
  EXPECT_EQ(string.message, "a string");
  const TaskError own = error_of(pool, [](int) -> int { throw Own{1}; });
  EXPECT_THAT(own.type, HasSubstr("Own"));
  EXPECT_EQ(own.message, "");
}

struct Silent : std::exception {
  const char* what() const noexcept override { return nullptr; }
};

TEST(Errors, MayHaveNoText) {
  Pool pool{session()};
  const TaskError silent = error_of(pool, [](int) -> int { throw Silent{}; });
  EXPECT_THAT(silent.type, HasSubstr("Silent"));
  EXPECT_EQ(silent.message, "");
  const TaskError text = error_of(pool, [](int) -> int { throw static_cast<const char*>(nullptr); });
  EXPECT_EQ(text.message, "");
}

TEST(Errors, SayWhichTaskAndWhere) {
  Pool pool{session()};
  try {
    (void)pool.map(throw_at_3, numbers(10));
    FAIL() << "nothing was thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.index, 3);
    EXPECT_EQ(error.host, measure::host_name());
    EXPECT_EQ(error.attempts, 1);
    if (session().size() == 1) {
      EXPECT_EQ(error.rank, 0);
    } else {
      EXPECT_GE(error.rank, 1);
      EXPECT_LT(error.rank, session().size());
    }
    EXPECT_EQ(error.what(), "task 3 failed on rank " + std::to_string(error.rank) + " (" + error.host +
                                "): std::out_of_range: three");
  }
}

TEST(Errors, OfMemoryThatIsNotThereAreTheTasksAlone) {
  Pool pool{session()};
  const auto huge = [](int x) {
    std::vector<char> much(x == 1 ? std::size_t{1} << 60 : 1);
    return static_cast<int>(much.size());
  };
  const auto outcomes = pool.outcomes(huge, numbers(3));
  EXPECT_TRUE(outcomes[0].ok());
  ASSERT_FALSE(outcomes[1].ok());
  EXPECT_EQ(outcomes[1].error().type, "std::bad_alloc");
  EXPECT_TRUE(outcomes[2].ok());
}

TEST(Errors, AreNotMadeOfNan) {
  Pool pool{session()};
  const auto roots = pool.map([](double x) { return std::sqrt(x); }, std::vector{4.0, -1.0});
  EXPECT_EQ(roots[0], 2);
  EXPECT_TRUE(std::isnan(roots[1]));
}

TEST(Errors, DoNotStopTheRestOfAChunk) {
  const test::Marks marks;
  Pool pool{session()};
  const auto outcomes = pool.outcomes(FailsEveryThird{marks.path()}, numbers(100), {.chunk = 10});
  ASSERT_EQ(outcomes.size(), 100);
  for (int i = 0; i < 100; ++i) {
    const auto& outcome = outcomes[static_cast<std::size_t>(i)];
    EXPECT_EQ(outcome.ok(), i % 3 != 0) << i;
    if (outcome.ok()) {
      EXPECT_EQ(outcome.value(), 2 * i);
    } else {
      EXPECT_EQ(outcome.error().index, i);
      EXPECT_THROW((void)outcome.value(), TaskError);
    }
  }
  EXPECT_EQ(marks.count(), 100);
}

TEST(Errors, DoNotStopOtherTasksOfAMapThatThrows) {
  const test::Marks marks;
  Pool pool{session()};
  EXPECT_THROW((void)pool.map(FailsFirst{marks.path()}, numbers(50), {.chunk = 5}), TaskError);
  EXPECT_EQ(marks.count(), 49);
}

TEST(Errors, OfResultsHalfWrittenLeaveTheOthersWhole) {
  Pool pool{session()};
  const auto outcomes = pool.outcomes(
      [](int x) {
        FailsToBeWritten result;
        result.before = std::string(1000, 'x');
        result.value = x;
        return result;
      },
      numbers(5), {.chunk = 5});
  for (int i = 0; i < 5; ++i) {
    const auto& outcome = outcomes[static_cast<std::size_t>(i)];
    if (i == 2) {
      ASSERT_FALSE(outcome.ok());
      EXPECT_EQ(outcome.error().message, "half");
    } else {
      ASSERT_TRUE(outcome.ok());
      EXPECT_EQ(outcome.value().value, i);
      EXPECT_EQ(outcome.value().before, std::string(1000, 'x'));
    }
  }
}

TEST(Errors, MapThrowsTheLowestOneInEachRun) {
  Pool pool{session()};
  for (int run = 0; run < 20; ++run) {
    const auto late_first = [run](int x) {
      if (x % 7 != 3) return x;
      usleep(static_cast<useconds_t>((x * 37 + run * 101) % 5 * 1000 + (x == 3 ? 4000 : 0)));
      throw std::runtime_error(std::to_string(x));
    };
    try {
      (void)pool.map(late_first, numbers(40), {.chunk = 1});
      FAIL() << "nothing was thrown";
    } catch (const TaskError& error) {
      EXPECT_EQ(error.index, 3);
      EXPECT_EQ(error.message, "3");
    }
  }
}

// ---- what cannot be unpacked ----

/// Cannot be read where it has an unlucky number.
struct Unlucky {
  int value = 0;
  std::string text;
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& value& text;
    if (Archive::is_loading::value && value == 13) throw std::domain_error("unlucky");
  }
  int operator()(int x) const { return x + value; }
};

Unlucky make_unlucky(int x) { return {x, std::string(20, 'u')}; }

TEST(WhatCannotBeUnpacked, AmongResultsIsTheErrorOfItsTask) {
  Pool pool{session()};
  const auto outcomes = pool.outcomes(make_unlucky, numbers(20), {.chunk = 20});
  for (int i = 0; i < 20; ++i) {
    const auto& outcome = outcomes[static_cast<std::size_t>(i)];
    ASSERT_EQ(outcome.ok(), i != 13) << i;
    if (outcome.ok()) {
      EXPECT_EQ(outcome.value().value, i);
    } else {
      EXPECT_EQ(outcome.error().type, "std::domain_error");
      EXPECT_EQ(outcome.error().message, "unlucky");
      EXPECT_EQ(outcome.error().attempts, 1);
    }
  }
  EXPECT_EQ(pool.apply([](int x) { return x; }, 1), 1) << "the pool goes on";
}

TEST(WhatCannotBeUnpacked, IsTheErrorOfEveryKindOfCall) {
  Pool pool{session()};
  EXPECT_THROW((void)pool.apply(make_unlucky, 13), TaskError);
  EXPECT_THROW((void)pool.apply_async(make_unlucky, 13).get(), TaskError);
  EXPECT_THROW((void)pool.map_async(make_unlucky, std::vector{12, 13}).get(), TaskError);
  EXPECT_THROW((void)pool.map(make_unlucky, std::vector{12, 13}), TaskError);
  auto results = pool.imap(make_unlucky, std::vector{12, 13}, {.chunk = 1});
  EXPECT_EQ(results.next()->value, 12);
  EXPECT_THROW((void)results.next(), TaskError);
  EXPECT_EQ(results.next().has_value(), false);
}

TEST(WhatCannotBeUnpacked, AmongArgumentsIsTheErrorOfItsTask) {
  Pool pool{session()};
  const auto outcomes = pool.outcomes([](const Unlucky& one) { return one.value; },
                                      std::vector<Unlucky>{{12, "a"}, {13, "b"}, {14, "c"}}, {.chunk = 3});
  EXPECT_EQ(outcomes[0].value(), 12);
  ASSERT_FALSE(outcomes[1].ok());
  EXPECT_EQ(outcomes[1].error().message, "unlucky");
  EXPECT_EQ(outcomes[2].value(), 14);
}

TEST(WhatCannotBeUnpacked, AsAFunctionFailsAllItsTasks) {
  Pool pool{session()};
  const auto outcomes = pool.outcomes(Unlucky{13, ""}, numbers(10));
  ASSERT_EQ(outcomes.size(), 10);
  for (const auto& outcome : outcomes) {
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().type, "std::domain_error");
  }
  EXPECT_EQ(pool.map(Unlucky{1, ""}, numbers(3)), (std::vector{1, 2, 3})) << "the pool goes on";
}

// ---- inputs that throw ----

TEST(AnInputThatThrows, EndsMapWithWhatItThrew) {
  const test::Marks marks;
  Pool pool{session()};
  const auto input = std::views::iota(0, 100) | std::views::transform([](int x) {
                       if (x == 50) throw std::overflow_error("no more input");
                       return x;
                     });
  try {
    (void)pool.map(test::MarkAndReturn{marks.path()}, input);
    FAIL() << "nothing was thrown";
  } catch (const std::overflow_error& error) {
    EXPECT_STREQ(error.what(), "no more input");
  }
  EXPECT_EQ(marks.count(), 50) << "what had been read was run";
  EXPECT_THROW((void)pool.map_async(test::MarkAndReturn{marks.path()}, input), std::overflow_error);
  EXPECT_EQ(marks.count(), 50) << "map_async reads everything first";
}

TEST(AnInputThatThrows, WhereAnElementCannotBePackedDoesSoToo) {
  Pool pool{session()};
  const std::vector<CannotBePacked> input{{0, "a"}, {1, "b"}, {2, "c"}};
  EXPECT_THROW((void)pool.map([](const CannotBePacked& x) { return x.value; }, input), std::range_error);
}

// ---- retries ----

struct FailsAt {
  std::string path;
  std::size_t times;  // fails so often
  int operator()(int x) const {
    const std::string mine = path + std::to_string(x);
    test::leave_mark(mine, std::to_string(getpid()));
    std::size_t before = 0;
    std::ifstream in{mine};
    for (std::string line; std::getline(in, line);) ++before;
    if (before <= times) throw std::runtime_error("attempt " + std::to_string(before));
    return x;
  }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& path& times;
  }
};

std::vector<std::string> attempts_at(const test::Marks& marks, int task) {
  std::vector<std::string> all;
  std::ifstream in{marks.path() + std::to_string(task)};
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

TEST(Retries, ThatSucceedLeaveNoError) {
  const test::Marks marks;
  Pool pool{session()};
  EXPECT_EQ(pool.map(FailsAt{marks.path(), 2}, numbers(10), {.chunk = 3, .retries = 2}), numbers(10));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(attempts_at(marks, i).size(), 3);
}

TEST(Retries, AreSoManyAndThenTheLastErrorCounts) {
  const test::Marks marks;
  Pool pool{session()};
  const TaskError error = error_of(pool, FailsAt{marks.path(), 100}, {.retries = 3});
  EXPECT_EQ(error.attempts, 4);
  EXPECT_EQ(error.message, "attempt 4");
  EXPECT_THAT(error.what(), HasSubstr(" after 4 attempts: "));
  EXPECT_EQ(attempts_at(marks, 0).size(), 4);
}

TEST(Retries, RunOnEachOtherWorkerBeforeTheSameOneAgain) {
  const test::Marks marks;
  Pool pool{session()};
  const int workers = pool.workers();
  const auto retries = static_cast<unsigned>(workers) - 1;
  (void)pool.outcomes(FailsAt{marks.path(), 100}, numbers(8), {.retries = retries});
  for (int i = 0; i < 8; ++i) {
    const auto attempts = attempts_at(marks, i);
    EXPECT_EQ(attempts.size(), workers);
    EXPECT_EQ((std::set<std::string>{attempts.begin(), attempts.end()}.size()), workers) << "a rank twice";
  }
}

TEST(Retries, TakeThePoolsNumberWhereTheCallHasNone) {
  const test::Marks marks;
  Pool pool{session(), {.tasks = {.retries = 1}}};
  EXPECT_EQ(error_of(pool, FailsAt{marks.path(), 100}).attempts, 2);
  EXPECT_EQ(error_of(pool, FailsAt{marks.path(), 100}, {.retries = 0}).attempts, 1);
}

}  // namespace
}  // namespace echelon::pool
