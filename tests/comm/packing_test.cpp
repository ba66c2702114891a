#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ostream>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <boost/serialization/array.hpp>
#include <boost/serialization/bitset.hpp>
#include <boost/serialization/complex.hpp>
#include <boost/serialization/is_bitwise_serializable.hpp>
#include <boost/serialization/map.hpp>
#include <boost/serialization/optional.hpp>
#include <boost/serialization/split_free.hpp>
#include <boost/serialization/split_member.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/utility.hpp>
#include <boost/serialization/vector.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/comm/packing.hpp>

namespace types {

enum class Colour : std::uint8_t { red = 1, blue = 200 };
enum Old { old_a = -3, old_b = 70'000 };

struct Empty {
  bool operator==(const Empty&) const = default;
};

struct Point {
  double x = 0;
  std::int32_t y = 0;
  char z = 'z';
  bool operator==(const Point&) const = default;
};

struct alignas(64) Wide {
  double x = 0;
  bool operator==(const Wide&) const = default;
};

class NoDefault {
 public:
  explicit NoDefault(int value) : value_{value} {}
  bool operator==(const NoDefault&) const = default;

 private:
  const int value_;
};

struct EmptyNoDefault {
  explicit EmptyNoDefault(int) {}
  bool operator==(const EmptyNoDefault&) const = default;
};

struct Public {
  std::string name;
  std::vector<double> values;
  std::map<std::string, int> more;
  bool operator==(const Public&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name& values& more;
  }
};

class Private {
 public:
  Private() = default;
  explicit Private(std::string name) : name_{std::move(name)} {}
  bool operator==(const Private&) const = default;

 private:
  friend class boost::serialization::access;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name_;
  }
  std::string name_;
};

/// No class can be derived from it to find its serialize().
struct Final final {
  std::string name;
  bool operator==(const Final&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& name;
  }
};

struct Abstract {
  virtual ~Abstract() = default;
  virtual int number() const = 0;
  template <typename Archive>
  void serialize(Archive&, unsigned) {}
};

struct Derived : Public {
  int level = 0;
  bool operator==(const Derived&) const = default;

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& boost::serialization::base_object<Public>(*this) & level;
  }
};

struct Outside {
  std::string text;
  bool operator==(const Outside&) const = default;
};
template <typename Archive>
void serialize(Archive& archive, Outside& value, unsigned) {
  archive& value.text;
}

/// Trivially copyable, but as it lies it would carry an address.
struct Node {
  int id = 0;
  Node* parent = nullptr;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& id;
  }
};

// Trivially copyable, and each says in another way how it is serialized: loading marks the number.
constexpr int mark = 1000;
template <typename Archive>
void serialize_marked(Archive& archive, int& number) {
  archive& number;
  if (Archive::is_loading::value) number += mark;
}
struct ByMember {
  int number = 0;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    serialize_marked(archive, number);
  }
};
class ByPrivateMember {
 public:
  int number = 0;

 private:
  friend class boost::serialization::access;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    serialize_marked(archive, number);
  }
};
struct ByFinalMember final : ByMember {};
struct BySplitMember {
  int number = 0;
  template <typename Archive>
  void save(Archive& archive, unsigned) const {
    archive << number;
  }
  template <typename Archive>
  void load(Archive& archive, unsigned) {
    archive >> number;
    number += mark;
  }
  BOOST_SERIALIZATION_SPLIT_MEMBER()
};
struct ByFunction {
  int number = 0;
};
template <typename Archive>
void serialize(Archive& archive, ByFunction& value, unsigned) {
  serialize_marked(archive, value.number);
}
struct ByBoostsFunction {
  int number = 0;
};
struct BySplitFunction {
  int number = 0;
};
// These are not for Boost, or are to be sent as they lie nonetheless.
struct ToStream {
  int number = 0;
  void serialize(std::ostream&) const {}
};
struct Cereal {
  int number = 0;
  template <typename Archive>
  void serialize(Archive& archive) {
    archive(number);
  }
};
struct VersionedCereal {
  int number = 0;
  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive(number);
  }
};
struct DataMember {
  int serialize = 0;
};
struct Bitwise : ByMember {};
struct Inner {
  ByMember member;  // the type that holds it has no serialize()
};

