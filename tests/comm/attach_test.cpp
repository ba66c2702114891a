// A program that starts and ends MPI itself, and has Echelon work on its ranks.
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <echelon/comm/attach.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/counter.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {
namespace {

int world_rank() {
  int rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}
int world_size() {
  int size = -1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

int sum_over_world(int value) {
  int sum = 0;
  MPI_Allreduce(&value, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  return sum;
}

/// A message from each rank to the next one.
void send_around(const Session& session, Mailbox& box) {
  if (session.size() == 1) return;
  Packer packer;
  packer.put(std::vector<int>(100'000, session.rank()));
  box.send((session.rank() + 1) % session.size(), packer);
  const int before = (session.rank() + session.size() - 1) % session.size();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{40};
  for (bool come = false; !come || !box.has_sent_all();) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    if (const auto message = box.receive()) {
      Unpacker from{message->body};
      EXPECT_EQ(message->from, before);
      EXPECT_EQ(from.get<std::vector<int>>(), std::vector<int>(100'000, before));
      come = true;
    }
  }
}

TEST(attach, has_the_ranks_of_the_communicator) {
  const Session session = attach(MPI_COMM_WORLD);
  EXPECT_EQ(session.rank(), world_rank());
  EXPECT_EQ(session.size(), world_size());
  EXPECT_TRUE(session.is_attached());
}

TEST(attach, threads_are_as_the_program_asked_for) {
  const Session session = attach(MPI_COMM_WORLD);
  int provided = -1;
  MPI_Query_thread(&provided);
  EXPECT_EQ(provided, MPI_THREAD_SINGLE) << "this MPI gives more than it is asked for";
  EXPECT_FALSE(session.is_serialized());
}

TEST(attach, everything_works_on_it) {
  const Session session = attach(MPI_COMM_WORLD);
  session.barrier();
  EXPECT_EQ(gather(session, session.rank()).size(), session.is_master() ? static_cast<std::size_t>(world_size()) : 0U);
  Counter counter{session};
  EXPECT_LT(counter.next(), static_cast<std::uint64_t>(world_size()));
  Mailbox box{session};
  send_around(session, box);
  session.barrier();
}

TEST(attach, parts_of_the_world_work_side_by_side) {
  // In the reverse order, so that a rank is not what it is in the world.
  MPI_Comm part = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, world_rank() % 2, -world_rank(), &part);
  {
    const Session session = attach(part);
    EXPECT_EQ(session.size(), (world_size() + 1 - world_rank() % 2) / 2);
    const std::vector<int> ranks = gather(session, world_rank());
    if (session.is_master()) {
      EXPECT_EQ(ranks.front(), world_rank());
      for (std::size_t i = 1; i < ranks.size(); ++i) EXPECT_EQ(ranks[i], ranks[i - 1] - 2);
    }
    Mailbox box{session};
    send_around(session, box);
    session.barrier();
  }
  MPI_Comm_free(&part);
}

TEST(attach, communicator_without_ranks_is_refused) {
  EXPECT_THROW((void)attach(MPI_COMM_NULL), std::invalid_argument);
}

TEST(attach, second_start_of_mpi_is_refused) {
  int argc = 0;
  char** argv = nullptr;
  EXPECT_THROW((Session{argc, argv}), std::logic_error);
}

TEST(attach, messages_of_the_program_are_its_own) {
  const Session session = attach(MPI_COMM_WORLD);
  Mailbox box{session};
  const int next = (world_rank() + 1) % world_size();
  int came = -1;
  MPI_Request receive = MPI_REQUEST_NULL;
  MPI_Irecv(&came, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &receive);
  send_around(session, box);
  session.barrier();
  const int mine = world_rank();
  MPI_Send(&mine, 1, MPI_INT, next, 3, MPI_COMM_WORLD);
  MPI_Wait(&receive, MPI_STATUS_IGNORE);
  EXPECT_EQ(came, (world_rank() + world_size() - 1) % world_size());
}

TEST(attach, error_handler_of_the_program_stays) {
  MPI_Errhandler before = MPI_ERRHANDLER_NULL;
  MPI_Comm_get_errhandler(MPI_COMM_WORLD, &before);
  { const Session session = attach(MPI_COMM_WORLD); }
  MPI_Errhandler after = MPI_ERRHANDLER_NULL;
  MPI_Comm_get_errhandler(MPI_COMM_WORLD, &after);
  EXPECT_EQ(before, MPI_ERRORS_ARE_FATAL);
  EXPECT_EQ(after, MPI_ERRORS_ARE_FATAL);
}

// The program's error handler would end it for a mailbox that gives back to MPI what MPI does not have.
TEST(attach, mailbox_may_end_with_a_message_handed_out) {
  {
    const Session session = attach(MPI_COMM_WORLD);
    Mailbox box{session};
    Packer packer;
    packer.put(1);
    if (world_size() > 1) box.send((world_rank() + 1) % world_size(), packer);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{40};
    while (world_size() > 1 && !box.receive()) ASSERT_LT(std::chrono::steady_clock::now(), end);
  }
  EXPECT_EQ(sum_over_world(1), world_size());
}

TEST(attach, sessions_come_and_go) {
  for (int i = 0; i < 100; ++i) {
    const Session session = attach(MPI_COMM_WORLD);
    session.barrier();
    Mailbox box{session};
    if (i % 10 == 0) send_around(session, box);
    session.barrier();
  }
  EXPECT_EQ(sum_over_world(1), world_size());
}

TEST(attach, two_sessions_at_once) {
  const Session one = attach(MPI_COMM_WORLD);
  const Session other = attach(MPI_COMM_WORLD);
  Mailbox of_one{one};
  Mailbox of_other{other};
  send_around(one, of_one);
  send_around(other, of_other);
  one.barrier();
  other.barrier();
}

TEST(attach, what_is_kept_goes_first_and_the_last_of_it_first) {
  struct First {};
  struct Second {};
  struct Third {};
  std::string gone;
  {
    const Session session = attach(MPI_COMM_WORLD);
    const auto keep = [&](const char* name) {
      return std::shared_ptr<void>{nullptr, [&, name](void*) {
                                     gone += name;
                                     session.barrier();
                                     (void)session.kept(typeid(Third));  // may still be asked for, and even be added
                                   }};
    };
    session.kept(typeid(First)) = keep("first ");
    session.kept(typeid(Second)) = keep("second ");
    EXPECT_EQ(gone, "");
  }
  EXPECT_EQ(gone, "second first ");
}

TEST(attach, lost_rank_is_named_once) {
  const Session session = attach(MPI_COMM_WORLD);
  session.lose(5);
  session.lose(3);
  session.lose(5);
  EXPECT_THAT(session.lost(), testing::ElementsAre(5, 3));
}

}  // namespace
}  // namespace echelon::comm

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  int failed = 0;
  try {
    const auto session = echelon::comm::attach(MPI_COMM_WORLD);
    failed = 1;
  } catch (const std::logic_error&) {  // MPI has not started yet
  }
  MPI_Init(&argc, &argv);
  failed += RUN_ALL_TESTS();
  // Every rank tells of its own failures; the program ends well where none has any.
  int all_failed = 0;
  MPI_Allreduce(&failed, &all_failed, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
  MPI_Finalize();
  return all_failed;
}
