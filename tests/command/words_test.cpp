#include <array>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/command/words.hpp>

#include "support/shell.hpp"

namespace echelon::command {
namespace {

using testing::ElementsAre;
using testing::Optional;

/// The arguments that /bin/sh hands to a program for each of `lines`, which follow the program's name.
std::vector<std::vector<std::string>> arguments_by_shell(const std::vector<std::string>& lines) {
  std::string script = "show() { printf '%s\\0' \"$@\"; printf 'end\\0'; }\n";
  for (const std::string& line : lines) script += "show one " + line + "\n";
  std::vector<std::vector<std::string>> found(1);
  for (std::string& word : test::split(test::output_of_shell(script), '\0')) {
    if (word == "end") {
      found.emplace_back();
    } else {
      found.back().push_back(std::move(word));
    }
  }
  found.pop_back();
  return found;
}

/// What words() makes of each line must be what the shell makes of it.
void expect_faithful(const std::vector<std::string>& lines) {
  std::vector<std::string> split;
  std::vector<std::vector<std::string>> expected;
  for (const std::string& line : lines) {
    if (const auto found = words("one " + line)) {
      split.push_back(line);
      expected.push_back(*found);
    }
  }
  const std::vector<std::vector<std::string>> actual = arguments_by_shell(split);
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_EQ(actual[i], expected[i]) << split[i];
}

TEST(words, of_plain_lines_are_what_blanks_part) {
  EXPECT_THAT(words("ls -l  a\tb "), Optional(ElementsAre("ls", "-l", "a", "b")));
  EXPECT_THAT(words(" /usr/bin/env A=b"), Optional(ElementsAre("/usr/bin/env", "A=b")));
  EXPECT_THAT(words("x a#b ! } ] ^ % @ , +"),
              Optional(ElementsAre("x", "a#b", "!", "}", "]", "^", "%", "@", ",", "+")));
}

TEST(words, lose_their_quotes) {
  EXPECT_THAT(words(R"(cat 'a b' "c d" '' e'f'"g" \$x "\$\\\a" '\')"),
              Optional(ElementsAre("cat", "a b", "c d", "", "efg", "$x", R"($\\a)", "\\")));
  EXPECT_THAT(words("cat 'a\nb' \"c\nd\""), Optional(ElementsAre("cat", "a\nb", "c\nd")));
  EXPECT_THAT(words("\"cat\" caf\xc3\xa9 '\xff\x01'"), Optional(ElementsAre("cat", "caf\xc3\xa9", "\xff\x01")));
}

TEST(words, are_left_to_a_shell_where_anything_is_special) {
  for (const std::string_view line :
       {"a | b",   "a&",           "a;b",      "a>b",       "a<b",     "a (b)", "a $b",   "a `b`",   "a *",  "a ?",
        "a [b]",   "a ~",          "a ~b",     "a x=~",     "a {b,c}", "a {}",  "a # b",  "#",       "a\nb", "a\n",
        "a \\\nb", "a \"b\\\nc\"", "a \"$b\"", "a \"`b`\"", "a \\",    "a 'b",  "a \"b",  "a \"b\\", "",     " ",
        "x=1",     "x=1 a",        "x+=1 a",   "'' a",      "%1",      "a\rb",  "a \x7f", "a \\\x01"}) {
    EXPECT_EQ(words(line), std::nullopt) << line;
  }
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(words("a \0b"sv), std::nullopt);
  EXPECT_EQ(words("a '\0b'"sv), std::nullopt);
}

TEST(words, are_left_to_a_shell_where_it_has_the_command_built_in) {
  for (const std::string_view program :
       {"cd",   "exit", "export", "ulimit", ".",       ":",      "set",   "exec",   "eval",   "read",
        "wait", "trap", "umask",  "type",   "command", "if",     "while", "for",    "case",   "until",
        "{",    "}",    "!",      "[",      "[[",      "test",   "echo",  "printf", "true",   "false",
        "pwd",  "kill", "time",   "local",  "shift",   "return", "alias", "'cd'",   "e\\cho", "\"if\""}) {
    EXPECT_EQ(words(std::string{program} + " x"), std::nullopt) << program;
  }
  EXPECT_NE(words("sleep 1"), std::nullopt);
  EXPECT_NE(words("/bin/echo x"), std::nullopt);
}

/// The shells are asked what they have built in, so that a new one is not forgotten.
TEST(words, know_what_shells_here_have_built_in) {
  for (const std::string& program :
       test::split(test::output_of_shell("for name in /usr/bin/*; do [ -f \"$name\" ] || continue; name=${name##*/}; "
                                         "case $(command -v -- \"$name\") in /*) ;; *) "
                                         "printf '%s\\n' \"$name\" ;; esac; done"))) {
    EXPECT_EQ(words(program + " x"), std::nullopt) << program;
  }
}

TEST(words, are_those_of_the_shell) {
  expect_faithful({"",
                   "a b",
                   "'a'\"b\"c",
                   R"("a\b\\c\$d\`e\"f")",
                   R"(\a\ \\\'\")",
                   "'\\'",
                   "a=b",
                   "a#b",
                   "-n",
                   "--",
                   "!",
                   "}",
                   "]",
                   "'{a,b}'",
                   "'~'",
                   "\\~",
                   "\\*",
                   "\"*\"",
                   "caf\xc3\xa9",
                   "'a\nb'",
                   "\\\t"});
}

std::string random_line(std::mt19937_64& random) {
  constexpr auto parts = std::to_array<std::string_view>(
      {"a", "b c", "'", "'", "\"", "\"", "\\", "\\\\", " ",           "\t",           "$",    "`",       "{",    "}",
       "~", "#",   "=", "*", "!",  "-n", "\n", ";",    "caf\xc3\xa9", "\xe2\x82\xac", "\xff", "\x81",    "\x88", "%s",
       ",", "''",  "@", "^", "]",  ":",  "/",  ".",    "\\'",         "\\\"",         "\\$",  "\xc2\xa0"});
  std::string line;
  for (std::size_t count = random() % 12; count > 0; --count) line += parts[random() % parts.size()];
  return line;
}

TEST(words, are_those_of_the_shell_for_random_lines) {
  std::mt19937_64 random{1};
  std::size_t split = 0;
  std::vector<std::string> lines;
  for (int i = 0; i < 40'000; ++i) {
    lines.push_back(random_line(random));
    if (words("one " + lines.back())) ++split;
  }
  EXPECT_GT(split, 4000U);
  for (std::size_t at = 0; at < lines.size(); at += 8000) {
    const auto first = lines.begin() + static_cast<std::ptrdiff_t>(at);
    expect_faithful({first, first + 8000});
  }
}

TEST(quoted, is_in_the_style_of_gnu_parallel) {
  EXPECT_EQ(quoted(""), "''");
  EXPECT_EQ(quoted("aZ09+-./_"), "aZ09+-./_");
  EXPECT_EQ(quoted("a b"), "'a b'");
  EXPECT_EQ(quoted("'"), R"("'")");
  EXPECT_EQ(quoted("''"), R"("'"''"'")");
  EXPECT_EQ(quoted("'a"), R"("'"'a')");
  EXPECT_EQ(quoted("a'"), R"('a'"'")");
  EXPECT_EQ(quoted("a''b"), R"('a'"'"''"'"'b')");
  EXPECT_EQ(quoted("a\nb"), "'a\nb'");
  EXPECT_EQ(quoted("caf\xc3\xa9"), "'caf\xc3\xa9'");
}

TEST(quoted, is_one_word_of_the_value_itself) {
  std::mt19937_64 random{2};
  for (int i = 0; i < 20'000; ++i) {
    const std::string value = random_line(random);
    EXPECT_THAT(words("one " + quoted(value)), Optional(ElementsAre("one", value))) << quoted(value);
  }
  std::vector<std::string> lines;
  for (int byte = 1; byte < 256; ++byte) lines.push_back(quoted(std::string(1, static_cast<char>(byte)) + "x"));
  expect_faithful(lines);
}

}  // namespace
}  // namespace echelon::command