struct Serialisable_without_default : Public {
  explicit Serialisable_without_default(int) {}
};

struct Virtual {
  virtual ~Virtual() = default;
  int x = 0;
};

struct Moody {  // trivially copyable as far as the language goes, and yet nothing copies it
  Moody(const Moody&) = delete;
  Moody(Moody&&) = default;
  int x;
};

union Union {
  int i;
  float f;
};
union UnionOfString {
  UnionOfString() {}
  ~UnionOfString() {}
  std::string s;
};

}  // namespace types

namespace boost::serialization {
template <typename Archive>
void serialize(Archive& archive, types::ByBoostsFunction& value, unsigned) {
  types::serialize_marked(archive, value.number);
}
template <typename Archive>
void save(Archive& archive, const types::BySplitFunction& value, unsigned) {
  archive << value.number;
}
template <typename Archive>
void load(Archive& archive, types::BySplitFunction& value, unsigned) {
  archive >> value.number;
  value.number += types::mark;
}
}  // namespace boost::serialization
BOOST_SERIALIZATION_SPLIT_FREE(types::BySplitFunction)
BOOST_IS_BITWISE_SERIALIZABLE(types::Bitwise)

template <>
inline constexpr bool echelon::boost_serializable<types::Outside> = true;
template <>
inline constexpr bool echelon::boost_serializable<types::VersionedCereal> = false;

