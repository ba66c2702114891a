// GNU parallel is the reference for what `echelon map` has in common with it: both are given the same work, and what
// they print and write is compared byte for byte. README.md says where they differ.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/gnu_parallel.hpp"
#include "support/run_echelon.hpp"
#include "support/shell.hpp"
#include "support/temporary_folder.hpp"

namespace echelon::test {
namespace {

namespace fs = std::filesystem;
using namespace std::string_literals;

/// Inputs that a shell, a file system or a terminal takes for something else; none has a newline.
const std::vector<std::string> awkward{"plain",
                                       "a b",
                                       " lead",
                                       "trail  ",
                                       "it's",
                                       "\"dq\"",
                                       "$HOME",
                                       "`id`",
                                       "$(id)",
                                       "back\\slash",
                                       "\\n",
                                       "a;b",
                                       "a&b",
                                       "a|b",
                                       "*",
                                       "~",
                                       "~root",
                                       "#x",
                                       "x#y",
                                       "-n",
                                       "--",
                                       "tab\there",
                                       "",
                                       "!x",
                                       "{}",
                                       "(x)",
                                       "%d",
                                       "a=b",
                                       "[x]",
                                       "?",
                                       "ü€😀",
                                       "\xff\xfe \x80",
                                       "\x01\x7f",
                                       "\r",
                                       "a'b\"c`d$e\\f",
                                       ":::",
                                       "<in",
                                       ">out",
                                       "'",
                                       "\"",
                                       "\\"};
/// Inputs that are paths, well-formed or not.
const std::vector<std::string> paths{"/a/b.c/d.tar.gz",
                                     "d.tar.gz",
                                     ".hidden",
                                     "/a/.hidden",
                                     "a/b/",
                                     "/",
                                     "//",
                                     "a",
                                     "",
                                     "a.b/c",
                                     "./x.y",
                                     "../up",
                                     "x.",
                                     "a//b.c",
                                     "sp ace/na me.e x t",
                                     "/usr",
                                     "usr/",
                                     ".",
                                     "..",
                                     "a/..",
                                     "/.",
                                     "a.b.",
                                     "\xff/\xfe.\xfd",
                                     "it's.a/$b.c"};

std::string joined(const std::vector<std::string>& values, char end = '\n') {
  std::string text;
  for (const std::string& value : values) text += value + end;
  return text;
}

/// What a run leaves: files by their paths, and empty folders.
std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator{folder}) {
    const std::string name = entry.path().lexically_relative(folder);
    if (entry.is_directory()) {
      if (fs::is_empty(entry)) all[name + '/'] = "";
      continue;
    }
    std::ifstream file{entry.path(), std::ios::binary};
    all[name] = {std::istreambuf_iterator<char>{file}, {}};
  }
  return all;
}

struct Ran {
  Outcome outcome;
  std::map<std::string, std::string> files;
};

class gnu_parallel : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system("parallel --version 2>/dev/null | grep -q '^GNU parallel' 2>/dev/null") != 0) {
      GTEST_SKIP() << "GNU parallel is not installed, so there is nothing to compare with; apt-get install parallel";
    }
  }
  ~gnu_parallel() override { expect_nothing_left(); }

  /// Files that there are for both.
  std::map<std::string, std::string> given;
  int jobs = 2;

  [[nodiscard]] Ran run(const Arguments& program, const Arguments& arguments, const std::string& input) const {
    const TemporaryFolder folder;
    const TemporaryFolder home;
    home.write("input", input);
    for (const auto& [name, text] : given) folder.write(name, text);
    RunOptions options =
        alone({.folder = folder.path(), .input_file = home.path() / "input", .limit = std::chrono::seconds{60}});
    options.environment["HOME"] = home.path();
    options.environment["PARALLEL_SHELL"] = "/bin/sh";
    options.environment["PARALLEL"] = std::nullopt;
    Ran ran;
    ran.outcome = run_program(program + Arguments{"-j", std::to_string(jobs), "-k"} + arguments, options);
    ran.files = tree(folder.path());
    // What echelon has besides.
    std::erase_if(ran.files, [](const auto& file) { return file.first.ends_with(".journal"); });
    return ran;
  }
  [[nodiscard]] Ran parallel(const Arguments& arguments, const std::string& input = "") const {
    return run({"parallel"}, arguments, input);
  }
  [[nodiscard]] Ran echelon(const Arguments& arguments, const std::string& input = "") const {
    return run(echelon_command({"map", "--quiet"}), arguments, input);
  }

  /// Standard output, standard error, files, and whether all went well: what ended badly is another status there.
  void expect_same(const Arguments& arguments, const std::string& input = "") const {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Ran theirs = parallel(arguments, input);
    const Ran ours = echelon(arguments, input);
    EXPECT_EQ(split(ours.outcome.out), split(theirs.outcome.out));
    EXPECT_EQ(ours.outcome.out, theirs.outcome.out);
    EXPECT_EQ(ours.outcome.err, theirs.outcome.err);
    EXPECT_EQ(ours.files, theirs.files);
    EXPECT_EQ(ours.outcome.exit_code, theirs.outcome.exit_code == 0 ? 0 : 3);
  }
};

