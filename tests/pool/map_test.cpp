// What goes in and what comes out: inputs, arguments, functions, results.
#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <numeric>
#include <optional>
#include <ranges>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/serialization/map.hpp>
#include <boost/serialization/string.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/pool/pool.hpp>
#include <echelon/schedule/chunks.hpp>

#include "support/marks.hpp"
#include "support/mpi_session.hpp"

namespace echelon::pool {
namespace {

using test::session;
using testing::ElementsAre;
using testing::IsEmpty;

int square(int x) { return x * x; }

std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<int> squares(int count) {
  std::vector<int> all = numbers(count);
  for (int& x : all) x *= x;
  return all;
}

/// Trivially copyable, with a serialize() that marks what travels.
struct Marked {
  int number = 0;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& number;
    if (Archive::is_loading::value) ++number;
  }
};
struct MarkedFunction : Marked {
  int operator()(int x) const { return number + x; }
};

// ---- map: order and chunks ----

TEST(Map, KeepsTheOrderOfTheInput) {
  Pool pool{session()};
  EXPECT_EQ(pool.map(square, numbers(10'000)), squares(10'000));
}

TEST(Map, KeepsTheOrderWhereTasksEndInAnother) {
  Pool pool{session()};
  const auto slow_first = [](int x) {
    usleep(static_cast<useconds_t>(x % 4 == 0 ? 5000 : 0));
    return x * x;
  };
  EXPECT_EQ(pool.map(slow_first, numbers(40), {.chunk = 1}), squares(40));
}

TEST(Map, OfAnEmptyInputIsEmptyAtOnce) {
  const test::Marks marks;
  Pool pool{session()};
  std::vector<AsyncResult<int>> keep_busy;
  for (int i = 0; i < 8 * (session().size() - 1); ++i) {
    keep_busy.push_back(pool.apply_async(test::WaitAtGate{marks.path(), 0}, 0));
  }
  EXPECT_THAT(pool.map(square, std::vector<int>{}), IsEmpty());
  EXPECT_THAT(pool.starmap(std::plus<int>{}, std::vector<std::pair<int, int>>{}), IsEmpty());
  EXPECT_THAT(pool.map_async(square, std::vector<int>{}).get(), IsEmpty());
  for (const auto& busy : keep_busy) EXPECT_FALSE(busy.ready());
  marks.open_gate();
}

TEST(Map, OfAnInputThatTurnsOutEmptyIsEmpty) {
  Pool pool{session()};
  std::istringstream nothing;
  EXPECT_THAT(pool.map(square, std::views::istream<int>(nothing)), IsEmpty());
  EXPECT_THAT(pool.outcomes(square, std::views::istream<int>(nothing)), IsEmpty());
}

TEST(Map, TakesOneItem) {
  Pool pool{session()};
  EXPECT_THAT(pool.map(square, std::vector{7}), ElementsAre(49));
}

TEST(Map, GivesTheSameWhateverTheChunks) {
  Pool pool{session()};
  for (const int count : {1, 2, 3, 7, 8, 9, 63, 64, 65, 1000}) {
    const auto n = static_cast<std::uint64_t>(count);
    for (const std::uint64_t chunk : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{7}, std::uint64_t{8},
                                      n > 1 ? n - 1 : 1, n, n + 1, 10 * n, std::uint64_t{1} << 60}) {
      EXPECT_EQ(pool.map(square, numbers(count), {.chunk = chunk}), squares(count)) << count << " by " << chunk;
    }
  }
}

TEST(Map, GivesTheSameWhateverTheSchedule) {
  Pool pool{session()};
  for (const schedule::Schedule schedule : schedule::all_schedules()) {
    for (const int count : {1, 5, 64, 1000}) {
      EXPECT_EQ(pool.map(square, numbers(count), {.schedule = schedule}), squares(count)) << name(schedule);
      EXPECT_EQ(pool.map(square, numbers(count), {.chunk = 3, .schedule = schedule}), squares(count)) << name(schedule);
    }
  }
}

TEST(Map, GivesTheSameWhateverIsPrefetched) {
  Pool pool{session()};
  for (const std::uint64_t prefetch : {0, 1, 5, 1'000'000}) {
    EXPECT_EQ(pool.map(square, numbers(500), {.chunk = 2, .prefetch = prefetch}), squares(500)) << prefetch;
  }
}

TEST(Map, RefusesOptionsThatCannotBe) {
  Pool pool{session()};
  EXPECT_THROW((void)pool.map(square, numbers(3), {.chunk = 0}), std::invalid_argument);
  EXPECT_THROW((void)pool.map(square, numbers(3), {.crash_limit = 0}), std::invalid_argument);
  std::istringstream text{"1 2 3"};
  auto unsized = std::views::istream<int>(text);
  EXPECT_THROW((void)pool.map(square, unsized, {.schedule = schedule::Schedule::guided}), std::invalid_argument);
  EXPECT_THAT(pool.map(square, unsized, {.schedule = schedule::Schedule::dynamic}), ElementsAre(1, 4, 9));
}

TEST(Map, TakesThePoolsOptionsWhereTheCallHasNone) {
  Pool pool{session(), {.tasks = {.schedule = schedule::Schedule::guided}}};
  std::istringstream text{"1 2 3"};
  EXPECT_THROW((void)pool.map(square, std::views::istream<int>(text)), std::invalid_argument);
  EXPECT_EQ(pool.map(square, numbers(100)), squares(100));
}

// ---- map: inputs ----

/// A generator: an input that can be read once, and be moved but not copied.
class Countdown : public std::ranges::view_interface<Countdown> {
 public:
  class iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;
    explicit iterator(int* left) : left_{left} {}
    iterator(iterator&&) = default;
    iterator& operator=(iterator&&) = default;
    int operator*() const { return *left_; }
    iterator& operator++() {
      --*left_;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) { return *at.left_ == 0; }

