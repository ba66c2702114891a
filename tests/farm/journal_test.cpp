#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/farm/journal.hpp>
#include <echelon/farm/journal_tasks.hpp>

namespace echelon::farm::journal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string every_byte() {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  return all;
}

Ending ending_of(std::uint64_t task, int exit_code = 0) {
  Ending ending;
  ending.task = task;
  ending.host = "node1";
  ending.rank = 3;
  ending.started_at = 1732190000.123456;
  ending.wall_s = 0.1;
  ending.exit_code = exit_code;
  return ending;
}

std::vector<Line> some_lines() {
  Header header{"echo {}", "\n", "/x/out put", true, "node0", 4711, {"file /a\tb", "argument " + every_byte(), "pipe"}};
  Ending odd = ending_of(7, 255);
  odd.signal = 9;
  odd.timed_out = true;
  odd.attempts = 3;
  odd.wall_s = 1.0 / 3;
  odd.cpu_s = 1e-300;
  odd.max_rss_bytes = std::numeric_limits<std::uint64_t>::max();
  odd.rank = -1;
  odd.reason = every_byte();
  return {header,
          Run{"node0", 4711, 1732190000.5},
          Task{0, every_byte()},
          Task{1, ""},
          Done{ending_of(0), std::nullopt},
          Done{odd, Piece{12, std::uint64_t{1} << 40U}},
          ListEnd{2},
          ByContent{},
          Again{},
          OutputTaken{},
          Folded{100, 2, 0xFFFFFFFFFFFFFFFFU},
          Folded{100, 2, std::nullopt}};
}

struct Read {
  std::vector<Line> lines;
  std::vector<std::uint64_t> damaged;
  std::uint64_t whole_bytes = 0;
  std::uint64_t torn_bytes = 0;
  bool newline_is_missing = false;
};

Read read(const std::string& text, std::size_t block) {
  Read result;
  LineReader reader{[&](const Place& place, const Line& line) {
                      EXPECT_LE(place.at + place.size, text.size() + 1);
                      result.lines.push_back(line);
                    },
                    [&](const Place& place) { result.damaged.push_back(place.line); }};
  for (std::size_t at = 0; at < text.size(); at += block) reader.read(std::string_view{text}.substr(at, block));
  reader.end();
  result.whole_bytes = reader.whole_bytes();
  result.torn_bytes = reader.torn_bytes();
  result.newline_is_missing = reader.newline_is_missing();
  return result;
}

std::string text_of(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += to_text(line);
  return text;
}

TEST(Journal, every_line_reads_back_as_it_was) {
  for (const Line& line : some_lines()) {
    const std::string text = to_text(line);
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    EXPECT_EQ(text.back(), '\n');
    EXPECT_TRUE(std::ranges::all_of(text.substr(0, text.size() - 1), [](unsigned char c) {
      return c == '\t' || (c >= ' ' && c != 0x7F);
    })) << text;
    const auto back = parse(std::string_view{text}.substr(0, text.size() - 1));
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(*back, line) << text;
  }
}

TEST(Journal, a_line_is_text_that_grep_finds) {
  std::string text = to_text(Task{12, "simulate --t 3"});
  EXPECT_EQ(text.substr(8), "\ttask\t12\tsimulate --t 3\n");
  // CRC-32C of "123456789" is a published value: the checksum is that one.
  EXPECT_EQ(parse("e3069283\t123456789"), Line{Other{}});
}

TEST(Journal, lines_of_kinds_to_come_are_passed_over_and_other_versions_are_seen) {
  EXPECT_EQ(parse(to_text(Other{}).substr(0, 14)), Line{Other{}});
  const std::string newer = to_text(OtherVersion{"2"});
  EXPECT_EQ(parse(newer.substr(0, newer.size() - 1)), Line{OtherVersion{"2"}});
}

TEST(Journal, no_flipped_bit_is_taken_for_a_line) {
  for (const Line& line : some_lines()) {
    std::string text = to_text(line);
    text.pop_back();
    for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
      std::string flipped = text;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(parse(flipped)) << bit << ": " << flipped;
    }
  }
}

TEST(Journal, block_size_does_not_matter) {
  const std::vector<Line> lines = some_lines();
  const std::string text = text_of(lines);
  for (const std::size_t block : {std::size_t{1}, std::size_t{7}, std::size_t{100}, text.size()}) {
    const Read all = read(text, block);
    EXPECT_EQ(all.lines, lines);
    EXPECT_EQ(all.whole_bytes, text.size());
    EXPECT_EQ(all.torn_bytes, 0U);
  }
}

TEST(Journal, cut_off_anywhere_whole_lines_are_kept) {
  const std::vector<Line> lines = some_lines();
  const std::string text = text_of(lines);
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const Read found = read(cut, 64);
    // All but for the newline is whole too.
    const auto newlines = static_cast<std::size_t>(std::ranges::count(cut, '\n'));
    const bool but_for_newline = text[size] == '\n' && size > 0;
    const std::size_t expected = newlines + (but_for_newline ? 1 : 0);
    ASSERT_EQ(found.lines, std::vector<Line>(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(expected)));
    EXPECT_EQ(found.newline_is_missing, but_for_newline);
    EXPECT_EQ(found.whole_bytes + found.torn_bytes, size);
    EXPECT_THAT(found.damaged, IsEmpty());
  }
}