/// One line an argument, so that it shows where each begins and ends.
const std::string show = R"(printf '[%s]\n')";

TEST_F(gnu_parallel, replacement_strings_of_awkward_inputs) {
  // Two of each kind a run; all kinds alone too, by --dry-run, which shows how they are quoted.
  const std::string input = joined(awkward) + joined(paths);
  expect_same({show}, input);
  expect_same({show, "{}", "{.}", "{/}", "{//}", "{/.}", "{#}"}, input);
  expect_same({show + " {1} {1.} {1/} {1//} {1/.} x{}y{#}{.}z"}, input);
  expect_same({"--dry-run", show, "{}", "{.}", "{/}", "{//}", "{/.}", "{#}"}, input);
  expect_same({"--dry-run", show + " <{} >{/}.out; cat {.}{#}"}, input);
  expect_same({"--tag", show}, joined(paths));
}

TEST_F(gnu_parallel, null_ends_inputs_with_newlines) {
  const std::string input = "a\nb\0c\0\0 d\n\0e"s + joined(awkward, '\0');
  expect_same({"-0", show}, input);
  expect_same({"--null", "--dry-run", show, "{}", "{/}", "{.}"}, input);
}

TEST_F(gnu_parallel, arguments_on_the_command_line) {
  Arguments all{show, ":::"};
  for (const std::string& value : awkward) {
    if (!value.starts_with(":::")) all.push_back(value);
  }
  expect_same(all);
  expect_same({show, "{}", ":::", "a", "b c", ":::", "1", "2", ":::", "x", "y"});
  expect_same({show + " {3} {1.} {2/} {2//} {1/.} {#}", ":::", "p.q/a.c", "b c", ":::", "1/b.d", "2", ":::", "x", "y"});
  expect_same({"--dry-run", "echo", ":::", "a", "b", ":::", "$x", "y z"});
  expect_same({show, ":::"});
  expect_same({show, ":::", "a", "b", ":::"});
  expect_same({":::", "echo a", "echo b | cat", "true && echo c"});
}

TEST_F(gnu_parallel, files_of_arguments) {
  given = {{"f1", "one\ntwo\n"}, {"f2", "x y\n\nz"}, {"empty", ""}, {"newline", "\n"}};
  expect_same({"-a", "f2", show});
  expect_same({"-a", "f1", "-a", "f2", show, "{2}", "{1}"});
  expect_same({"--arg-file", "f1", show, ":::", "q", "r"});
  expect_same({show, "::::", "f1", "f2"});
  expect_same({show, "::::", "f1", ":::", "q", "r", "::::", "empty"});
  expect_same({show, "::::", "empty"});
  expect_same({show, "::::", "newline"});
  expect_same({show, "::::", "-", "f1"}, "a\nb");
}

TEST_F(gnu_parallel, lines_are_commands_where_there_is_none) {
  const std::string commands =
      "echo a; echo b\necho 'x  y' | tr x z\nX=3; echo $X && echo t\n\necho {} {#} {1}\n# comment\nfalse || echo or\n"
      "echo out >f; cat <f\n(echo sub; echo shell) 2>&1 | sort -r\nfor i in 1 2; do echo $i; done\n  echo lead\n"
      "echo \"it's\" `echo back` $(echo dollar) $((1+2))\necho last";
  expect_same({}, commands);
  expect_same({"--dry-run"}, commands);
  expect_same({"--tag"}, commands);
}

