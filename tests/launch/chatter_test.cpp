#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/launch/chatter.hpp>

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

/// The same text whole, byte by byte and in pieces of 7 must come out the same. `started`: on all ranks.
std::string passed(const std::string& text, bool started = false) {
  std::string whole;
  for (const std::size_t size : {text.size() + 1, std::size_t{1}, std::size_t{7}}) {
    Chatter chatter;
    if (started) chatter.note_start();
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += size) out += chatter.feed(text.substr(at, size));
    out += chatter.finish();
    if (size > text.size()) whole = out;
    EXPECT_EQ(out, whole) << "in pieces of " << size;
  }
  return whole;
}

TEST(chatter, text_of_the_ranks_passes) {
  for (const char* text : {"", "hello\n", "hello", "a\n\nb\n", "-", "--\n", "----------\n", "- item\n", "--option\n",
                           "42 % done\r43 % done\r", "\n",
                           // A rank's own line of dashes, but for its length like Open MPI's.
                           "---------------------------------------------------------------------------\nmine\n"}) {
    EXPECT_EQ(passed(text), text);
  }
}

TEST(chatter, word_of_a_pipe_that_is_gone_is_kept_back) {
  const std::string text = passed(
      "before\n[warn] Epoll MOD(1) on fd 27 failed. Old events were 6; read change was 0 (none); write change was 2 "
      "(del); close change was 0 (none): Bad file descriptor\n[warn] of mine\nafter\n");
  EXPECT_EQ(text, "before\n[warn] of mine\nafter\n");
}

const std::string killed_5 =
    block("prterun noticed that process rank 1 with PID\n14 on node vm exited on\nsignal 9 (Killed).\n");

TEST(chatter, end_of_a_rank_is_kept_back) {
  const std::string nul(1, '\0');
  for (const std::string& chatter : {aborted, detected, mpi_abort, killed, killed_5, nul + mpi_abort}) {
    EXPECT_EQ(passed("before\n" + chatter + nul), "before\n");
    EXPECT_EQ(passed("before\n" + chatter + "after\n"), "before\nafter\n");
  }
}

TEST(chatter, asides_are_kept_back) {
  const std::string text =
      passed(mpi_abort +
             "[vm:06545] 1 more process has sent help message help-mpi-api.txt / mpi-abort\n"
             "[vm:06545] Set MCA parameter \"orte_base_help_aggregate\" to 0 to see all help / error messages\n"
             "[vm:19921] [[8495,0],0] ORTE_ERROR_LOG: Data unpack would read past end of buffer in file "
             "../../../orte/util/show_help.c at line 501\n"
             "[vm:25065] plm:rsh: Warning: setpgid(25069,25069) failed in parent with errno=Permission denied(13)\n"
             "[a rank's own line]\n[and one without an end");
  EXPECT_EQ(text, "[a rank's own line]\n[and one without an end");
}

const std::string lost_peer =
    "[vm:27456] PMIX ERROR: BAD-PARAM in file ../../../src/event/pmix_event_notification.c at line 1033\n";
const std::vector<std::string> losses{block("ORTE was unable to reliably start one or more daemons.\n"
                                            "This usually is caused by:\n"),
                                      block("ORTE has lost communication with a remote daemon.\n\n"
                                            "  HNP daemon   : [[1,0],0] on node a\n"),
                                      block("An MPI communication peer process has unexpectedly disconnected.  This\n"
                                            "usually indicates a failure in the peer process (e.g., a crash or\n"),
                                      block("WARNING: Open MPI failed to TCP connect to a peer MPI process.  This\n"
                                            "should not happen.\n")};

TEST(chatter, signal_that_is_handed_on_is_kept_back) {
  EXPECT_EQ(passed("before\nmpirun: Forwarding signal 10 to job\nafter\n"), "before\nafter\n");
  for (const char* text : {"mpirun: Forwarding signals\n", "mpi", "say mpirun: Forwarding signal 10 to job\n"}) {
    EXPECT_EQ(passed(text), text);
  }
}

TEST(chatter, lost_peer_is_kept_back_out_of_a_line_of_a_rank) {
  EXPECT_EQ(passed("42 % done" + lost_peer + "\r43 % done" + lost_peer + "\n[vm:3] mine\n[vm:3]"),
            "42 % done\r43 % done\n[vm:3] mine\n[vm:3]");
}

TEST(chatter, line_in_the_middle_of_a_block_is_taken_out) {
  for (std::size_t at = no_slots.find('\n') + 1; at < no_slots.size(); at = no_slots.find('\n', at) + 1) {
    EXPECT_EQ(passed(no_slots.substr(0, at) + lost_peer + no_slots.substr(at)), no_slots);
  }
}

TEST(chatter, loss_of_a_node_or_peer_is_kept_back_but_not_of_one_that_was_never_there) {
  for (const std::string& loss : losses) {
    EXPECT_EQ(passed(loss, true), "");
    EXPECT_EQ(passed(loss), loss);
  }
}

TEST(chatter, words_of_srun_are_kept_back) {  // as srun 22.05 said it, of a rank that was killed
  EXPECT_EQ(passed("srun: cluster configuration lacks support for cpu binding\n"
                   "srun: error: n2: task 3: Killed\n"
                   "srun: error: n2: task 3: Segmentation fault (core dumped)\n"
                   "srun: launch/slurm: _step_signal: Terminating StepId=8.0\n"
                   "slurmstepd-n1: error: *** STEP 8.0 ON n1 CANCELLED AT 2026-11-21T19:43:21 ***\n"
                   "srun: error: n2: task 2: Terminated\n"
                   "srun: error: n1: tasks 0-1: Terminated\n"
                   "srun: Force Terminated StepId=8.0\n"
                   "srun: forcing job termination\n"
                   "srun: error: Timed out waiting for job step to complete\n"
                   "echelon: --points: 'x' is not a number\nsrun: error: n2: task 3: Exited with exit code 2\n"),
            "echelon: --points: 'x' is not a number\n");
}