namespace echelon::comm {
namespace {

using namespace types;

template <typename... Ts>
constexpr bool all_sendable = (Sendable<Ts> && ...);
template <typename... Ts>
constexpr bool none_sendable = !(Sendable<Ts> || ...);

static_assert(all_sendable<int, const int, bool, char, double, std::byte, Colour, Old, Empty, Point, Wide, NoDefault,
                           Union, std::nullptr_t, std::monostate>);
static_assert(all_sendable<std::string, std::wstring, const std::string, std::vector<int>, std::vector<bool>, Bytes,
                           std::vector<std::string>, std::vector<std::vector<Point>>, std::vector<NoDefault>>);
static_assert(all_sendable<std::pair<int, std::string>, std::pair<const int, const std::string>, std::tuple<>,
                           std::tuple<int, const std::string, Point>, std::optional<Point>, std::optional<std::string>,
                           std::variant<int, double>>);
static_assert(all_sendable<std::array<int, 3>, std::array<std::string, 3>, std::deque<int>, std::list<std::string>,
                           std::set<int, std::greater<>>, std::multiset<int>, std::unordered_set<std::string>,
                           std::map<std::string, int, std::less<>>, std::multimap<int, Point>,
                           std::unordered_map<int, std::optional<std::string>>, std::unordered_multimap<int, int>>);
static_assert(all_sendable<Public, Private, Final, Derived, Outside, Node, std::vector<Outside>>);

static_assert(none_sendable<int*, const char*, void*, void (*)(), int (*)(int), int Point::*, void (Derived::*)()>);
static_assert(none_sendable<int&, const Point&, int[3], int* [3], char[6], void>);
static_assert(
    none_sendable<std::string_view, std::u16string_view, std::span<int>, std::span<const double, 3>,
                  std::reference_wrapper<int>, std::unique_ptr<int>, std::shared_ptr<int>, std::function<int()>>);
static_assert(none_sendable<std::vector<int>::iterator, std::string::const_iterator, std::list<int>::iterator,
                            std::map<int, int>::iterator>);
static_assert(none_sendable<std::vector<int*>, std::vector<std::string_view>, std::vector<std::unique_ptr<int>>,
                            std::array<int*, 2>, std::array<const char*, 2>, std::optional<int*>,
                            std::pair<int, const char*>, std::pair<int&, int>, std::tuple<int, std::string_view>,
                            std::tuple<const int&>, std::map<std::string, int*>, std::set<std::string_view>,
                            std::variant<int, int*>, std::list<std::vector<int*>>, std::deque<void (*)()>>);
static_assert(none_sendable<Virtual, Abstract, Moody, std::atomic<int>, UnionOfString, Serialisable_without_default>);

Bytes packed(const Packer& packer) { return Bytes(packer.view().begin(), packer.view().end()); }

template <typename T>
Bytes pack(const T& value) {
  Packer packer;
  packer.put(value);
  return packed(packer);
}

template <typename T>
T unpack(std::span<const std::byte> bytes) {
  Unpacker from{bytes};
  T value = from.get<T>();
  EXPECT_TRUE(from.rest().empty());
  return value;
}

/// It comes back as it was, and its first bytes alone, however many, are refused. Each part of the message is memory
/// of its own, so that the address sanitizer sees a read behind it.
template <typename T>
void expect_travels(const T& value) {
  const Bytes bytes = pack(value);
  EXPECT_EQ(unpack<T>(bytes), value);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    Unpacker from{part};
    EXPECT_THROW((void)from.get<T>(), std::runtime_error) << size << " of " << bytes.size() << " bytes";
  }
}

TEST(packing, numbers_and_enums) {
  expect_travels(42);
  expect_travels(true);
  expect_travels('x');
  expect_travels(std::numeric_limits<std::uint64_t>::max());
  expect_travels(-0.1);
  expect_travels(std::byte{255});
  expect_travels(Colour::blue);
  expect_travels(old_b);
}

TEST(packing, trivially_copyable_structs) {
  expect_travels(Point{1.5, -7, 'q'});
  expect_travels(Wide{2.5});
  expect_travels(NoDefault{9});
  expect_travels(std::array<int, 3>{1, 2, 3});
  expect_travels(std::optional<int>{7});
  expect_travels(std::optional<int>{});
  expect_travels(std::variant<int, double>{2.5});
}

TEST(packing, closure_takes_what_it_captured_along) {
  const auto add = [a = 40, b = 0.5](double x) { return x + a + b; };
  const Bytes bytes = pack(add);
  EXPECT_EQ(unpack<std::remove_const_t<decltype(add)>>(bytes)(1.5), 42);
}

TEST(packing, empty_struct_takes_no_bytes) {
  EXPECT_TRUE(pack(Empty{}).empty());
  EXPECT_TRUE(pack(std::tuple<>{}).empty());
  expect_travels(Empty{});
  expect_travels(EmptyNoDefault{1});
}

TEST(packing, overaligned_value_can_stand_anywhere) {
  Packer packer;
  packer.put('a');
  packer.put(Wide{2.5});
  packer.put('b');
  packer.put(std::vector<Wide>{{1}, {2}});
  Unpacker from{packer.view()};
  EXPECT_EQ(from.get<char>(), 'a');
  const auto wide = from.get<Wide>();
  EXPECT_EQ(wide, Wide{2.5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&wide) % alignof(Wide), 0U);
  EXPECT_EQ(from.get<char>(), 'b');
  EXPECT_EQ(from.get<std::vector<Wide>>(), (std::vector<Wide>{{1}, {2}}));
}

TEST(packing, bool_of_any_byte_is_a_bool) {
  const std::array<std::byte, 1> seven{std::byte{7}};
  EXPECT_TRUE(unpack<bool>(seven));
}

TEST(packing, strings) {
  expect_travels(std::string{});
  expect_travels(std::string{"short"});
  expect_travels(std::string{"with\0NULs\0", 10});
  expect_travels(std::string(300, 'x'));
  expect_travels(std::u16string{u"wide"});
}

TEST(packing, vectors) {
  expect_travels(std::vector<int>{});
  expect_travels(std::vector<int>{1, 2, 3});
  expect_travels(std::vector<Point>{{1, 2, 'a'}, {3, 4, 'b'}});
  expect_travels(std::vector<NoDefault>{NoDefault{1}, NoDefault{2}});
  expect_travels(std::vector<std::string>{"", "a", std::string{"\0b", 2}});
  expect_travels(std::vector<std::vector<int>>{{}, {1}, {2, 3}});
  expect_travels(std::vector<std::vector<std::string>>{{}, {"a", ""}});
  expect_travels(std::vector<bool>{true, false, true, true});
  expect_travels(std::vector<std::vector<bool>>{{}, {true}});
}

// Their number is not to be had for nothing: see wrong_number_of_empties_is_refused.
TEST(packing, containers_of_what_takes_no_bytes) {
  expect_travels(std::vector<Empty>(3));
  expect_travels(std::vector<EmptyNoDefault>(3, EmptyNoDefault{1}));
  expect_travels(std::vector<std::tuple<>>(3));
  expect_travels(std::list<std::pair<Empty, Empty>>(3));
  expect_travels(std::vector<std::optional<std::tuple<>>>{std::tuple<>{}, std::nullopt});
}

TEST(packing, parts) {
  expect_travels(std::pair{1, 2.5});
  expect_travels(std::pair{std::string{"a"}, std::vector<int>{1}});
  expect_travels(std::pair<const int, const std::string>{1, "b"});
  expect_travels(std::tuple{1, std::string{"a"}, Point{1, 2, 'c'}});
  expect_travels(std::tuple<const std::string, const int>{"a", 1});
  expect_travels(std::tuple{std::tuple{std::string{"a"}}});
  expect_travels(std::optional<std::string>{"a"});
  expect_travels(std::optional<std::string>{});
  expect_travels(std::array<std::string, 3>{"a", "", "c"});
  expect_travels(std::array<std::string, 0>{});
}

TEST(packing, containers) {
  expect_travels(std::deque<int>{1, 2, 3});
  expect_travels(std::list<std::string>{"b", "a"});
  expect_travels(std::set<int>{3, 1, 2});
  expect_travels(std::set<int, std::greater<>>{3, 1, 2});
  expect_travels(std::multiset<std::string>{"a", "a"});
  expect_travels(std::map<std::string, int>{{"a", 1}, {"b", 2}});
  expect_travels(std::map<std::string, std::vector<std::string>, std::less<>>{{"a", {"1", "2"}}, {"b", {}}});
  expect_travels(std::multimap<int, int>{{1, 1}, {1, 2}});
  expect_travels(std::unordered_set<int>{1, 2, 3});
  expect_travels(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}});
}

