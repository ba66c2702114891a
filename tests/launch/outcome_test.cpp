#include <array>
#include <chrono>
#include <cstdlib>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/launch/outcome.hpp>

namespace echelon::launch {
namespace {

const std::string token = "0123456789abcdef0123456789abcdef";

struct Read {
  std::string text;
  std::optional<int> outcome;
};

Read read_in_pieces(const std::string& text, std::initializer_list<std::size_t> cuts) {
  OutcomeReader reader{token};
  Read read;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    read.text += reader.feed(std::string_view{text}.substr(from, cut - from));
    from = cut;
  }
  read.text += reader.feed(std::string_view{text}.substr(from));
  read.text += reader.finish();
  read.outcome = reader.outcome();
  return read;
}

TEST(outcome, is_taken_out_wherever_it_stands_and_is_torn) {
  for (const int code : {0, 3, 75, 255}) {
    for (const char* before : {"", "line\n", "42 % done", "<", "<echelon ", "<<echelon 0"}) {
      for (const char* after : {"", "\n", "more\n", "<"}) {
        const std::string text = before + outcome_marker(token, code) + after;
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
          for (const std::size_t second : {cut, std::min(cut + 1, text.size()), text.size()}) {
            const Read read = read_in_pieces(text, {cut, second});
            EXPECT_EQ(read.text, std::string{before} + after) << "cut at " << cut << " and " << second;
            EXPECT_EQ(read.outcome, code) << "cut at " << cut << " and " << second;
          }
        }
      }
    }
  }
}

TEST(outcome, rank_0_out_of_reach_is_none) {
  const std::string text = "before" + out_of_reach_marker(token) + "after";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    OutcomeReader reader{token};
    EXPECT_FALSE(reader.out_of_reach());
    std::string passed = reader.feed(text.substr(0, cut));
    passed += reader.feed(text.substr(cut));
    passed += reader.finish();
    EXPECT_EQ(passed, "beforeafter") << "cut at " << cut;
    EXPECT_TRUE(reader.out_of_reach());
    EXPECT_FALSE(reader.outcome().has_value());
  }
}

TEST(outcome, other_text_passes) {
  const std::string marker = outcome_marker(token, 3);
  for (const std::string& text :
       {std::string{}, std::string{"hello\n"}, std::string{"<"}, std::string{"a < b, <echelon here>\n"},
        outcome_marker("fedcba9876543210fedcba9876543210", 3), marker.substr(0, marker.size() - 1),
        marker.substr(0, marker.size() - 1) + "333>", marker.substr(0, marker.size() - 1) + "x>"}) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const Read read = read_in_pieces(text, {cut});
      EXPECT_EQ(read.text, text);
      EXPECT_FALSE(read.outcome);
    }
  }
}

TEST(outcome, text_is_not_held_back_for_long) {
  OutcomeReader reader{token};
  EXPECT_EQ(reader.feed("42 % done"), "42 % done");
  EXPECT_EQ(reader.feed(" <"), " ");
  EXPECT_EQ(reader.feed("b>"), "<b>");
}

TEST(outcome, last_one_counts) {
  const Read read = read_in_pieces(outcome_marker(token, 3) + "x" + outcome_marker(token, 75), {});
  EXPECT_EQ(read.text, "x");
  EXPECT_EQ(read.outcome, 75);
}

TEST(outcome, tokens_differ) {
  std::set<std::string> tokens;
  for (int i = 0; i < 100; ++i) tokens.insert(new_token());
  EXPECT_EQ(tokens.size(), 100U);
  EXPECT_EQ(tokens.begin()->size(), token.size());
}

/// What tell_outcome(75) writes to standard error.
std::string told() {
  std::array<int, 2> pipe{};
  EXPECT_EQ(pipe2(pipe.data(), O_CLOEXEC), 0);
  const int before = dup(STDERR_FILENO);
  dup2(pipe[1], STDERR_FILENO);
  tell_outcome(75);
  dup2(before, STDERR_FILENO);
  close(before);
  close(pipe[1]);
  std::array<char, 1000> text{};
  const ssize_t size = read(pipe[0], text.data(), text.size());
  close(pipe[0]);
  return {text.data(), static_cast<std::size_t>(size)};
}

TEST(outcome, is_told_to_whom_started_this_rank_alone) {
  unsetenv(launched_variable);
  EXPECT_EQ(told(), "");
  setenv(launched_variable, "1", 1);  // by hand
  EXPECT_EQ(told(), "");
  setenv(launched_variable, token.c_str(), 1);
  EXPECT_EQ(told(), outcome_marker(token, 75));
  unsetenv(launched_variable);
}

// mpirun reads 4096 bytes at once, and hands them on with other ranks' between: the marker must not be torn there.
TEST(outcome, comes_in_one_piece_after_text_that_nobody_has_read_yet) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(pipe2(pipe.data(), O_CLOEXEC), 0);
  const int before = dup(STDERR_FILENO);
  dup2(pipe[1], STDERR_FILENO);
  close(pipe[1]);
  const std::string text(4090, 'x');
  ASSERT_EQ(write(STDERR_FILENO, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  std::vector<std::string> pieces;
  std::thread mpirun{[&] {
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    std::array<char, 4096> buffer{};
    for (ssize_t size = 0; (size = read(pipe[0], buffer.data(), buffer.size())) > 0;) {
      pieces.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
  }};
  setenv(launched_variable, token.c_str(), 1);
  tell_outcome(75);
  unsetenv(launched_variable);
  dup2(before, STDERR_FILENO);
  close(before);
  mpirun.join();
  close(pipe[0]);
  EXPECT_EQ(pieces, (std::vector<std::string>{text, outcome_marker(token, 75)}));
}

}  // namespace
}  // namespace echelon::launch