TEST(chatter, words_of_srun_that_the_user_must_know_pass) {
  const std::string text =
      "srun: error: Unable to create step for job 5: More processors requested than permitted\n"
      "slurmstepd: error: *** STEP 8.0 ON n1 CANCELLED AT 2026-11-21T19:43:21 DUE TO TIME LIMIT ***\n"
      "a rank says: srun: error: n2: task 3: Killed\n"
      "srun: error: n2: task 3: something new\n";
  EXPECT_EQ(passed(text), text);
}

// A launcher of another version, or in another language.
TEST(chatter, a_mebibyte_of_unknown_text_passes_once) {
  for (const std::string& piece :
       {std::string{"[vm:12] Rang 1 ist verloren\n"}, std::string{"x"}, std::string{dashes},
        "srun: " + std::string(5000, 'y'), std::string{dashes} + "Der Prozess mit Rang 1 auf vm ist beendet.\n"}) {
    std::string text;
    while (text.size() < (1U << 20U)) text += piece;
    Chatter chatter;
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += 65536) out += chatter.feed(text.substr(at, 65536));
    EXPECT_TRUE(out + chatter.finish() == text) << piece;
  }
}

TEST(chatter, failure_of_mpirun_itself_passes) { EXPECT_EQ(passed(no_slots), no_slots); }

TEST(chatter, text_between_blocks_keeps_its_order) {
  EXPECT_EQ(passed("one\n" + no_slots + "two\n" + killed + "three\n" + no_slots + "four"),
            "one\n" + no_slots + "two\nthree\n" + no_slots + "four");
}

TEST(chatter, progress_line_passes_before_it_ends) {
  Chatter filter;
  EXPECT_EQ(filter.feed("42 % done"), "42 % done");
  EXPECT_EQ(filter.feed("\r43 % done"), "\r43 % done");
  EXPECT_EQ(filter.feed("\n"), "\n");
  EXPECT_EQ(filter.feed("---"), "");  // may become a line of dashes
  EXPECT_EQ(filter.feed("> here"), "---> here");
  EXPECT_EQ(filter.feed("\n[1 of 2]"), "\n[1 of 2]");
  EXPECT_EQ(filter.finish(), "");
}

TEST(chatter, block_right_after_a_progress_line_is_kept_back) {
  Chatter filter;
  EXPECT_EQ(filter.feed("42 % done"), "42 % done");
  EXPECT_EQ(filter.feed(killed), "");
}

TEST(chatter, block_is_passed_on_when_it_closes) {
  Chatter filter;
  const std::string open = no_slots.substr(0, no_slots.size() - dashes.size());
  EXPECT_EQ(filter.feed(open), "");
  EXPECT_EQ(filter.feed(dashes), no_slots);
}

TEST(chatter, crash_of_mpirun_after_the_outcome_is_passed_over) {
  // As Open MPI 4.1.4 has it.
  const std::string crash =
      "[vm:20980] *** Process received signal ***\n"
      "[vm:20980] Signal: Segmentation fault (11)\n"
      "[vm:20980] [ 1] /lib/libpmix.so.2(PMIx_server_finalize+0xb08)[0x7fb16c07d118]\n"
      "[vm:20980] *** End of error message ***\n";
  Chatter before;
  EXPECT_EQ(before.feed(crash), crash);
  Chatter after;
  after.pass_over(20980);
  EXPECT_EQ(after.feed("from a rank: " + crash), "from a rank: ");
  EXPECT_EQ(after.feed("[vm:020980] of a long number\nmpirun: abort is already in progress...hit ctrl-c\n\n"), "");
  EXPECT_EQ(after.feed("[vm:209] of another process\n"), "[vm:209] of another process\n");
  EXPECT_EQ(after.feed("[vm:120980] of another process\n"), "[vm:120980] of another process\n");
}

// A rank that is killed while MPI tells of its trouble ends the block nowhere.
TEST(chatter, word_of_a_rank_passes_out_of_a_block_that_is_dropped) {
  Chatter filter;
  filter.pass_over(7, true);
  EXPECT_EQ(filter.feed(std::string(74, '-') + "\nIt looks like MPI_INIT failed\n"), "");
  EXPECT_EQ(filter.feed("echelon: rank 2 was lost\n"), "echelon: rank 2 was lost\n");
  EXPECT_EQ(filter.finish(), "");
}

TEST(chatter, unfinished_block_is_judged_at_the_end) {
  for (const std::size_t missing : {std::size_t{1}, std::size_t{10}, dashes.size(), dashes.size() + 1}) {
    const std::string open = no_slots.substr(0, no_slots.size() - missing);
    EXPECT_EQ(passed(open), open);
    EXPECT_EQ(passed(aborted.substr(0, aborted.size() - missing)), "");
    EXPECT_EQ(passed(killed.substr(0, killed.size() - missing)), "");
  }
  const std::string only_dashes{dashes};
  EXPECT_EQ(passed(only_dashes), only_dashes);
}

}  // namespace
}  // namespace echelon::launch
