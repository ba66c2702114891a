#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/command/template.hpp>

#include "support/shell.hpp"

namespace echelon::command {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string line(std::string_view text, const std::vector<std::string>& values, std::uint64_t number = 1) {
  return Template{text, values.size()}.line(values, number);
}

std::string refusal(std::string_view text, std::size_t sources = 1) {
  try {
    Template{text, sources};
  } catch (const base::UsageError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(placeholders, are_parts_of_the_value) {
  const std::string all = "{}|{.}|{/}|{//}|{/.}|{#}";
  EXPECT_EQ(line(all, {"a/b.c"}), "a/b.c|a/b|b.c|a|b|1");
  EXPECT_EQ(line(all, {"a/b.c/"}), "a/b.c/|a/b.c/|''|a|''|1");
  EXPECT_EQ(line(all, {".x"}), ".x|''|.x|.|''|1");
  EXPECT_EQ(line(all, {"a.b.c"}), "a.b.c|a.b|a.b.c|.|a.b|1");
  EXPECT_EQ(line(all, {""}), "''|''|''|.|''|1");
  EXPECT_EQ(line(all, {"/"}), "/|/|''|/|''|1");
  EXPECT_EQ(line(all, {"x//y"}), "x//y|x//y|y|x|y|1");
  EXPECT_EQ(line(all, {"a.b/c"}), "a.b/c|a.b/c|c|a.b|c|1");
  EXPECT_EQ(line(all, {"//a"}), "//a|//a|a|/|a|1");
  EXPECT_EQ(line(all, {"x//"}), "x//|x//|''|.|''|1");
  EXPECT_EQ(line(all, {"a b.c d"}, 1'000'000), "'a b.c d'|'a b'|'a b.c d'|.|'a b'|1000000");
}

TEST(placeholders, with_a_number_are_of_that_source) {
  const std::vector<std::string> values{"a/b.c", "d e/f.g"};
  EXPECT_EQ(line("{2} {1}", values), "'d e/f.g' a/b.c");
  EXPECT_EQ(line("{1.} {1/} {1//} {1/.}", values), "a/b b.c a b");
  EXPECT_EQ(line("{2.} {2/} {2//} {2/.} {02}", values), "'d e/f' f.g 'd e' f 'd e/f.g'");
}

TEST(placeholders, without_a_number_are_of_all_sources) {
  const std::vector<std::string> values{"a/b.c", "d e/f.g"};
  EXPECT_EQ(line("x {} y", values), "x a/b.c 'd e/f.g' y");
  EXPECT_EQ(line("{/.} {//}", values), "b f a 'd e'");
  EXPECT_EQ(line("\"{}\" '{}'", values), "\"a/b.c d e/f.g\" 'a/b.c d e/f.g'");
}

TEST(placeholders, are_added_where_there_is_none) {
  EXPECT_EQ(line("echo", {"a b"}), "echo 'a b'");
  EXPECT_EQ(line("echo", {"a", "b"}), "echo a b");
  EXPECT_EQ(line("", {"a"}), " a");
  EXPECT_EQ(line("echo {#}", {"a"}, 7), "echo 7");
  EXPECT_EQ(line("echo {1..3} ${x} {a,b} {print $1} {} ", {"v"}), "echo {1..3} ${x} {a,b} {print $1} v ");
  EXPECT_EQ(line("echo {1..3} ${x} ${-} {:} {1:}", {"v"}), "echo {1..3} ${x} ${-} {:} {1:} v");
  EXPECT_EQ(line("{{}} {{1}}", {"v"}), "{v} {v}");
}

TEST(template_of_whole_lines, is_the_value_itself) {
  const Template lines = Template::whole_lines();
  EXPECT_EQ(lines.line({"echo 'a b' | cat"}, 1), "echo 'a b' | cat");
  EXPECT_EQ(lines.line({""}, 1), "");
  EXPECT_EQ(lines.line({"a", "b c"}, 1), "a b c");
}

TEST(tag, is_the_values_and_a_tab) {
  EXPECT_EQ(Template::tag({"a b"}), "a b\t");
  EXPECT_EQ(Template::tag({"a b", "c'd", ""}), "a b c'd \t");
  EXPECT_EQ(Template::tag({""}), "\t");
}

TEST(unknown_placeholders, are_refused_by_name) {
  for (const std::string_view group : {"{%}", "{..}", "{...}", "{-1}", "{+/}", "{= $_ =}", "{=}", "{=s/a/b/=}", "{##}",
                                       "{+1}", "{1#}", "{1..}", "{///}", "{/..}", "{1//.}", "{-}", "{+.}"}) {
    const std::string text = refusal("echo " + std::string{group});
    EXPECT_THAT(text, AllOf(HasSubstr(group), HasSubstr("no such placeholder"), HasSubstr("{} {.} {/} {//} {/.} {#}"),
                            Not(HasSubstr("\n"))));
  }
  EXPECT_THAT(refusal("echo {3}", 2), AllOf(HasSubstr("{3}: there are but 2 input sources"), HasSubstr("write {''3}")));
  EXPECT_THAT(refusal("grep -E \"x{2}\""), AllOf(HasSubstr("{2}: there is but one"), HasSubstr("write {\"\"2}")));
  EXPECT_THAT(refusal("echo {99999999999999999999999.}"), HasSubstr("there is but one"));
  EXPECT_THAT(refusal("echo {0}"), HasSubstr("{0}: sources are counted from 1"));
}

TEST(unknown_placeholders, are_text_in_the_way_that_the_refusal_shows) {
  EXPECT_EQ(test::output_of_shell(line("printf %s 'x{''2}' \"x{\"\"2}\" {''2} #", {""})), "x{2}x{2}{2}");
}

TEST(places_where_shells_differ, are_refused) {
  for (const std::string_view text :
       {"cat <<E\n{}\nE", "echo $'{}'", "echo $'\\'' {}", "echo \"${x:-{}}\"", "echo `a\\`b {}`",
        "echo $((a); echo {})", "echo $(case x in x) echo {};; esac)", "echo $(x # {}\n)"}) {
    EXPECT_THAT(refusal(text), AllOf(HasSubstr("{}: shells differ"), HasSubstr("v={};"))) << text;
  }
  for (const std::string_view text :
       {"echo ${}", "echo \"${}\"", "echo ${#}", "echo ${1}", "echo ${1.}", "echo ${x}${/}"}) {
    EXPECT_THAT(refusal(text), HasSubstr("a dollar sign before a placeholder")) << text;
  }
  EXPECT_EQ(refusal("echo '${}' \\${} \"\\${}\" $x{} $${} $#{}"), "accepted");
  EXPECT_EQ(refusal("case {} in x) echo {};; esac; cat <<<{}"), "accepted");
}

TEST(numbers_before_a_redirection, are_quoted) {
  EXPECT_EQ(line("echo {}>x", {"2"}), "echo '2'>x");
  EXPECT_EQ(line("echo {}<x", {"2"}), "echo '2'<x");
  EXPECT_EQ(line("echo {} >x", {"2"}), "echo 2 >x");
  EXPECT_EQ(line("echo {}>x", {"a"}), "echo a>x");
  EXPECT_EQ(line("echo {#}>x", {"a"}), "echo '1'>x");
  EXPECT_EQ(line("echo {}>x", {"1", "2"}), "echo 1 '2'>x");
}

/// Templates around one placeholder in every place, and what is to be around the value in their output.
struct Around {
  std::string_view text;
  std::string_view before;
  std::string_view after;
};

constexpr Around arounds[] = {
    {"show {}", "", ""},
    {"show x{}y", "x", "y"},
    {"show -{}", "-", ""},
    {"show '{}'", "", ""},
    {"show 'a b'{}'c'", "a b", "c"},
    {"show 'it'\"'\"'s {}'", "it's ", ""},
    {"show 'a\\{}b'", "a\\", "b"},
    {"show \"{}\"", "", ""},
    {"show \"a 'b' {} c\"", "a 'b' ", " c"},
    {"show \"a\\\"{}\\\"\"", "a\"", "\""},
    {"show \"a\\{}\"", "a\\", ""},
    {"show \"a\\\\{}\"", "a\\", ""},
    {"show \\{}", "", ""},
    {"show \\\\{}", "\\", ""},
    {"show \\'{}\\'", "'", "'"},
    {"show \\${}", "$", ""},
    {"show \"\\${}\"", "$", ""},
    {"show '${}'", "$", ""},
    {"show {} # it's", "", ""},
    {": # it's {}\nshow {}", "", ""},
    {": a#\" b\" ; show {}", "", ""},
    {"show \"$(printf %s. {})\"", "", "."},
    {"show \"$(printf %s. \"{}\")\"", "", "."},
    {"show \"$(printf %s. '{}')\" '\"'", "", "."},
    {"show $(printf %s: \"$(show x {} | wc -c >/dev/null)\"){}", ":", ""},
    {"show \"`printf %s. {}`\"", "", "."},
    {"show \"`printf %s. \"{}\"`\"", "", "."},
    {"show \"`printf %s. '{}'`\"", "", "."},
    {"show \"$(printf %s. `: {}`{})\"", "", "."},
    {"show ${none:-'a b'}{}", "a b", ""},
    {"show \"${none:-a}{}\"", "a", ""},
    {"show \"${none:-$(printf %s. {})}\"", "", "."},
    {"show \"$((1+(2)))\"{}", "3", ""},
    {"show $((1<<2)){}", "4", ""},
    {"(show {})", "", ""},
    {"{ show {}; }", "", ""},
    {"v={}; show \"$v\"", "", ""},
    {"v=\"{}\"; show \"$v\"", "", ""},
    {"show {}&wait", "", ""},
    {"show {};:", "", ""},
    {"show {}|cat", "", ""},
    {"case x in x) show {};; esac", "", ""},
};

std::string random_value(std::mt19937_64& random) {
  constexpr std::string_view parts[] = {
      "a", " ", "'",   "\"", "\\",           "\\\\", "$",    "$x", "$(echo no)", "`echo no`", "\n", "\t", "*",
      "~", "#", "=",   "-",  "{}",           "{1}",  "}",    ")",  "(",          "!",         ";",  "\r", ">",
      "&", "|", "%s%", "7",  "\xe2\x82\xac", "\xff", "\x81", "$'", "$\"",        "?"};
  std::string value;
  for (std::size_t count = random() % 6; count > 0; --count) value += parts[random() % std::size(parts)];
  return value;
}

/// Runs the template for each value and compares what the shell saw.
void expect_exact(const Around& around, const std::vector<std::string>& values, const std::string& shell) {
  const Template command{around.text, 1};
  std::string script = "show() { printf '%s\\0' \"$1\"; }\n";
  for (const std::string& value : values) script += command.line({value}, 1) + "\n";
  const std::vector<std::string> seen = test::split(test::output_of_shell(script, shell), '\0');
  ASSERT_EQ(seen.size(), values.size()) << shell << ": " << around.text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::string expected{around.before};
    expected += values[i] + std::string{around.after};
    EXPECT_EQ(seen[i], expected) << shell << ": " << around.text << "\n" << command.line({values[i]}, 1);
  }
}

std::vector<std::string> values_to_try() {
  std::vector<std::string> values{"",    "a",    "a b",        "'",    "\"", "\\", "$",    "`",
                                  "\n",  "\\\n", "\n\\",       "-n",   "'a", "a'", "\"a'", "$x$y",
                                  "a\\", "\\\\", "$(echo no)", "(no)", "#a", "~",  "7",    "HOME"};
  for (int byte = 1; byte < 256; ++byte) values.emplace_back(1, static_cast<char>(byte));
  std::mt19937_64 random{1};
  for (int i = 0; i < 100; ++i) values.push_back(random_value(random));
  return values;
}

class Places : public testing::TestWithParam<std::string> {};

TEST_P(Places, show_the_shell_exactly_the_value) {
  if (!std::filesystem::exists(GetParam().substr(0, GetParam().find(' '))))
    GTEST_SKIP() << "no " << GetParam() << " here";
  const std::vector<std::string> values = values_to_try();
  for (const Around& around : arounds) expect_exact(around, values, GetParam());
}

INSTANTIATE_TEST_SUITE_P(shells, Places, testing::Values("/bin/sh", "/bin/bash", "/bin/bash --posix"),
                         [](const auto& shell) { return "shell_" + std::to_string(shell.index); });

TEST(a_comment, is_not_left_by_a_value) {
  EXPECT_EQ(test::output_of_shell(line(": # it's {}", {"\nprintf no"})), "");
  EXPECT_EQ(test::output_of_shell(line("printf yes # {}", {"'\nprintf no\n'"})), "yes");
}

}  // namespace
}  // namespace echelon::command