   private:
    int* left_;
  };

  explicit Countdown(int from) : left_{std::make_unique<int>(from)} {}
  [[nodiscard]] iterator begin() { return iterator{left_.get()}; }
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

 private:
  std::unique_ptr<int> left_;
};

TEST(MapReads, StandardContainers) {
  Pool pool{session()};
  EXPECT_THAT(pool.map(square, std::array{1, 2, 3}), ElementsAre(1, 4, 9));
  EXPECT_THAT(pool.map(square, std::list{1, 2, 3}), ElementsAre(1, 4, 9));
  EXPECT_THAT(pool.map(square, std::deque{1, 2, 3}), ElementsAre(1, 4, 9));
  EXPECT_THAT(pool.map(square, std::set{3, 1, 2}), ElementsAre(1, 4, 9));
  const int plain[] = {1, 2, 3};
  EXPECT_THAT(pool.map(square, plain), ElementsAre(1, 4, 9));
  const std::vector<int> constant{1, 2, 3};
  EXPECT_THAT(pool.map(square, constant), ElementsAre(1, 4, 9));
}

TEST(MapReads, TheProxiesOfVectorBool) {
  Pool pool{session()};
  const std::vector<bool> bits{true, false, true};
  EXPECT_THAT(pool.map([](bool bit) { return bit ? 1 : 0; }, bits), ElementsAre(1, 0, 1));
}

TEST(MapReads, Views) {
  Pool pool{session()};
  EXPECT_EQ(pool.map(square, std::views::iota(0, 1000)), squares(1000));
  std::vector<int> many = numbers(10);
  EXPECT_THAT(pool.map(square, many | std::views::filter([](int x) { return x % 2 == 1; })),
              ElementsAre(1, 9, 25, 49, 81));
  EXPECT_THAT(pool.map(square, many | std::views::transform([](int x) { return -x; }) | std::views::take(3)),
              ElementsAre(0, 1, 4));
  auto infinite = std::views::iota(0) | std::views::take_while([](int x) { return x < 4; });
  EXPECT_THAT(pool.map(square, infinite), ElementsAre(0, 1, 4, 9));
}

TEST(MapReads, AStreamOfUnknownLengthOnce) {
  Pool pool{session()};
  std::ostringstream text;
  for (int i = 0; i < 500; ++i) text << i << ' ';
  std::istringstream in{text.str()};
  EXPECT_EQ(pool.map(square, std::views::istream<int>(in)), squares(500));
  EXPECT_TRUE(in.eof());
}

TEST(MapReads, AGeneratorThatCannotBeCopied) {
  Pool pool{session()};
  EXPECT_THAT(pool.map(square, Countdown{4}), ElementsAre(16, 9, 4, 1));
  Countdown countdown{3};
  EXPECT_THAT(pool.map(square, countdown), ElementsAre(9, 4, 1));
  EXPECT_THAT(pool.map_async(square, Countdown{2}).get(), ElementsAre(4, 1));
}

TEST(MapReads, StringsOfAllLengths) {
  Pool pool{session()};
  std::vector<std::string> words;
  for (std::size_t i = 0; i < 300; ++i) words.push_back(std::string(i, 'x') + std::string(1, '\0') + "end");
  const auto twice = [](const std::string& word) { return word + word; };
  const std::vector<std::string> doubled = pool.map(twice, words);
  ASSERT_EQ(doubled.size(), words.size());
  for (std::size_t i = 0; i < words.size(); ++i) EXPECT_EQ(doubled[i], words[i] + words[i]);
}

