#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <echelon/launch/chatter_filter.hpp>

namespace echelon::launch {
namespace {

constexpr std::string_view dashes = "--------------------------------------------------------------------------\n";

std::string block(std::string_view text) { return std::string{dashes} + std::string{text} + std::string{dashes}; }

const std::string aborted = block(
    "Primary job  terminated normally, but 1 process returned\n"
    "a non-zero exit code. Per user-direction, the job has been aborted.\n");
const std::string killed =
    block("mpirun noticed that process rank 1 with PID 0 on node vm exited on signal 9 (Killed).\n");
const std::string detected = block(
    "mpirun detected that one or more processes exited with non-zero status, thus causing\n"
    "the job to be terminated. The first process to do so was:\n"
    "\n"
    "  Process name: [[17237,1],1]\n"
    "  Exit code:    3\n");
const std::string mpi_abort = block(
    "MPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\n"
    "with errorcode 4.\n"
    "\n"
    "NOTE: invoking MPI_ABORT causes Open MPI to kill all MPI processes.\n"
    "You may or may not see output from other processes, depending on\n"
    "exactly when Open MPI kills them.\n");
const std::string no_slots = block(
    "There are not enough slots available in the system to satisfy the 8\n"
    "slots that were requested by the application:\n"
    "\n"
    "  prog\n"
    "\n"
    "Either request fewer slots for your application, or make more slots\n"
    "available for use.\n");

struct Filtered {
  std::string text;
  ChatterFilter filter;
};

/// The same text whole, byte by byte and in pieces of 7 must come out the same.
Filtered filtered(const std::string& text) {
  Filtered whole;
  whole.text = whole.filter.feed(text);
  whole.text += whole.filter.finish();
  for (const std::size_t size : {std::size_t{1}, std::size_t{7}}) {
    Filtered pieces;
    for (std::size_t at = 0; at < text.size(); at += size) pieces.text += pieces.filter.feed(text.substr(at, size));
    pieces.text += pieces.filter.finish();
    EXPECT_EQ(pieces.text, whole.text) << "in pieces of " << size;
    EXPECT_EQ(pieces.filter.killed().has_value(), whole.filter.killed().has_value());
    EXPECT_EQ(pieces.filter.rank_failed(), whole.filter.rank_failed());
  }
  return whole;
}

TEST(chatter_filter, text_of_the_ranks_passes) {
  for (const char* text : {"", "hello\n", "hello", "a\n\nb\n", "-", "--\n", "----------\n", "- item\n", "--option\n",
                           "42 % done\r43 % done\r", "\n",
                           // A rank's own line of dashes, but for its length like Open MPI's.
                           "---------------------------------------------------------------------------\nmine\n"}) {
    const Filtered f = filtered(text);
    EXPECT_EQ(f.text, text);
    EXPECT_FALSE(f.filter.killed());
    EXPECT_FALSE(f.filter.rank_failed());
  }
}

TEST(chatter_filter, status_of_a_rank_is_kept_back) {
  for (const std::string& chatter : {aborted, detected, mpi_abort}) {
    const Filtered f = filtered("before\n" + chatter + "after\n");
    EXPECT_EQ(f.text, "before\nafter\n");
    EXPECT_TRUE(f.filter.rank_failed());
    EXPECT_FALSE(f.filter.killed());
  }
}

TEST(chatter_filter, killed_rank_is_kept_back_and_told) {
  const Filtered f = filtered(aborted + killed);
  EXPECT_EQ(f.text, "");
  ASSERT_TRUE(f.filter.killed());
  EXPECT_EQ(f.filter.killed()->rank, 1);
  EXPECT_EQ(f.filter.killed()->host, "vm");
  EXPECT_EQ(f.filter.killed()->signal, 9);
  EXPECT_EQ(f.filter.killed()->signal_name, "Killed");
}

TEST(chatter_filter, killed_rank_is_found_across_line_breaks) {
  const Filtered f =
      filtered(block("mpirun noticed that process rank 12 with PID 4711 on node\n"
                     "node-7.cluster exited on signal 11 (Segmentation fault).\n"));
  EXPECT_EQ(f.text, "");
  ASSERT_TRUE(f.filter.killed());
  EXPECT_EQ(f.filter.killed()->rank, 12);
  EXPECT_EQ(f.filter.killed()->host, "node-7.cluster");
  EXPECT_EQ(f.filter.killed()->signal, 11);
  EXPECT_EQ(f.filter.killed()->signal_name, "Segmentation fault");
}

TEST(chatter_filter, asides_are_kept_back) {
  const Filtered f =
      filtered(mpi_abort +
               "[vm:06545] 1 more process has sent help message help-mpi-api.txt / mpi-abort\n"
               "[vm:06545] Set MCA parameter \"orte_base_help_aggregate\" to 0 to see all help / error messages\n"
               "[vm:19921] [[8495,0],0] ORTE_ERROR_LOG: Data unpack would read past end of buffer in file "
               "../../../orte/util/show_help.c at line 501\n"
               "[a rank's own line]\n[and one without an end");
  EXPECT_EQ(f.text, "[a rank's own line]\n[and one without an end");
}

TEST(chatter_filter, failure_of_mpirun_itself_passes) {
  const Filtered f = filtered(no_slots);
  EXPECT_EQ(f.text, no_slots);
  EXPECT_FALSE(f.filter.rank_failed());
  EXPECT_FALSE(f.filter.killed());
}

TEST(chatter_filter, text_between_blocks_keeps_its_order) {
  const Filtered f = filtered("one\n" + no_slots + "two\n" + killed + "three\n" + no_slots + "four");
  EXPECT_EQ(f.text, "one\n" + no_slots + "two\nthree\n" + no_slots + "four");
  EXPECT_TRUE(f.filter.killed());
}

TEST(chatter_filter, progress_line_passes_before_it_ends) {
  ChatterFilter filter;
  EXPECT_EQ(filter.feed("42 % done"), "42 % done");
  EXPECT_EQ(filter.feed("\r43 % done"), "\r43 % done");
  EXPECT_EQ(filter.feed("\n"), "\n");
  EXPECT_EQ(filter.feed("---"), "");  // may become a line of dashes
  EXPECT_EQ(filter.feed("> here"), "---> here");
  EXPECT_EQ(filter.finish(), "");
}

TEST(chatter_filter, block_right_after_a_progress_line_is_kept_back) {
  ChatterFilter filter;
  EXPECT_EQ(filter.feed("42 % done"), "42 % done");
  EXPECT_EQ(filter.feed(killed), "");
  EXPECT_TRUE(filter.killed());
}

TEST(chatter_filter, block_is_passed_on_when_it_closes) {
  ChatterFilter filter;
  const std::string open = no_slots.substr(0, no_slots.size() - dashes.size());
  EXPECT_EQ(filter.feed(open), "");
  EXPECT_EQ(filter.feed(dashes), no_slots);
}

TEST(chatter_filter, unfinished_block_is_judged_at_the_end) {
  for (const std::size_t missing : {std::size_t{1}, std::size_t{10}, dashes.size(), dashes.size() + 1}) {
    const std::string open = no_slots.substr(0, no_slots.size() - missing);
    EXPECT_EQ(filtered(open).text, open);
    const Filtered status = filtered(aborted.substr(0, aborted.size() - missing));
    EXPECT_EQ(status.text, "");
    EXPECT_TRUE(status.filter.rank_failed());
    const Filtered signal = filtered(killed.substr(0, killed.size() - missing));
    EXPECT_EQ(signal.text, "");
    EXPECT_TRUE(signal.filter.killed());
  }
  const std::string only_dashes{dashes};
  EXPECT_EQ(filtered(only_dashes).text, only_dashes);
}

}  // namespace
}  // namespace echelon::launch
