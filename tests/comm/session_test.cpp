#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeindex>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/counter.hpp>
#include <echelon/comm/session.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;

TEST(session, rank_and_size_are_those_of_mpi) {
  int rank = -1;
  int size = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  EXPECT_EQ(session().rank(), rank);
  EXPECT_EQ(session().size(), size);
  EXPECT_EQ(session().is_master(), rank == 0);
}

TEST(session, every_rank_is_there_once) {
  const std::vector<int> ranks = gather(session(), session().rank());
  if (!session().is_master()) return;
  ASSERT_EQ(ranks.size(), static_cast<std::size_t>(session().size()));
  for (int rank = 0; rank < session().size(); ++rank) EXPECT_EQ(ranks[static_cast<std::size_t>(rank)], rank);
}

TEST(session, sizes_agree_on_all_ranks) {
  const std::vector<int> sizes = gather(session(), session().size());
  EXPECT_THAT(sizes, testing::Each(session().size()));
}

TEST(session, placement_agrees_with_mpi) {
  const Placement place = placement();
  EXPECT_TRUE(place.launched);
  EXPECT_EQ(place.rank, session().rank());
  EXPECT_EQ(place.launcher, "mpirun");
}

// Numbers drawn before the barrier are below size() and those drawn after it are not: no rank has left before the last
// one came.
TEST(session, barrier_lets_no_rank_go_before_the_last_has_come) {
  Counter counter{session()};
  const auto size = static_cast<std::uint64_t>(session().size());
  for (int late = 0; late < session().size(); ++late) {
    counter.reset();
    if (session().rank() == late) {
      for (int i = 0; i < 20'000; ++i) session().progress();
    }
    const std::uint64_t before = counter.next();
    session().barrier();
    const std::uint64_t after = counter.next();
    EXPECT_LT(before, size) << "rank " << late << " was late";
    EXPECT_GE(after, size) << "rank " << late << " was late";
    EXPECT_LT(after, 2 * size);
  }
}

TEST(session, barriers_in_a_row_keep_ranks_in_step) {
  constexpr std::uint64_t rounds = 200;
  Counter counter{session()};
  const auto size = static_cast<std::uint64_t>(session().size());
  std::uint64_t out_of_step = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t number = counter.next();
    if (number < round * size || number >= (round + 1) * size) ++out_of_step;
    session().barrier();
  }
  EXPECT_EQ(out_of_step, 0U);
}

TEST(session, progress_needs_no_other_rank) {
  for (int i = 0; i < 100 * session().rank(); ++i) EXPECT_NO_THROW(session().progress());
  session().barrier();
}

TEST(session, belongs_to_this_program_and_has_lost_no_one) {
  EXPECT_FALSE(session().is_attached());
  EXPECT_TRUE(session().is_serialized());
  EXPECT_THAT(session().lost(), testing::IsEmpty());
}

TEST(session, second_one_is_refused) {
  int argc = 0;
  char** argv = nullptr;
  EXPECT_THROW((Session{argc, argv}), std::logic_error);
}

TEST(session, keeps_one_of_each_type) {
  struct First {};
  struct Second {};
  std::shared_ptr<void>& first = session().kept(typeid(First));
  EXPECT_EQ(first, nullptr);
  first = std::make_shared<First>();
  const void* const kept = first.get();
  EXPECT_EQ(session().kept(typeid(Second)), nullptr);
  EXPECT_EQ(session().kept(typeid(First)).get(), kept);
  EXPECT_EQ(&session().kept(typeid(First)), &first) << "a reference stays when more is kept";
}

TEST(session, library_names_open_mpi_and_its_version) {
  EXPECT_THAT(Session::library(), testing::MatchesRegex("Open MPI [0-9]+\\.[0-9]+\\.[0-9]+[a-z0-9]*"));
}

}  // namespace
}  // namespace echelon::comm