TEST(MapReads, BigElements) {
  Pool pool{session()};
  std::vector<std::vector<double>> big;
  for (int i = 0; i < 12; ++i) big.emplace_back(300'000, i);  // 2.4 MB each
  const auto back = pool.map(
      [](std::vector<double> all) {
        all.front() = -1;
        return all;
      },
      big);
  ASSERT_EQ(back.size(), big.size());
  for (std::size_t i = 0; i < big.size(); ++i) {
    big[i].front() = -1;
    EXPECT_EQ(back[i], big[i]);
  }
}

TEST(MapReads, ElementsWithoutAnyBytes) {
  Pool pool{session()};
  struct Nothing {};
  EXPECT_THAT(pool.map([](Nothing) { return 5; }, std::vector<Nothing>(4)), ElementsAre(5, 5, 5, 5));
  EXPECT_EQ(pool.map([](Nothing nothing) { return nothing; }, std::vector<Nothing>(100)).size(), 100);
}

// ---- map: results ----

struct Point {
  double x;
  int y;
  friend bool operator==(const Point&, const Point&) = default;
};

class NoDefault {
 public:
  explicit NoDefault(int value) : value_{value} {}
  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};

struct Serialized {
  std::string name;
  std::map<std::string, int> counts;
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& name& counts;
  }
  friend bool operator==(const Serialized&, const Serialized&) = default;
};

struct MoveOnly {
  int value = 0;
  MoveOnly() = default;
  explicit MoveOnly(int v) : value{v} {}
  MoveOnly(MoveOnly&&) = default;
  MoveOnly& operator=(MoveOnly&&) = default;
  ~MoveOnly() {}  // not trivially copyable
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& value;
  }
};

TEST(MapGives, Bools) {
  Pool pool{session()};
  const std::vector<bool> odd = pool.map([](int x) { return x % 2 == 1; }, numbers(100));
  ASSERT_EQ(odd.size(), 100);
  for (std::size_t i = 0; i < odd.size(); ++i) EXPECT_EQ(odd[i], i % 2 == 1);
}

TEST(MapGives, AMonostateForEachCallOfVoid) {
  const test::Marks marks;
  Pool pool{session()};
  const auto path = marks.path();
  const std::vector<std::monostate> done =
      pool.starmap([](const std::string& file, int) { test::leave_mark(file); },
                   std::vector<std::pair<std::string, int>>{{path, 1}, {path, 2}, {path, 3}});
  EXPECT_EQ(done.size(), 3);
  EXPECT_EQ(marks.count(), 3);
}

TEST(MapGives, ContainersAndStructs) {
  Pool pool{session()};
  EXPECT_THAT(pool.map([](int x) { return std::string(static_cast<std::size_t>(x), 'a'); }, numbers(3)),
              ElementsAre("", "a", "aa"));
  EXPECT_THAT(pool.map([](int x) { return std::vector<int>(static_cast<std::size_t>(x), x); }, numbers(3)),
              ElementsAre(IsEmpty(), ElementsAre(1), ElementsAre(2, 2)));
  EXPECT_THAT(pool.map([](int x) { return Point{x / 2.0, x}; }, numbers(2)), ElementsAre(Point{0, 0}, Point{0.5, 1}));
  EXPECT_THAT(pool.map(
                  [](int x) {
                    return std::pair{x, std::to_string(x)};
                  },
                  numbers(2)),
              ElementsAre(std::pair{0, "0"}, std::pair{1, "1"}));
  EXPECT_THAT(pool.map([](int x) { return x == 0 ? std::optional<std::string>{} : "some"; }, numbers(2)),
              ElementsAre(std::nullopt, std::optional<std::string>{"some"}));
}

TEST(MapGives, TypesWithoutADefault) {
  Pool pool{session()};
  const std::vector<NoDefault> all = pool.map([](int x) { return NoDefault{x}; }, numbers(50));
  ASSERT_EQ(all.size(), 50);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)].value(), i);
}

TEST(MapGives, TypesThatBoostSerializes) {
  Pool pool{session()};
  const auto make = [](const Serialized& one) {
    Serialized made = one;
    ++made.counts[one.name];
    return made;
  };
  EXPECT_THAT(pool.map(make, std::vector<Serialized>{{"a", {{"a", 1}, {"b", 5}}}}),
              ElementsAre(Serialized{"a", {{"a", 2}, {"b", 5}}}));
}

