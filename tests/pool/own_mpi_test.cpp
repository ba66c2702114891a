// A program that starts and ends MPI itself, and uses MPI of its own before, between and after its pools.
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <vector>

#include <mpi.h>

#include <echelon/comm/attach.hpp>
#include <echelon/pool/pool.hpp>

namespace {

using echelon::pool::Pool;

int failures = 0;

void expect(bool good, const char* what) {
  if (good) return;
  ++failures;
  std::printf("failed: %s\n", what);
}

int square(int x) { return x * x; }

/// On all ranks; the master's part is `use`.
template <typename Use>
void with_pool(const echelon::comm::Session& session, Use use) {
  Pool pool{session};
  if (session.is_master()) {
    use(pool);
  } else {
    pool.serve();
  }
}

void map(Pool& pool) {
  std::vector<int> xs(100);
  for (int i = 0; i < 100; ++i) xs[static_cast<std::size_t>(i)] = i;
  expect(pool.map(square, xs)[99] == 99 * 99, "map");
  auto result = pool.apply_async(square, 3);
  expect(result.get() == 9, "apply_async");
  try {
    (void)pool.map(square, xs, {.isolate = true});
    expect(false, "a process of its own beside MPI");
  } catch (const std::invalid_argument&) {
  }
}

void own_reduction(MPI_Comm ranks) {
  int one = 1;
  int sum = 0;
  int size = 0;
  MPI_Comm_size(ranks, &size);
  MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, ranks);
  expect(sum == size, "the program's own reduction");
}

void use_ranks(MPI_Comm ranks) {
  const echelon::comm::Session session = echelon::comm::attach(ranks);
  // One after the other on one session, with the program's own communication between them.
  for (int i = 0; i < 2; ++i) {
    with_pool(session, map);
    own_reduction(ranks);
  }
  // Left by an exception, with work outstanding.
  try {
    Pool pool{session};
    if (session.is_master()) {
      for (int i = 0; i < 100; ++i) (void)pool.apply_async(square, i);
      throw std::domain_error("out");
    }
    pool.serve();
  } catch (const std::domain_error&) {
  }
  own_reduction(ranks);
  // Two at once, which end in any order.
  {
    Pool first{session};
    Pool second{session};
    if (session.is_master()) {
      map(first);
      map(second);
    } else {
      first.serve();
      second.serve();
    }
  }
  with_pool(session, map);
  {
    Pool pool{session};
    try {
      if (session.is_master()) {
        pool.serve();
        expect(false, "the master serves");
      } else {
        (void)pool.apply(square, 1);
        expect(false, "a worker calls");
      }
    } catch (const std::logic_error&) {
    }
    if (!session.is_master()) pool.serve();
  }
}

std::optional<echelon::pool::Results<int>> late_results;
std::optional<echelon::pool::AsyncResult<int>> late_result;

/// What is left of a pool when its session has ended, and MPI with it.
void outlive(MPI_Comm ranks) {
  {
    const echelon::comm::Session session = echelon::comm::attach(ranks);
    with_pool(session, [](Pool& pool) {
      late_results.emplace(pool.imap(square, std::vector<int>{1, 2, 3}));
      late_result.emplace(pool.apply_async(square, 4));
    });
  }
  if (!late_result) return;
  expect(late_result->get() == 16, "a result that was there before the session's end");
  try {
    (void)late_results->next();
    expect(false, "results after the session's end");
  } catch (const std::logic_error&) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0;
  int size = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // All ranks, twice in a row: a session ends, and another begins.
  for (int i = 0; i < 2; ++i) use_ranks(MPI_COMM_WORLD);
  // Every rank but the last one, which goes its own way, in reverse order: another rank is the master.
  MPI_Comm some = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, size > 1 && rank == size - 1 ? MPI_UNDEFINED : 0, -rank, &some);
  if (some != MPI_COMM_NULL) {
    use_ranks(some);
    MPI_Comm_free(&some);
  }
  outlive(MPI_COMM_WORLD);
  own_reduction(MPI_COMM_WORLD);
  int all_failures = 0;
  MPI_Allreduce(&failures, &all_failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  MPI_Finalize();
  return all_failures == 0 ? 0 : 1;
}
