// What one rank knows of the others while all are there; tests/shared/losses_test.cpp kills some.
#include <gtest/gtest.h>

#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;

TEST(roster, has_no_losses_while_all_are_there) {
  Roster& roster = Roster::of(session());
  session().barrier();
  EXPECT_FALSE(roster.has_losses());
  EXPECT_TRUE(roster.lost().empty());
  EXPECT_FALSE(roster.is_master_lost());
  EXPECT_FALSE(roster.end());
  for (int rank = 0; rank < session().size(); ++rank) EXPECT_FALSE(roster.is_lost(rank));
  EXPECT_NO_THROW(roster.check("nothing"));
  EXPECT_EQ(&Roster::of(session()), &roster);
}

TEST(roster, an_error_names_rank_host_and_meaning) {
  const RankLost error = Roster::of(session()).error(0, "it held the lock");
  EXPECT_EQ(error.rank, 0);
  EXPECT_EQ(error.what(), "rank 0 on " + Nodes::of(session()).host(0) + " was lost: it held the lock");
}

}  // namespace
}  // namespace echelon::comm