TEST(MapGives, TypesThatCanOnlyBeMoved) {
  Pool pool{session()};
  const std::vector<MoveOnly> all = pool.map([](int x) { return MoveOnly{x}; }, numbers(5));
  ASSERT_EQ(all.size(), 5);
  EXPECT_EQ(all[4].value, 4);
}

TEST(MapGives, ACopyOfWhatAFunctionRefersTo) {
  Pool pool{session()};
  const auto front = [](const std::vector<int>& of) -> const int& { return of.front(); };
  EXPECT_THAT(pool.map(front, std::vector<std::vector<int>>{{1, 2}, {3}}), ElementsAre(1, 3));
}

// ---- functions ----

struct Scale {
  std::vector<double> factors;
  double operator()(int x) const { return factors[static_cast<std::size_t>(x)] * x; }
  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& factors;
  }
};

struct CountsItsCalls {
  int calls = 0;
  int operator()(int x) {
    ++calls;
    return calls > 0 ? x : -1;
  }
};

template <typename T>
T twice(T x) {
  return x + x;
}

TEST(Functions, PlainOnes) {
  Pool pool{session()};
  EXPECT_THAT(pool.map(square, numbers(3)), ElementsAre(0, 1, 4));
  EXPECT_THAT(pool.map(&square, numbers(3)), ElementsAre(0, 1, 4));
  int (*pointer)(int) = square;
  EXPECT_THAT(pool.map(pointer, numbers(3)), ElementsAre(0, 1, 4));
  EXPECT_THAT(pool.map(twice<int>, numbers(3)), ElementsAre(0, 2, 4));
}

TEST(Functions, OfALibrary) {
  Pool pool{session()};
  double (*root)(double) = std::sqrt;
  EXPECT_THAT(pool.map(root, std::vector{1.0, 4.0}), ElementsAre(1.0, 2.0));
}

TEST(Functions, Lambdas) {
  Pool pool{session()};
  const double factor = 0.5;
  const Point offset{1.5, 2};
  EXPECT_THAT(pool.map([](int x) { return x + 1; }, numbers(3)), ElementsAre(1, 2, 3));
  EXPECT_THAT(pool.map([factor, offset](int x) { return factor * x + offset.x; }, numbers(3)),
              ElementsAre(1.5, 2.0, 2.5));
  EXPECT_THAT(pool.map([](auto x) { return x + x; }, numbers(3)), ElementsAre(0, 2, 4));
  EXPECT_THAT(pool.map([](auto x) { return x + x; }, std::vector<std::string>{"a"}), ElementsAre("aa"));
}

TEST(Functions, ObjectsThatBoostSerializes) {
  Pool pool{session()};
  EXPECT_THAT(pool.map(Scale{{5, 6, 7}}, numbers(3)), ElementsAre(0, 6, 14));
}

TEST(Functions, ThatChangeTheirOwnState) {
  Pool pool{session()};
  CountsItsCalls mine;
  EXPECT_EQ(pool.map(mine, numbers(100)), numbers(100));
  EXPECT_EQ(mine.calls, 0) << "workers have copies";
  EXPECT_EQ(pool.map([n = 0](int x) mutable { return ++n > 0 ? x : -1; }, numbers(100)), numbers(100));
}

