// What a shell's user may name instead of a file: pipes, FIFOs, devices and descriptors, which only the process that
// was typed has, or which can be read but once.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "cli/map_fixture.hpp"

namespace echelon::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class map_inputs : public MapTest {};

TEST_F(map_inputs, are_read_from_whatever_was_named) {
  ASSERT_EQ(mkfifo(path("fifo").c_str(), 0600), 0);
  write("file", "skipped\na\nb\n");
  const std::vector<std::string> ways{
      "map -k -a /dev/stdin echo",
      "map -k echo :::: /dev/stdin",
      "map -k -a - echo",
      "map -k -a /dev/fd/0 echo",
      "map -k -a <(cat) echo",
      "map -k --arg-file=<(cat) echo",
      "map -k echo :::: <(cat)",
      "printf 'a\\nb\\n' >fifo & map -k -a fifo echo",
      "exec 7<&0; map -k -a /dev/fd/7 echo </dev/null",
      "exec 7<file; read -u 7 skipped; map -k -a /dev/fd/7 echo </dev/null",
  };
  for (const std::string& way : ways) {
    SCOPED_TRACE(way);
    const Outcome outcome = bash(way + "; exit $?", "a\nb\n");
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    EXPECT_EQ(outcome.out, "a\nb\n");
    EXPECT_EQ(outcome.err, "");
  }
}

TEST_F(map_inputs, of_several_sources_are_combined) {
  const Outcome outcome = bash("map -k echo :::: <(printf '1\\n2\\n') /dev/stdin ::: x :::: <(echo y)", "a\nb\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  EXPECT_EQ(outcome.out, "1 a x y\n1 b x y\n2 a x y\n2 b x y\n");
  const Outcome twice = bash("map echo :::: - /dev/stdin", "a\n");
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.err, HasSubstr("standard input can be one input source only"));
}

TEST_F(map_inputs, that_cannot_be_read_are_never_empty) {
  for (const std::string way : {"map -a /dev/stdin echo <&-", "map -a /dev/fd/9 echo", "map -a /dev/stdin echo <.",
                                "map -a nowhere echo", "map echo :::: <(echo a) /dev/fd/9", "map -a . echo"}) {
    SCOPED_TRACE(way);
    const Outcome outcome = bash(way, "a\nb\n");
    EXPECT_EQ(outcome.exit_code, 2) << outcome;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
  }
}

TEST_F(map_inputs, from_a_pipe_are_resumed_by_what_they_are) {
  const Outcome first = bash("map -k --journal j 'echo {}; test -e mended || test {} != b' :::: <(cat)", "a\nb\nc\n");
  EXPECT_EQ(first.exit_code, 3) << first;
  EXPECT_EQ(first.out, "a\nb\nc\n");
  write("mended", "");
  const std::string again = "map -k --journal j --resume-failed 'echo {}; test -e mended || test {} != b' :::: <(cat)";
  const Outcome second = bash(again, "a\nb\nc\n");
  EXPECT_EQ(second.exit_code, 0) << second;
  EXPECT_EQ(second.out, "b\n");
  const Outcome other = bash(again, "a\nx\nc\n");
  EXPECT_EQ(other.exit_code, 2) << other;
  EXPECT_THAT(other.err, HasSubstr("the list has changed"));
}

TEST_F(map_inputs, output_and_logs_go_to_pipes_and_devices_too) {
  const Outcome pipe = bash(
      "map -k --output >(tr a-z A-Z >out; : >done) --joblog >(cut -f 1,9 >log) echo ::: a b; "
      "status=$?; until test -e done -a \"$(wc -l <log)\" = 3; do sleep 0.01; done; exit $status");
  EXPECT_EQ(pipe.exit_code, 0) << pipe;
  EXPECT_EQ(pipe.out, "");
  EXPECT_EQ(read("out"), "A\nB\n");
  EXPECT_THAT(lines(read("log")), UnorderedElementsAre("Seq\tCommand", "1\techo a", "2\techo b"));
  // Behind what is there already, as the shell has opened it.
  const Outcome appended = bash("echo first >all; map -k --output /dev/stdout echo ::: a >>all");
  EXPECT_EQ(appended.exit_code, 0) << appended;
  EXPECT_EQ(read("all"), "first\na\n");
  const Outcome errors = bash("map -k --output /dev/stderr --joblog /dev/stdout echo ::: a");
  EXPECT_EQ(errors.err, "a\n");
  EXPECT_EQ(tasks_of_joblog(errors.out).size(), 1U) << errors;
  const Outcome nowhere =
      bash("map --results r --output /dev/null --joblog /dev/null echo ::: a; test ! -e /dev/null.journal");
  EXPECT_EQ(nowhere.exit_code, 0) << nowhere;
  EXPECT_EQ(nowhere.out + nowhere.err, "");
  EXPECT_EQ(read("r/1/a/stdout"), "a\n");
  // These have to be files.
  for (const std::string way : {"map --journal /dev/null echo ::: a", "map --journal >(cat) echo ::: a",
                                "map --results /dev/stdout echo ::: a"}) {
    SCOPED_TRACE(way);
    const Outcome refused = bash(way);
    EXPECT_EQ(refused.exit_code, 2) << refused;
    EXPECT_EQ(lines(refused.err).size(), 1U) << refused;
  }
  const Outcome full = bash("map --output /dev/full --journal j echo ::: a");
  EXPECT_EQ(full.exit_code, 4) << full;
  EXPECT_THAT(full.err, HasSubstr("No space left on device; once that is mended, --resume goes on"));
}

TEST_F(map_inputs, journals_and_records_are_read_from_pipes) {
  const Outcome ran = bash("map --journal j --json r.json echo ::: a b");
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const std::string program = ECHELON_PROGRAM;
  const Outcome journal =
      bash("diff <('" + program + "' journal j) <('" + program + "' journal <(cat j) | sed 's,/dev/fd/[0-9]*,j,')");
  EXPECT_EQ(journal.exit_code, 0) << journal;
  const Outcome joblog = bash("'" + program + "' journal <(cat j) --joblog -");
  EXPECT_EQ(tasks_of_joblog(joblog.out).size(), 2U) << joblog;
  const Outcome none = bash("'" + program + "' journal <(echo no journal)");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("/dev/fd/"));
  EXPECT_THAT(none.err, HasSubstr("is not a journal"));
  const Outcome report =
      bash("'" + program + "' pi --points 1e5 --quiet --json p.json && '" + program + "' report <(cat p.json) p.json");
  EXPECT_EQ(report.exit_code, 0) << report;
}

}  // namespace
}  // namespace echelon::test