TEST_F(gnu_parallel, commands_are_shell_text) {
  const std::string input = "abc\nd e\nf$g\n";
  expect_same({"echo {} | tr a-z A-Z > {#}.out && cat {#}.out; v={}; echo \"$v\" >&2"}, input);
  expect_same({"echo", "-n", "{}", "x y", "; echo"}, input);
  expect_same({"if test {} = abc; then echo yes; else echo no; fi"}, input);
  expect_same({"echo {foo} {x,y} {a} {} \\{\\} $HOSTNAME"}, input);
  expect_same({"f() { echo \"<$1>\"; }; f"}, input);
}

TEST_F(gnu_parallel, tags_each_line) {
  const std::string input = "a\nb c\n\n";
  expect_same({"--tag", "printf 'one\\ntwo\\n\\nthree'; echo; echo {} >&2"}, input);
  expect_same({"--tag", "printf 'no newline' #"}, input);
  expect_same({"--tag", "true"}, input);
  expect_same({"--tag", "echo", ":::", "a", "b", ":::", "1", "2"});
}

TEST_F(gnu_parallel, results_are_the_same_tree) {
  std::vector<std::string> values = awkward;
  for (const std::string& value : paths) {
    if (value != "." && value != ".." && value != "a" && !value.empty()) values.push_back(value);  // see README.md
  }
  std::erase_if(values, std::not_fn(names_results_alike));
  expect_same({"--results", "r", "echo {} {#}; echo e{} >&2"}, joined(values));
  Arguments two_inputs{"--results", "deep/er/", "printf '%s\\0\\377' {1}-{2}", ":::", "a", "b", ":::", "1", "2 x"};
  if (names_results_alike("")) two_inputs.emplace_back("");
  expect_same(two_inputs);
  expect_same({"--results", "r"}, "echo a; echo b\necho x >&2; exit 3\n");
  expect_same({"-0", "--results", "r", "--tag", "echo"}, "a\nb\0c\0"s);
}

/// Header; of each line sequence number, bytes received, exit value, signal and command.
std::vector<std::vector<std::string>> joblog(const Ran& ran) {
  std::vector<std::vector<std::string>> found;
  for (const std::string& line : split(ran.files.at("log"))) {
    std::vector<std::string> columns = split(line, '\t');
    if (!found.empty()) {
      columns.resize(std::max<std::size_t>(columns.size(), 9));
      // Newer versions have an exit value where a signal has ended a command, too.
      if (columns[7] != "0" && columns[6] == std::to_string(128 + std::atoi(columns[7].c_str()))) columns[6] = "0";
      columns.erase(columns.begin() + 1, columns.begin() + 5);  // host, times, bytes sent
    }
    found.push_back(columns);
  }
  if (found.size() > 1) std::sort(found.begin() + 1, found.end());
  return found;
}

TEST_F(gnu_parallel, joblog_has_the_same_columns) {
  const auto same = [&](const Arguments& arguments, const std::string& input) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    const Ran theirs = parallel(Arguments{"--joblog", "log"} + arguments, input);
    const Ran ours = echelon(Arguments{"--joblog", "log"} + arguments, input);
    EXPECT_EQ(joblog(ours), joblog(theirs));
    EXPECT_EQ(ours.outcome.out, theirs.outcome.out);
  };
  same({"exit"}, "0\n1\n2\n3\n127\n200\n255\n");
  same({"kill -{} $$"}, "9\n15\n11\n2\n1\n6\n");
  same({"-0", "printf %s {}"}, joined(awkward, '\0') + "a\nb\0"s);
  same({}, "nonexistent_command\n/etc\n/nowhere/x\necho two  words\n");
  same({"--timeout", "1"}, "echo short\nexec sleep 60\n");
  same({"--retries", "3", "exit"}, "0\n1\n");
  same({"echo"}, "");
}

TEST_F(gnu_parallel, a_command_is_tried_as_often) {
  expect_same({"--retries", "3", "echo {} >> tries; exit {}"}, "1\n");
  expect_same({"--retries", "1", "echo {} >> tries; exit {}"}, "1\n");
  expect_same({"--retries", "4", "echo {} >> tries; test $(wc -l < tries) -ge 3 && echo {}"}, "a\n");
}

