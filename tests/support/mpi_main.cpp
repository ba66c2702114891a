// main() of every MPI test: one session, and a listener that makes all ranks agree on what failed.
//
// A rank that leaves a test early (ASSERT, an exception) while the others are inside a collective operation would hang
// them: where a test communicates after a check, the check is an EXPECT.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <mpi.h>

#include "support/mpi_session.hpp"

namespace {

echelon::comm::Session* the_session = nullptr;

/// Gathers failures on a communicator of its own, and only when a test has ended: a failure that one rank alone has
/// must not begin a collective operation that the others do not join.
class AllRanksListener : public testing::EmptyTestEventListener {
 public:
  AllRanksListener() {
    MPI_Comm_dup(MPI_COMM_WORLD, &ranks_);
    MPI_Comm_rank(ranks_, &rank_);
    MPI_Comm_size(ranks_, &size_);
  }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const char* file = result.file_name() == nullptr ? "?" : result.file_name();
    failures_ += std::string{file} + ":" + std::to_string(result.line_number()) + ": " + result.summary() + "\n";
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    const std::string mine = std::exchange(failures_, {});
    const int length = static_cast<int>(mine.size());
    std::vector<int> lengths(static_cast<std::size_t>(size_));
    MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, ranks_);
    bool other_failed = false;
    for (int rank = 0; rank < size_; ++rank) {
      const int bytes = lengths[static_cast<std::size_t>(rank)];
      if (bytes == 0) continue;
      std::string text(static_cast<std::size_t>(bytes), '\0');
      if (rank == rank_) text = mine;
      MPI_Bcast(text.data(), bytes, MPI_CHAR, rank, ranks_);
      if (rank_ == 0 && rank != 0) std::printf("rank %d failed:\n%s", rank, text.c_str());
      other_failed = other_failed || rank != rank_;
    }
    if (other_failed && mine.empty()) {
      ADD_FAILURE() << test.test_suite_name() << "." << test.name() << " failed on another rank";
      failures_.clear();  // told already
    }
  }

 private:
  MPI_Comm ranks_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::string failures_;
};

}  // namespace

echelon::comm::Session& echelon::test::session() { return *the_session; }

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  echelon::comm::Session session{argc, argv};
  the_session = &session;
  testing::TestEventListeners& listeners = testing::UnitTest::GetInstance()->listeners();
  if (!session.is_master()) delete listeners.Release(listeners.default_result_printer());
  // Last in the list hears of a test's end first: before the printer says that it passed.
  listeners.Append(new AllRanksListener);
  return RUN_ALL_TESTS();  // 0 or 1
}