TEST(Functions, ThatHoldAddressesAreRefusedBeforeAnythingIsRead) {
  Pool pool{session()};
  int local = 3;
  int* pointer = &local;
  auto on_heap = std::make_unique<int>(4);
  int read = 0;
  const auto input = std::views::iota(0, 10) | std::views::transform([&](int x) { return ++read, x; });
  EXPECT_THROW((void)pool.map([&local](int x) { return x + local; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map([&](int x) { return x + local; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map([pointer](int x) { return x + *pointer; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map([heap = on_heap.get()](int x) { return x + *heap; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map([text = "literal"](int x) { return x + *text; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map([n = 1, &local](int x) { return x + local + n; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.imap([&local](int x) { return x + local; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.map_async([&local](int x) { return x + local; }, input), std::invalid_argument);
  EXPECT_THROW((void)pool.apply([&local] { return local; }), std::invalid_argument);
  EXPECT_EQ(read, 0);
  EXPECT_THAT(pool.map(square, numbers(3)), ElementsAre(0, 1, 4)) << "the pool goes on";
}

TEST(Functions, ThatHoldNumbersAreNotTakenForAddresses) {
  Pool pool{session()};
  const double small = 1e-3;
  const double none = 0;
  const std::uint64_t all_bits = ~std::uint64_t{0};
  const std::int64_t minus_one = -1;
  const std::uint64_t nanoseconds = 1'700'000'000'000'000'000;
  const auto f = [=](int x) {
    return x + (small > none) + (all_bits > 0 ? 0 : 1) + (minus_one < 0 ? 0 : 1) + (nanoseconds > 0 ? 0 : 1);
  };
  EXPECT_THAT(pool.map(f, numbers(2)), ElementsAre(1, 2));
}

// ---- starmap and apply ----

TEST(Starmap, SpreadsPairsTuplesAndArrays) {
  Pool pool{session()};
  const auto add = [](auto... parts) { return (parts + ...); };
  EXPECT_THAT(pool.starmap(add, std::vector<std::pair<int, double>>{{1, 0.5}, {2, 0.25}}), ElementsAre(1.5, 2.25));
  EXPECT_THAT(pool.starmap(add, std::vector<std::tuple<int, int, int>>{{1, 2, 3}}), ElementsAre(6));
  EXPECT_THAT(pool.starmap(add, std::vector<std::array<int, 4>>{{1, 2, 3, 4}}), ElementsAre(10));
  EXPECT_THAT(pool.starmap(add, std::vector<std::tuple<std::string>>{{"a"}}), ElementsAre("a"));
  EXPECT_THAT(pool.starmap([] { return 1; }, std::vector<std::tuple<>>(2)), ElementsAre(1, 1));
}

TEST(Starmap, ReadsMaps) {
  Pool pool{session()};
  const std::map<std::string, int> ages{{"a", 1}, {"b", 2}};
  const auto tell = [](const std::string& name, int age) { return name + std::to_string(age); };
  EXPECT_THAT(pool.starmap(tell, ages), ElementsAre("a1", "b2"));
  EXPECT_THAT(pool.starmap_async(tell, ages).get(), ElementsAre("a1", "b2"));
}

TEST(Apply, TakesAnyNumberOfArguments) {
  Pool pool{session()};
  EXPECT_EQ(pool.apply([] { return 1; }), 1);
  EXPECT_EQ(pool.apply(square, 3), 9);
  EXPECT_EQ(pool.apply([](int a, double b) { return a + b; }, 1, 0.5), 1.5);
  EXPECT_EQ(pool.apply([](auto... all) { return (all + ...); }, 1, 2, 3), 6);
  EXPECT_EQ(pool.apply([](auto... all) { return (all + ...); }, 1, 2, 3, 4), 10);
}

TEST(Apply, HandsOverCopiesWhateverTheFunctionTakes) {
  Pool pool{session()};
  const std::string text = "text";
  EXPECT_EQ(
      pool.apply([](const std::string& a, std::string&& b, std::string c) { return a + b + c; }, text, text, text),
      "texttexttext");
  EXPECT_EQ(pool.apply([](const std::vector<int>& all) { return all.size(); }, std::vector{1, 2, 3}), 3);
  EXPECT_EQ(pool.apply([](long wide) { return wide; }, 3), 3) << "arguments are converted";
}

TEST(Apply, SendsByTheUsersSerialize) {
  Pool pool{session()};
  EXPECT_EQ(pool.apply([](Marked one) { return one; }, Marked{5}).number, 7);
  EXPECT_EQ(pool.apply([](const std::optional<Marked>& one) { return one->number; }, std::optional{Marked{5}}), 6);
  EXPECT_EQ(pool.map([](std::pair<int, Marked> one) { return one.second; }, std::vector(9, std::pair{1, Marked{5}}))[8]
                .number,
            7);
  EXPECT_EQ(pool.apply(MarkedFunction{{5}}, 10), 16);
}

TEST(Apply, TakesArgumentsThatCanOnlyBeMoved) {
  Pool pool{session()};
  EXPECT_EQ(pool.apply([](const MoveOnly& one) { return one.value; }, MoveOnly{5}), 5);
  EXPECT_EQ(pool.apply([](MoveOnly one) { return one; }, MoveOnly{6}).value, 6);
}

TEST(Apply, OfVoidReturnsNothing) {
  const test::Marks marks;
  Pool pool{session()};
  static_assert(std::is_void_v<decltype(pool.apply([](int) {}, 1))>);
  pool.apply([](const std::string& path) { test::leave_mark(path); }, marks.path());
  EXPECT_EQ(marks.count(), 1);
}

TEST(Apply, TakesTextAsItStandsInTheProgram) {
  Pool pool{session()};
  EXPECT_EQ(pool.apply([](const std::string& a, const std::string& b) { return a + b; }, "left", "right"), "leftright");
}

TEST(ApplyAsync, TakesOptionsFirst) {
  Pool pool{session()};
  EXPECT_EQ(pool.apply_async(TaskOptions{.retries = 1}, square, 3).get(), 9);
}

}  // namespace
}  // namespace echelon::pool