TEST_F(gnu_parallel, resumes_what_has_not_ended_or_failed) {
  for (const std::string how : {"--resume", "--resume-failed"}) {
    SCOPED_TRACE(how);
    const Arguments twice{"sh", "-c", R"("$@"; touch mended; cp ran ran_first; "$@")", "sh"};
    const Arguments work{how,   "--joblog", "log", "echo {} >>ran; test -e mended || exit {}; echo {}",
                         ":::", "0",        "3",   "0"};
    jobs = 1;  // so that the order is one
    const Ran theirs = run(twice + Arguments{"parallel"}, work, "");
    const Ran ours = run(twice + echelon_command({"map", "--quiet"}), work, "");
    EXPECT_EQ(ours.outcome.out, theirs.outcome.out);
    EXPECT_EQ(ours.files.at("ran_first"), theirs.files.at("ran_first"));
    EXPECT_EQ(ours.files.at("ran"), theirs.files.at("ran"));
    EXPECT_EQ(joblog(ours), joblog(theirs));
    EXPECT_EQ(theirs.outcome.exit_code, 0);
    // Here the status is that of the whole list, whichever run it was in which a task has failed.
    EXPECT_EQ(ours.outcome.exit_code, how == "--resume" ? 3 : 0) << ours.outcome;
  }
}

TEST_F(gnu_parallel, halts_after_the_same_task) {
  jobs = 1;
  const std::string input = "0\n7\n0\n9\n0\n0\n";
  for (const std::string halt :
       {"soon,fail=1", "now,fail=1", "soon,fail=2", "soon,success=2", "now,done=2", "soon,done=50%", "20%", "-2"}) {
    SCOPED_TRACE(halt);
    const Ran theirs = parallel({"--halt", halt, "touch ran{#}; exit {}"}, input);
    const Ran ours = echelon({"--halt", halt, "touch ran{#}; exit {}"}, input);
    EXPECT_EQ(ours.files, theirs.files);
    const bool well = halt.find("success") != std::string::npos || halt[0] == '-';
    EXPECT_EQ(theirs.outcome.exit_code == 0, well);
    EXPECT_EQ(ours.outcome.exit_code, well ? 0 : 3);
  }
}

TEST_F(gnu_parallel, halt_kills_what_runs_now_and_waits_for_it_soon) {
  // The second fails when the first has begun.
  const std::string begun = "until test -e begun; do sleep 0.01; done; ";
  const auto same = [&](const std::string& halt, const std::string& first) {
    SCOPED_TRACE(halt);
    const std::string input = first + "\n" + begun + "false\ntouch never\ntouch never\n";
    const Ran theirs = parallel({"--halt", halt}, input);
    const Ran ours = echelon({"--halt", halt}, input);
    EXPECT_EQ(ours.files, theirs.files);
    EXPECT_EQ(ours.outcome.out, theirs.outcome.out);
    EXPECT_NE(theirs.outcome.exit_code, 0);
    EXPECT_EQ(ours.outcome.exit_code, 3) << ours.outcome;
  };
  same("now,fail=1", "touch begun; sleep 60; touch end");
  same("soon,fail=1", "touch begun; sleep 0.5; echo waited; touch end");
}

// Values within quotes are values, where GNU parallel's quotes end those of the command: "{}" would run `id`.
TEST_F(gnu_parallel, differs_where_it_is_unsafe) {
  const std::string input = "$HOME\n`id`\nit's\n";
  const Ran ours = echelon({R"(printf '[%s]\n' "{}" '{}')"}, input);
  EXPECT_EQ(ours.outcome.out, "[$HOME]\n[$HOME]\n[`id`]\n[`id`]\n[it's]\n[it's]\n") << ours.outcome;
  const Ran dots = echelon({"--results", "r", "true #"}, ".\n..\n");  // these would be files outside r/1
  EXPECT_EQ(dots.files.count("r/1/\\./seq"), 1U);
  EXPECT_EQ(dots.files.count("r/1/\\../seq"), 1U);
}

}  // namespace
}  // namespace echelon::test