// What Boost alone has no serialize() for, inside of containers.
TEST(packing, nested_mixtures) {
  expect_travels(std::map<std::string, Point>{{"a", {1, 2, 'a'}}});
  expect_travels(std::list<Point>{{1, 2, 'a'}, {}});
  expect_travels(std::map<int, std::optional<std::string>>{{1, "a"}, {2, {}}});
  expect_travels(std::deque<std::tuple<int, std::string>>{{1, "a"}});
  expect_travels(std::array<std::optional<std::string>, 2>{"a", {}});
  expect_travels(std::optional<std::map<Colour, std::set<std::string>>>{{{Colour::red, {"a", "b"}}}});
  expect_travels(std::tuple{std::vector{std::pair{std::optional<std::string>{"a"}, std::list<bool>{true}}},
                            std::unordered_map<std::string, std::array<std::vector<int>, 2>>{{"x", {{{1, 2}, {}}}}},
                            Empty{}});
  expect_travels(std::vector<std::map<std::string, Public>>{{{"a", {"b", {1, 2}, {{"c", 3}}}}}});
}

TEST(packing, types_that_boost_serializes) {
  expect_travels(Public{"name", {1, 2.5}, {{"a", 1}, {"", 2}}});
  expect_travels(Private{"name"});
  expect_travels(Final{"name"});
  expect_travels(Outside{"text"});
  Derived derived;
  derived.name = "base";
  derived.level = 3;
  expect_travels(derived);
  expect_travels(std::vector<Public>{{"a", {}, {}}, {"b", {1}, {{"c", 3}}}});
  expect_travels(std::optional<Outside>{Outside{"text"}});
  expect_travels(std::pair{Private{"a"}, Outside{"b"}});
}

