#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
    EXPECT_EQ(pieces.filter.failure().has_value(), whole.filter.failure().has_value());
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

TEST(chatter_filter, word_of_a_pipe_that_is_gone_is_kept_back) {
  const Filtered f = filtered(
      "before\n[warn] Epoll MOD(1) on fd 27 failed. Old events were 6; read change was 0 (none); write change was 2 "
      "(del); close change was 0 (none): Bad file descriptor\n[warn] of mine\nafter\n");
  EXPECT_EQ(f.text, "before\n[warn] of mine\nafter\n");
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
               "[vm:25065] plm:rsh: Warning: setpgid(25069,25069) failed in parent with errno=Permission denied(13)\n"
               "[a rank's own line]\n[and one without an end");
  EXPECT_EQ(f.text, "[a rank's own line]\n[and one without an end");
}

/// As mpirun shows states where it was told to.
std::string state(const std::string& of, const std::string& state, int daemon = 0) {
  return "[vm:30217] [[6903,0]," + std::to_string(daemon) + "] ACTIVATE " + of + " STATE " + state +
         " AT ../../../../orte/mca/state/base/state_base_fns.c:692\n";
}
std::string state(int rank, const std::string& text, int daemon = 0) {
  return state("PROC [[6903,1]," + std::to_string(rank) + "]", text, daemon);
}
std::string all_in_mpi() { return state("JOB [6903,1]", "SYNC REGISTERED"); }
std::string running() { return state(0, "RUNNING") + state(1, "RUNNING") + state(1, "SYNC REGISTERED"); }

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

TEST(chatter_filter, signal_that_is_handed_on_is_kept_back) {
  EXPECT_EQ(filtered("before\nmpirun: Forwarding signal 10 to job\nafter\n").text, "before\nafter\n");
  for (const char* text : {"mpirun: Forwarding signals\n", "mpi", "say mpirun: Forwarding signal 10 to job\n"}) {
    EXPECT_EQ(filtered(text).text, text);
  }
}

TEST(chatter_filter, states_and_lost_peers_are_kept_back) {
  const Filtered f = filtered(state("JOB [INVALID]", "PENDING INIT") + state("JOB NULL", "DAEMONS TERMINATED") +
                              "one\n" + running() + all_in_mpi() + "42 % done" + state(1, "ABORTED BY SIGNAL") +
                              lost_peer + "\r43 % done" + lost_peer + "\n[vm:3] mine\n[vm:3]");
  EXPECT_EQ(f.text, "one\n42 % done\r43 % done\n[vm:3] mine\n[vm:3]");
  EXPECT_FALSE(f.filter.failure());
  EXPECT_TRUE(f.filter.master_started());
}

TEST(chatter_filter, states_in_the_middle_of_a_block_are_taken_out) {
  for (std::size_t at = no_slots.find('\n') + 1; at < no_slots.size(); at = no_slots.find('\n', at) + 1) {
    EXPECT_EQ(filtered(no_slots.substr(0, at) + state(0, "RUNNING") + no_slots.substr(at)).text, no_slots);
  }
}

TEST(chatter_filter, loss_of_a_node_or_peer_is_kept_back_but_not_of_one_that_was_never_there) {
  for (const std::string& loss : losses) {
    EXPECT_EQ(filtered(running() + all_in_mpi() + loss).text, "");
    EXPECT_EQ(filtered(running() + loss).text, loss);
  }
}

TEST(chatter_filter, failure_is_what_takes_the_outcome_away) {
  using Kind = Failure::Kind;
  struct Case {
    std::string text;
    std::optional<Kind> kind;
    int rank = 0;
  };
  const std::string begun = running() + all_in_mpi();
  for (const Case& c : std::vector<Case>{
           {begun + state(1, "IOF COMPLETE") + state(1, "ABORTED BY SIGNAL") + state(1, "NORMALLY TERMINATED"), {}},
           {begun + state(1, "EXITED WITH NON-ZERO STATUS"), {}},
           {begun + state(0, "IOF COMPLETE"), {}},
           {begun + state(0, "ABORTED BY SIGNAL") + state(0, "NORMALLY TERMINATED"), Kind::master_killed},
           {begun + state(0, "EXITED WITH NON-ZERO STATUS"), Kind::master_ended},
           {begun + state(0, "TERMINATED WITHOUT SYNC"), Kind::master_ended},
           {begun + state(1, "CALLED ABORT") + state(0, "ABORTED BY SIGNAL"), Kind::aborted, 1},
           {running() + state(1, "ABORTED BY SIGNAL"), Kind::ended_early, 1},
           {running() + state(1, "ABORTED BY SIGNAL") + all_in_mpi(), {}},
           {state(2, "FAILED TO LAUNCH") + state(0, "FAILED TO LAUNCH"), Kind::not_started, 2},
           // Of a daemon that is not mpirun, of a daemon itself, and of ranks that ranks have started.
           {begun + state(0, "ABORTED BY SIGNAL", 1), {}},
           {begun + state("PROC [[6903,0],1]", "FAILED TO START"), {}},
           {begun + state("PROC [[6903,2],0]", "ABORTED BY SIGNAL"), {}},
       }) {
    const Filtered f = filtered(c.text);
    EXPECT_EQ(f.text, "");
    ASSERT_EQ(f.filter.failure().has_value(), c.kind.has_value()) << c.text;
    if (!c.kind) continue;
    EXPECT_EQ(f.filter.failure()->kind, *c.kind) << c.text;
    EXPECT_EQ(f.filter.failure()->rank, c.rank) << c.text;
  }
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
  EXPECT_EQ(filter.feed("\n[1 of 2]"), "\n[1 of 2]");
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

TEST(chatter_filter, crash_of_mpirun_after_the_outcome_is_passed_over) {
  // As Open MPI 4.1.4 has it.
  const std::string crash =
      "[vm:20980] *** Process received signal ***\n"
      "[vm:20980] Signal: Segmentation fault (11)\n"
      "[vm:20980] [ 1] /lib/libpmix.so.2(PMIx_server_finalize+0xb08)[0x7fb16c07d118]\n"
      "[vm:20980] *** End of error message ***\n";
  ChatterFilter before;
  EXPECT_EQ(before.feed(crash), crash);
  ChatterFilter after;
  after.pass_over(20980);
  EXPECT_EQ(after.feed("from a rank: " + crash), "from a rank: ");
  EXPECT_EQ(after.feed("[vm:020980] of a long number\nmpirun: abort is already in progress...hit ctrl-c\n\n"), "");
  EXPECT_EQ(after.feed("[vm:209] of another process\n"), "[vm:209] of another process\n");
  EXPECT_EQ(after.feed("[vm:120980] of another process\n"), "[vm:120980] of another process\n");
}

// A rank that is killed while MPI tells of its trouble ends the block nowhere.
TEST(chatter_filter, word_of_a_rank_passes_out_of_a_block_that_is_dropped) {
  ChatterFilter filter;
  filter.pass_over(7, true);
  EXPECT_EQ(filter.feed(std::string(74, '-') + "\nIt looks like MPI_INIT failed\n"), "");
  EXPECT_FALSE(filter.has_reason());
  EXPECT_EQ(filter.feed("echelon: rank 2 was lost\n"), "echelon: rank 2 was lost\n");
  EXPECT_TRUE(filter.has_reason());
  EXPECT_EQ(filter.finish(), "");
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
