#include "map/output.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "map/played_run.hpp"
#include "map/spooled.hpp"

namespace echelon::map {
namespace {

using std::string_literals::operator""s;
using test::in_files;
using test::in_memory;

std::string read(const Output& output, Stream of) {
  std::string text;
  output.read(of, [&](std::span<const std::byte> piece) {
    EXPECT_FALSE(piece.empty());
    text += test::text_of(piece);
  });
  return text;
}

struct Case {
  std::string output;
  std::string errors;
};

std::vector<Case> cases() {
  std::string large;
  for (int i = 0; large.size() < 1'000'000; ++i) large += std::to_string(i) + '\0';
  const std::string piece(1U << 18U, 'p');  // just as much as is read at once
  return {{"", ""},     {"a", ""},    {"", "b"},      {"a\n", "b\n"}, {"\0a\xff\n\0"s, "\0"s},
          {large, "b"}, {"a", large}, {large, large}, {piece, piece}, {piece + "x", ""}};
}

TEST(output, both_streams_are_read_as_they_were_written) {
  for (const Case& one : cases()) {
    for (const bool spooled : {false, true}) {
      const Output output = spooled ? in_files(one.output, one.errors) : in_memory(one.output, one.errors);
      EXPECT_EQ(output.size(Stream::output), one.output.size());
      EXPECT_EQ(output.size(Stream::errors), one.errors.size());
      for (int twice = 0; twice < 2; ++twice) {
        EXPECT_TRUE(read(output, Stream::output) == one.output) << spooled;
        EXPECT_TRUE(read(output, Stream::errors) == one.errors) << spooled;
      }
    }
  }
}

TEST(output, goes_to_its_folder_of_results) {
  const test::TemporaryFolder folder;
  const ResultsFolder results{folder.path() / "results"};
  std::uint64_t number = 0;
  for (const Case& one : cases()) {
    for (const bool spooled : {false, true}) {
      const Output output = spooled ? in_files(one.output, one.errors) : in_memory(one.output, one.errors);
      output.write(results, {"a", "b"}, ++number);
      const std::filesystem::path task = folder.path() / "results" / "1" / "a" / "2" / "b";
      EXPECT_TRUE(test::contents(task / "stdout") == one.output);
      EXPECT_TRUE(test::contents(task / "stderr") == one.errors);
      EXPECT_EQ(test::contents(task / "seq"), std::to_string(number));
    }
  }
}

TEST(output, in_files_is_read_in_pieces) {
  const std::string large(5'000'000, 'x');
  std::size_t most = 0;
  in_files(large).read(Stream::output, [&](std::span<const std::byte> piece) { most = std::max(most, piece.size()); });
  EXPECT_LE(most, std::size_t{1} << 18U);
}

TEST(output, that_files_do_not_have_any_more_is_an_error) {
  Spool first;
  first.append(test::bytes_of("abc"));
  const Output output{std::move(first), 4, Spool{}, 0};
  EXPECT_EQ(test::error_of([&] { (void)read(output, Stream::output); }),
            "cannot keep output in '" + temporary_folder() + "': it has become shorter");
}

TEST(output, an_error_of_who_takes_it_is_passed_on) {
  const auto refuse = [](std::span<const std::byte>) { throw std::runtime_error("no"); };
  EXPECT_EQ(test::error_of([&] { in_memory("a").read(Stream::output, refuse); }), "no");
  EXPECT_EQ(test::error_of([&] { in_files("a").read(Stream::output, refuse); }), "no");
}

}  // namespace
}  // namespace echelon::map