// With Boost's headers for these included: they lie in memory, and are sent so.
static_assert(detail::as_it_lies<int> && detail::as_it_lies<double> && detail::as_it_lies<Point> &&
              detail::as_it_lies<Colour> && detail::as_it_lies<NoDefault> && detail::as_it_lies<Union> &&
              detail::as_it_lies<std::array<double, 3>> && detail::as_it_lies<std::complex<double>> &&
              detail::as_it_lies<std::bitset<70>> && detail::as_it_lies<std::optional<Point>> &&
              detail::as_it_lies<std::variant<int, double>> && detail::as_it_lies<std::chrono::nanoseconds>);
static_assert(detail::as_it_lies<ToStream> && detail::as_it_lies<Cereal> && detail::as_it_lies<VersionedCereal> &&
              detail::as_it_lies<DataMember> && detail::as_it_lies<Bitwise> && detail::as_it_lies<Inner>);
static_assert(!detail::as_it_lies<std::variant<ByMember, int>> && !detail::as_it_lies<std::pair<const ByMember, int>> &&
              !detail::as_it_lies<std::tuple<const ByMember>> && !detail::as_it_lies<std::array<ByMember, 2>>);

template <typename T>
class packing_of_trivially_copyable : public testing::Test {};
using with_serialize = testing::Types<ByMember, ByPrivateMember, ByFinalMember, BySplitMember, ByFunction,
                                      ByBoostsFunction, BySplitFunction>;
TYPED_TEST_SUITE(packing_of_trivially_copyable, with_serialize);

TYPED_TEST(packing_of_trivially_copyable, is_by_serialize_where_there_is_one) {
  static_assert(std::is_trivially_copyable_v<TypeParam>);
  TypeParam value;
  value.number = 7;
  const auto travelled = [](const auto& whole) { return unpack<std::remove_cvref_t<decltype(whole)>>(pack(whole)); };
  EXPECT_EQ(travelled(value).number, 7 + mark);
  EXPECT_EQ(travelled(std::vector{value})[0].number, 7 + mark);
  EXPECT_EQ(travelled(std::array{value, value})[1].number, 7 + mark);
  EXPECT_EQ(travelled(std::optional{value})->number, 7 + mark);
  EXPECT_EQ(travelled(std::pair{1, value}).second.number, 7 + mark);
  EXPECT_EQ(std::get<1>(travelled(std::tuple{1, value})).number, 7 + mark);
  EXPECT_EQ(std::get<1>(travelled(std::variant<int, TypeParam>{value})).number, 7 + mark);
  EXPECT_EQ(travelled(std::map<int, std::optional<TypeParam>>{{1, value}})[1]->number, 7 + mark);
}

TEST(packing, what_serialize_leaves_out_is_not_sent) {
  EXPECT_EQ(unpack<Bitwise>(pack(Bitwise{{7}})).number, 7);
  EXPECT_EQ(unpack<Inner>(pack(Inner{{7}})).member.number, 7);
  EXPECT_EQ(unpack<ToStream>(pack(ToStream{7})).number, 7);
  EXPECT_EQ(unpack<Cereal>(pack(Cereal{7})).number, 7);
}

TEST(packing, variants) {
  using Variant = std::variant<int, std::string, std::vector<std::string>>;
  expect_travels(Variant{1});
  expect_travels(Variant{"text"});
  expect_travels(Variant{std::vector<std::string>{"a", ""}});
  expect_travels(std::vector<Variant>{1, "text"});
  Packer packer;
  packer.put(std::uint64_t{3});
  EXPECT_THROW((void)unpack<Variant>(packer.view()), std::runtime_error);
}