TEST(Journal, a_flipped_bit_costs_one_line_at_most) {
  const std::vector<Line> lines = some_lines();
  const std::string text = text_of(lines);
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto number =
        static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bit / 8), '\n'));
    std::vector<Line> expected = lines;
    const bool was_newline = text[bit / 8] == '\n';
    if (!was_newline) expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(number));
    const Read found = read(flipped, 1000);
    ASSERT_EQ(found.lines, expected) << "bit " << bit;
    if (was_newline) {
      EXPECT_THAT(found.damaged, IsEmpty());
    } else if (number + 1 < lines.size()) {
      ASSERT_FALSE(found.damaged.empty()) << "bit " << bit;
      EXPECT_EQ(found.damaged.front(), number + 1);
    } else {
      EXPECT_GT(found.torn_bytes, 0U);
    }
  }
}

TEST(Journal, a_header_that_was_begun_is_known_as_such) {
  const std::string text = to_text(some_lines().front());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) EXPECT_TRUE(is_begun_header(text.substr(0, size))) << size;
  EXPECT_FALSE(is_begun_header("hello"));
  EXPECT_FALSE(is_begun_header("01234567 "));
  EXPECT_FALSE(is_begun_header(text));
}

TEST(Journal, hashes_and_digests_tell_lines_and_their_order_apart) {
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < 100'000; ++i) hashes.push_back(hash_of("simulate --seed " + std::to_string(i)));
  std::ranges::sort(hashes);
  EXPECT_TRUE(std::ranges::adjacent_find(hashes) == hashes.end());
  EXPECT_NE(hash_of(""), hash_of(std::string(1, '\0')));
  EXPECT_NE(digest_of(digest_of(0, 1), 2), digest_of(digest_of(0, 2), 1));
}

// ---- what a journal knows ----

Tasks tasks_of(const std::vector<Line>& lines) {
  Tasks tasks;
  std::uint64_t at = 0;
  for (const Line& line : lines) {
    const std::string text = to_text(line);
    tasks.read({at, text.size(), 1}, line);
    at += text.size();
  }
  return tasks;
}

std::vector<Tasks::State> states(const Tasks& tasks) {
  std::vector<Tasks::State> all;
  for (const Tasks::Known& known : tasks.all()) all.push_back(known.how());
  return all;
}

constexpr auto open = Tasks::State::open;
constexpr auto good = Tasks::State::good;
constexpr auto failed = Tasks::State::failed;

TEST(JournalTasks, last_ending_counts) {
  const std::vector<Line> lines{Header{},
                                Task{0, "a"},
                                Task{1, "b"},
                                Task{2, "c"},
                                Done{ending_of(1, 5), Piece{0, 3}},
                                Done{ending_of(0), Piece{3, 4}}};
  EXPECT_THAT(states(tasks_of(lines)), ElementsAre(good, failed, open));
  std::vector<Line> again = lines;
  again.emplace_back(Again{});
  EXPECT_THAT(states(tasks_of(again)), ElementsAre(good, open, open));
  again.emplace_back(Done{ending_of(1), Piece{7, 1}});
  const Tasks tasks = tasks_of(again);
  EXPECT_THAT(states(tasks), ElementsAre(good, good, open));
  EXPECT_EQ(tasks.all()[1].piece(), (Piece{7, 1}));
}

TEST(JournalTasks, an_ending_without_its_task_does_not_count) {
  const std::vector<Line> lines{Header{}, Task{0, "a"}, Done{ending_of(1), std::nullopt}, Task{1, "b"}};
  EXPECT_THAT(states(tasks_of(lines)), ElementsAre(open, open));
}

TEST(JournalTasks, a_task_that_is_another_has_not_ended) {
  const std::vector<Line> lines{Header{}, Task{0, "a"}, Done{ending_of(0), std::nullopt}, Task{0, "b"}};
  EXPECT_THAT(states(tasks_of(lines)), ElementsAre(open));
}

TEST(JournalTasks, a_fold_stands_for_all_before_it) {
  const std::vector<Line> lines{Header{}, Task{1, "b"}, Done{ending_of(1), Piece{0, 9}}, Folded{9, 2, 5}, Task{2, "c"}};
  const Tasks tasks = tasks_of(lines);
  EXPECT_THAT(states(tasks), ElementsAre(good, good, open));
  EXPECT_EQ(tasks.all()[1].has_piece, 0U);
  EXPECT_EQ(tasks.folded(), (Folded{9, 2, 5}));
}

TEST(JournalTasks, a_number_that_no_task_can_have_is_passed_over) {
  EXPECT_TRUE(tasks_of({Header{}, Task{std::uint64_t{1} << 60U, "a"}}).all().empty());
  EXPECT_TRUE(tasks_of({Header{}, Done{ending_of(std::uint64_t{1} << 60U), {}}}).all().empty());
  EXPECT_TRUE(tasks_of({Header{}, Folded{1, std::uint64_t{1} << 60U, {}}}).all().empty());
}

}  // namespace
}  // namespace echelon::farm::journal
