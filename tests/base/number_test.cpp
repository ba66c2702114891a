#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/base/number.hpp>

namespace echelon::base {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint64_t max_points = std::uint64_t{1} << 53;

/// The text of the UsageError; empty where there is none.
std::string refusal(const std::string& text, std::uint64_t min = 1, std::uint64_t max = max_points) {
  try {
    const std::uint64_t value = parse_count(text, min, max);
    ADD_FAILURE() << "'" << text << "' was read as " << value;
    return "";
  } catch (const UsageError& e) {
    return e.what();
  }
}

TEST(parse_count, plain_digits_are_read) {
  EXPECT_EQ(parse_count("1", 1, 10), 1U);
  EXPECT_EQ(parse_count("10", 1, 10), 10U);
  EXPECT_EQ(parse_count("007", 1, 10), 7U);
  EXPECT_EQ(parse_count("+5", 1, 10), 5U);
  EXPECT_EQ(parse_count("1000000", 1, max_points), 1'000'000U);
}

TEST(parse_count, underscores_between_digits_are_read) {
  EXPECT_EQ(parse_count("1_000_000", 1, max_points), 1'000'000U);
  EXPECT_EQ(parse_count("1_0e3", 1, max_points), 10'000U);
}

TEST(parse_count, scientific_notation_is_read_where_it_is_whole) {
  EXPECT_EQ(parse_count("1e9", 1, max_points), 1'000'000'000U);
  EXPECT_EQ(parse_count("1E9", 1, max_points), 1'000'000'000U);
  EXPECT_EQ(parse_count("1e+9", 1, max_points), 1'000'000'000U);
  EXPECT_EQ(parse_count("2.5e3", 1, max_points), 2500U);
  EXPECT_EQ(parse_count(".5e1", 1, max_points), 5U);
  EXPECT_EQ(parse_count("1.0", 1, max_points), 1U);
  EXPECT_EQ(parse_count("1.", 1, max_points), 1U);
  EXPECT_EQ(parse_count("1000e-3", 1, max_points), 1U);
  EXPECT_EQ(parse_count("1.2300e2", 1, max_points), 123U);
}

TEST(parse_count, zero_is_read_where_it_is_allowed) {
  for (const char* zero : {"0", "-0", "0.00", "0e5", "0e-5", "0e999999999999", "000"}) {
    EXPECT_EQ(parse_count(zero, 0, 10), 0U) << zero;
  }
}

// Through a double, the first would become 2^53 and the second lose its last digit.
TEST(parse_count, large_numbers_are_read_exactly) {
  EXPECT_EQ(parse_count("9007199254740992", 1, max_points), max_points);
  EXPECT_THAT(refusal("9007199254740993"), HasSubstr("too large"));
  EXPECT_EQ(parse_count("12345678901234567891", 0, std::numeric_limits<std::uint64_t>::max() - 1),
            12345678901234567891U);
  EXPECT_EQ(parse_count("9.007199254740993e15", 1, max_points + 1), max_points + 1);
}

TEST(parse_count, the_largest_number_of_64_bits_is_read) {
  constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(parse_count("18446744073709551615", 0, largest), largest);
  EXPECT_EQ(parse_count("18446744073709551614", 0, largest), largest - 1);
  for (const char* beyond : {"18446744073709551616", "18446744073709551615.0e1", "18446744073709551620", "1e20",
                             "99999999999999999999999", "1e999999999999", "1e18446744073709551617"}) {
    EXPECT_THAT(refusal(beyond, 0, largest), HasSubstr("too large")) << beyond;
  }
}

TEST(parse_count, what_is_no_number_is_refused) {
  for (const char* text : {"",    " ",    "abc",  "1e",   "1e+",   "1e-",   "e5",    ".",    ".e5",   "--5",
                           "+-5", "+",    "-",    " 5",   "5 ",    "0x10",  "nan",   "inf",  "1__0",  "_1",
                           "1_",  "1_e3", "1._5", "1_.5", "1,000", "1.2.3", "1e5.0", "1e5x", "1e1_0", "５"}) {
    EXPECT_THAT(refusal(text),
                AllOf(HasSubstr(text), HasSubstr("' is not a number; give a whole number from 1 to 9007199254740992")))
        << text;
  }
}

TEST(parse_count, fractions_are_refused) {
  for (const char* text : {"1.5", "1e-3", "2.55e1", "-1.5", "0.1", "1e-999999999999", "10e-18446744073709551617"}) {
    EXPECT_THAT(refusal(text), HasSubstr("is not a whole number; give a whole number from 1 to ")) << text;
  }
}

TEST(parse_count, numbers_outside_the_range_are_refused_by_name) {
  EXPECT_EQ(refusal("-5", 1, 10), "'-5' is negative; give a whole number from 1 to 10");
  EXPECT_EQ(refusal("0", 1, 10), "'0' is too small; give a whole number from 1 to 10");
  EXPECT_EQ(refusal("-0", 1, 10), "'-0' is too small; give a whole number from 1 to 10");
  EXPECT_EQ(refusal("11", 1, 10), "'11' is too large; give a whole number from 1 to 10");
  EXPECT_EQ(refusal("1e30"), "'1e30' is too large; give a whole number from 1 to 9007199254740992, such as 1e9");
  EXPECT_EQ(refusal("1e999999999999", 1, 10), "'1e999999999999' is too large; give a whole number from 1 to 10");
}

TEST(parse_count, a_long_text_is_read_to_its_end) {
  EXPECT_EQ(parse_count(std::string(5000, '0') + "5", 1, 10), 5U);
  EXPECT_EQ(parse_count("5." + std::string(5000, '0'), 1, 10), 5U);
  EXPECT_EQ(parse_count("5" + std::string(5000, '0') + "e-5000", 1, 10), 5U);
  EXPECT_THAT(refusal(std::string(5000, '9')), HasSubstr("too large"));
}

TEST(parse_count, refusal_is_one_line) {
  for (const char* text : {"", "abc", "1.5", "-5", "0", "1e30"}) EXPECT_THAT(refusal(text), Not(HasSubstr("\n")));
}

TEST(checked_cast, values_that_fit_are_unchanged) {
  EXPECT_EQ(checked_cast<int>(std::uint64_t{2147483647}), 2147483647);
  EXPECT_EQ(checked_cast<int>(std::int64_t{-2147483648}), std::numeric_limits<int>::min());
  EXPECT_EQ(checked_cast<std::uint64_t>(0), 0U);
  EXPECT_EQ(checked_cast<std::int8_t>(127U), 127);
}

TEST(checked_cast, values_that_do_not_fit_throw) {
  EXPECT_THROW(static_cast<void>(checked_cast<int>(std::uint64_t{2147483648})), std::out_of_range);
  EXPECT_THROW(static_cast<void>(checked_cast<std::uint64_t>(-1)), std::out_of_range);
  EXPECT_THROW(static_cast<void>(checked_cast<unsigned>(std::int64_t{-1})), std::out_of_range);
  EXPECT_THROW(static_cast<void>(checked_cast<std::int64_t>(~std::uint64_t{0})), std::out_of_range);
  try {
    static_cast<void>(checked_cast<std::int8_t>(128));
    FAIL();
  } catch (const std::out_of_range& e) {
    EXPECT_STREQ(e.what(), "128 does not fit into 8 bits");
  }
}

double seconds(std::string_view text) { return parse_seconds(text); }
double percent(std::string_view text) { return parse_percent(text); }

/// The text of the UsageError.
std::string refusal(double (*parse)(std::string_view), std::string_view text) {
  try {
    const double value = parse(text);
    ADD_FAILURE() << "'" << text << "' was read as " << value;
    return "";
  } catch (const UsageError& e) {
    return e.what();
  }
}

TEST(parse_seconds, seconds_are_plain_numbers) {
  EXPECT_EQ(seconds("90"), 90);
  EXPECT_EQ(seconds("0"), 0);
  EXPECT_EQ(seconds("1.5"), 1.5);
  EXPECT_EQ(seconds(".25"), 0.25);
  EXPECT_EQ(seconds("5."), 5);
  EXPECT_EQ(seconds("007"), 7);
  EXPECT_EQ(seconds("0.000000001"), 1e-9);
  EXPECT_EQ(seconds("1000000000000"), 1e12);
}

TEST(parse_seconds, units_are_read) {
  EXPECT_EQ(seconds("90s"), 90);
  EXPECT_EQ(seconds("2m"), 120);
  EXPECT_EQ(seconds("1.5m"), 90);
  EXPECT_EQ(seconds("1h"), 3600);
  EXPECT_EQ(seconds("2d"), 172'800);
  EXPECT_EQ(seconds("0d"), 0);
}

TEST(parse_seconds, parts_are_added) {
  EXPECT_EQ(seconds("1h30m"), 5400);
  EXPECT_EQ(seconds("1d2h3m4.5s"), 86'400 + 7200 + 180 + 4.5);
  EXPECT_EQ(seconds("1m30"), 90);
}

TEST(parse_seconds, what_is_no_time_is_refused) {
  for (const char* text :
       {"",    " ",   "s",   "m1",       "-1",  "+1",   "1x",   "1 s",  " 1", "1s ", "1hm",   "1,5", "1e3", "1E3",
        "nan", "inf", "abc", "infinity", "--1", "1..5", "0x10", "1:30", "1M", "1H",  "1h-5m", "5%",  "１",  "1\n"}) {
    EXPECT_EQ(refusal(parse_seconds, text),
              std::string{"'"}.append(text) + "' is not a time; give seconds, or as in 1.5m, 2h or 1h30m");
  }
  EXPECT_THROW((void)parse_seconds(std::string_view{"1\0", 2}), UsageError);
}

TEST(parse_seconds, a_time_without_end_is_refused) {
  EXPECT_THAT(refusal(parse_seconds, std::string(400, '9')), HasSubstr("is not a time"));
  const std::string longest = "1" + std::string(308, '0');  // a double still has it, but not so many days
  EXPECT_EQ(seconds(longest), 1e308);
  EXPECT_THAT(refusal(parse_seconds, longest + "d"), HasSubstr("is too long a time"));
  EXPECT_THAT(refusal(parse_seconds, longest + "s" + longest + "s"), HasSubstr("is too long a time"));
}

TEST(parse_percent, a_number_before_the_sign_is_read) {
  EXPECT_EQ(percent("150%"), 150);
  EXPECT_EQ(percent("0.5%"), 0.5);
  EXPECT_EQ(percent(".5%"), 0.5);
  EXPECT_EQ(percent("100000%"), 100'000);
}

TEST(parse_percent, what_is_no_part_above_0_is_refused) {
  for (const char* text : {"", "%", "150", "0%", "0.0%", "-5%", "+5%", "5%%", "5 %", " 5%", "5% ", "1e3%", "nan%",
                           "inf%", "abc", "5x%", "%5", "5s"}) {
    EXPECT_EQ(refusal(parse_percent, text),
              std::string{"'"}.append(text) + "' is not a percentage above 0; give one with its sign, as in 5%");
  }
  EXPECT_THAT(refusal(parse_percent, std::string(400, '9') + "%"), HasSubstr("is not a percentage"));
}

}  // namespace
}  // namespace echelon::base