TEST(packing, boost_serializable_says_more_than_trivially_copyable) {
  Node parent;
  const Node node{7, &parent};
  EXPECT_EQ(unpack<Node>(pack(node)).id, 7);
  EXPECT_EQ(unpack<Node>(pack(node)).parent, nullptr);
  EXPECT_EQ(unpack<std::vector<Node>>(pack(std::vector<Node>{node}))[0].parent, nullptr);
  EXPECT_EQ((unpack<std::array<Node, 1>>(pack(std::array<Node, 1>{node}))[0].parent), nullptr);
  EXPECT_EQ(unpack<std::optional<Node>>(pack(std::optional<Node>{node}))->parent, nullptr);
}

TEST(packing, parts_come_back_in_their_order) {
  Packer packer;
  packer.put(1);
  packer.put(std::string{"two"});
  packer.put(std::tuple{3, std::string{"four"}, 5});
  packer.put(std::pair{std::string{"six"}, 7});
  packer.put(Public{"eight", {}, {}});
  packer.put(9);
  Unpacker from{packer.view()};
  EXPECT_EQ(from.get<int>(), 1);
  EXPECT_EQ(from.get<std::string>(), "two");
  EXPECT_EQ(from.get<int>(), 3);
  EXPECT_EQ(from.get<std::string>(), "four");
  EXPECT_EQ(from.get<int>(), 5);
  EXPECT_EQ(from.get<std::string>(), "six");
  EXPECT_EQ(from.get<int>(), 7);
  EXPECT_EQ(from.get<Public>().name, "eight");
  EXPECT_EQ(from.get<int>(), 9);
  EXPECT_TRUE(from.rest().empty());
  EXPECT_THROW((void)from.get<char>(), std::runtime_error);
}

/// What begins with a number that is too large is refused for that: not by std::bad_alloc, nor by std::length_error.
template <typename T>
void expect_refused(const Packer& packer) {
  const Bytes bytes = packed(packer);
  Unpacker from{bytes};
  EXPECT_THROW((void)from.get<T>(), std::runtime_error);
}

template <typename T>
void expect_wrong_numbers_refused() {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t number : {std::uint64_t{101}, std::uint64_t{1} << 32, std::uint64_t{1} << 60,
                                     std::uint64_t{1} << 61, most / 8 + 1, most}) {
    Packer packer;
    packer.put(number);
    for (int i = 0; i < 100; ++i) packer.put('\0');
    expect_refused<T>(packer);
  }
}

TEST(packing, wrong_number_of_elements_is_refused) {
  expect_wrong_numbers_refused<std::string>();
  expect_wrong_numbers_refused<std::vector<char>>();
  expect_wrong_numbers_refused<std::vector<double>>();
  expect_wrong_numbers_refused<std::vector<Wide>>();
  expect_wrong_numbers_refused<std::vector<bool>>();
  expect_wrong_numbers_refused<std::vector<NoDefault>>();
  expect_wrong_numbers_refused<std::vector<std::string>>();
  expect_wrong_numbers_refused<std::vector<std::vector<std::vector<int>>>>();
  expect_wrong_numbers_refused<std::vector<Public>>();
  expect_wrong_numbers_refused<std::list<int>>();
  expect_wrong_numbers_refused<std::map<int, std::string>>();
  expect_wrong_numbers_refused<std::unordered_set<char>>();
}

TEST(packing, wrong_number_of_empties_is_refused) {
  expect_wrong_numbers_refused<std::vector<Empty>>();
  expect_wrong_numbers_refused<std::vector<EmptyNoDefault>>();
  expect_wrong_numbers_refused<std::list<Empty>>();
  expect_wrong_numbers_refused<std::vector<std::pair<Empty, Empty>>>();
  expect_wrong_numbers_refused<std::vector<std::tuple<>>>();
}

TEST(packing, wrong_number_inside_is_refused) {
  Packer packer;
  packer.put(std::uint64_t{2});
  packer.put(std::string{"whole"});
  packer.put(std::uint64_t{1} << 60);
  expect_refused<std::vector<std::string>>(packer);
}

