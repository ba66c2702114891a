// The end of a session that has lost ranks. The test starts itself under mpirun, which lets the job outlive its ranks.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/session.hpp>

#include "support/run_program.hpp"

namespace echelon::comm {
namespace {

void send_bytes(Mailbox& box, int to, std::size_t size) {
  Packer packer;
  for (std::size_t i = 0; i < size; ++i) packer.put('x');
  box.send(to, packer);
}

/// The ranks that are left go on talking: each sends one message to the next, past the last rank.
bool survivors_talk(const Session& session, Mailbox& box) {
  const int survivors = session.size() - 1;
  if (survivors < 2) return true;
  send_bytes(box, (session.rank() + 1) % survivors, 500'000);
  bool come = false;
  return test::wait_until([&] {
    if (const auto message = box.receive()) {
      EXPECT_EQ(message->from, (session.rank() + survivors - 1) % survivors);
      come = message->body.size() == 500'000;
    }
    return come && box.has_sent_all();
  });
}

pid_t stopped = 0;  // a rank that its master ends after the session

/// What a rank does until its session ends, by the name of the test. False: it failed.
using Part = std::function<bool(const Session&)>;
const std::map<std::string_view, Part>& parts() {
  static const std::map<std::string_view, Part> all{
      {"known_to_all",
       [](const Session& session) {
         Mailbox box{session};
         session.barrier();
         session.lose(session.size() - 1);
         return true;
       }},
      {"killed",
       [](const Session& session) {
         session.barrier();
         if (session.rank() == session.size() - 1) raise(SIGKILL);
         session.lose(session.size() - 1);
         return true;
       }},
      // As a node that nothing is heard of any more: MPI_Finalize would wait for it.
      {"stopped",
       [](const Session& session) {
         Mailbox box{session};
         const int last = session.size() - 1;
         const std::vector<pid_t> pids = gather(session, getpid());
         session.barrier();
         if (session.rank() == last) raise(SIGSTOP);
         if (session.is_master()) stopped = pids.back();
         usleep(100'000);
         send_bytes(box, last, 1'000'000);
         box.forget(last);
         session.lose(last);
         return box.has_sent_all() && survivors_talk(session, box);
       }},
      {"killed_amid_messages",
       [](const Session& session) {
         Mailbox box{session};
         const int last = session.size() - 1;
         session.barrier();
         // Both ways, of which some has come and some has not.
         for (int to = 0; to < session.size(); ++to) {
           if (to != session.rank() && (to == last || session.rank() == last)) send_bytes(box, to, 1'000'000);
         }
         for (int i = 0; i < 1000; ++i) EXPECT_FALSE(session.rank() != last && box.receive() && box.has_sent_all());
         if (session.rank() == last) raise(SIGKILL);
         usleep(100'000);
         box.forget(last);
         session.lose(last);
         return box.has_sent_all() && survivors_talk(session, box);
       }},
  };
  return all;
}

int be_a_rank(std::string_view part, int argc, char** argv) {
  int rank = 0;
  bool well = false;
  {
    const Session session{argc, argv};
    rank = session.rank();
    well = parts().at(part)(session) && !testing::Test::HasFailure();
  }
  if (stopped != 0) kill(stopped, SIGKILL);
  std::printf("rank %d has ended %s\n", rank, well ? "well" : "badly");
  return well ? 0 : 1;
}

class loss : public testing::TestWithParam<int> {
 protected:
  /// Runs a part on GetParam() ranks, of which `dying` do not come to the end of their session.
  static void expect_ends(const std::string& part, int dying) {
    const std::string ranks = std::to_string(GetParam());
    test::RunOptions options;
    if (geteuid() == 0) {
      options.environment["OMPI_ALLOW_RUN_AS_ROOT"] = "1";
      options.environment["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1";
    }
    const test::Outcome outcome = test::run_program(
        {ECHELON_MPIEXEC, "-n", ranks, "--host", "localhost:" + ranks, "--bind-to", "none", "--enable-recovery",
         "--mca", "mpi_yield_when_idle", "1", std::filesystem::read_symlink("/proc/self/exe"), part},
        std::move(options));
    EXPECT_EQ(outcome.exit_code, 0) << outcome;
    for (int rank = 0; rank < GetParam() - dying; ++rank) {
      EXPECT_NE(outcome.out.find("rank " + std::to_string(rank) + " has ended well"), std::string::npos)
          << rank << ": " << outcome;
    }
  }
};

TEST_P(loss, of_a_rank_that_all_know_of) { expect_ends("known_to_all", 0); }
TEST_P(loss, of_a_killed_rank) { expect_ends("killed", 1); }
TEST_P(loss, of_a_stopped_rank) { expect_ends("stopped", 1); }
TEST_P(loss, amid_messages) { expect_ends("killed_amid_messages", 1); }

INSTANTIATE_TEST_SUITE_P(of, loss, testing::Values(2, 4));

}  // namespace
}  // namespace echelon::comm

int main(int argc, char** argv) {
  if (argc == 2 && echelon::comm::parts().contains(argv[1])) return echelon::comm::be_a_rank(argv[1], argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