TEST(packing, large_values) {
  constexpr std::size_t bytes = std::size_t{64} << 20;
  std::vector<double> numbers(bytes / sizeof(double));
  std::iota(numbers.begin(), numbers.end(), 0.5);
  EXPECT_TRUE(unpack<std::vector<double>>(pack(numbers)) == numbers);
  std::string text(bytes, 'x');
  text.back() = 'y';
  EXPECT_TRUE(unpack<std::string>(pack(text)) == text);
  const std::vector<std::string> texts(64, std::string(bytes / 64, 'z'));
  EXPECT_TRUE(unpack<std::vector<std::string>>(pack(texts)) == texts);
  const Public by_boost{text, {}, {}};
  EXPECT_TRUE(unpack<Public>(pack(by_boost)) == by_boost);
}

// ---- the packer's own functions ----

TEST(packing, patch_writes_over_what_was_put) {
  Packer packer;
  packer.put(1);
  const std::size_t at = packer.size();
  packer.put(2);
  packer.put(3);
  packer.patch(at, 20);
  packer.patch(0, 10);
  EXPECT_EQ((unpack<std::array<int, 3>>(packer.view())), (std::array{10, 20, 3}));
}

TEST(packing, cut_drops_the_end) {
  Packer packer;
  packer.put(1);
  const std::size_t at = packer.size();
  packer.put(std::string(1000, 'x'));
  packer.cut(at);
  EXPECT_EQ(packer.size(), at);
  packer.put(2);
  EXPECT_EQ((unpack<std::array<int, 2>>(packer.view())), (std::array{1, 2}));
  packer.cut(0);
  EXPECT_EQ(packer.size(), 0U);
}

TEST(packing, clear_empties_and_the_packer_goes_on) {
  Packer packer;
  packer.put(std::string(1000, 'x'));
  packer.clear();
  EXPECT_EQ(packer.size(), 0U);
  EXPECT_TRUE(packer.view().empty());
  packer.put(5);
  EXPECT_EQ(unpack<int>(packer.view()), 5);
}

TEST(packing, reserve_keeps_what_was_put_and_where_it_is) {
  Packer packer;
  packer.put(1);
  packer.reserve(10'000);
  const void* begin = packer.view().data();
  for (std::size_t i = packer.size(); i < 10'000; ++i) packer.put('x');
  EXPECT_EQ(packer.view().data(), begin);
  EXPECT_EQ(packer.size(), 10'000U);
  Unpacker from{packer.view()};
  EXPECT_EQ(from.get<int>(), 1);
}

TEST(packing, moved_from_packer_can_be_used_again) {
  Packer packer;
  packer.put(1);
  Packer other = std::move(packer);
  EXPECT_EQ(unpack<int>(other.view()), 1);
  packer.clear();
  packer.put(2);
  EXPECT_EQ(unpack<int>(packer.view()), 2);
  other = std::move(packer);
  EXPECT_EQ(unpack<int>(other.view()), 2);
  std::swap(packer, other);
  EXPECT_EQ(unpack<int>(packer.view()), 2);
}

TEST(packing, bytes_are_taken_in_order) {
  Packer packer;
  packer.bytes("abcdef", 6);
  packer.bytes(nullptr, 0);
  Unpacker from{packer.view()};
  EXPECT_EQ(std::memcmp(from.bytes(2).data(), "ab", 2), 0);
  EXPECT_TRUE(from.bytes(0).empty());
  EXPECT_EQ(from.rest().size(), 4U);
  EXPECT_THROW((void)from.bytes(5), std::runtime_error);
  EXPECT_THROW((void)from.bytes(std::numeric_limits<std::size_t>::max()), std::runtime_error);
  EXPECT_EQ(std::memcmp(from.bytes(4).data(), "cdef", 4), 0);
  EXPECT_TRUE(from.bytes(0).empty());
}

}  // namespace
}  // namespace echelon::comm
