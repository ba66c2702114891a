#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <echelon/comm/session.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/workloads/account.hpp>

namespace echelon::workloads {

/// A .npy file of random doubles, shared out over ranks in blocks.
struct FillOptions {
  /// So that the length of the file is an off_t.
  static constexpr std::uint64_t max_size = (std::uint64_t{1} << 60) - 16;

  std::uint64_t size = 1'000'000;  ///< doubles, 1 to max_size
  std::uint64_t seed = 0;
  std::string out;  ///< the file
  bool replace = false;
  std::uint64_t threads = 1;  ///< a rank; they make numbers at the same time, but write in turn
};

/// Of the whole file.
[[nodiscard]] std::uint64_t fill_bytes(std::uint64_t size);

/// Each rank makes (compute) and writes by MPI-IO (communicate, which has the waiting for another thread's write in it)
/// blocks of a fixed size, one a thread in memory. With several threads the phases are those of the rank's first. The
/// numbers are numeric::uniform()'s of `seed`, so the file is the same for every number of ranks and threads.
///
/// The result's checksum is the sum, modulo 2^64, of the numbers taken as 64-bit integers: in Python,
/// numpy.load(FILE).view("u8").sum(). The mean is that of exactly added sums of blocks, so it is the same, too.
///
/// The master gets the record; the other ranks an empty one. `progress` is called on the master. Throws
/// comm::SharedFileError on all ranks where the file cannot be written; then there is none. Collective.
[[nodiscard]] measure::Record run_fill(const comm::Session& session, Account& account,
                                       const std::vector<std::string>& argv, const FillOptions& options,
                                       const Progress& progress);

/// Whether every number was made once, and the file is as long as that takes.
[[nodiscard]] bool fill_is_right(const measure::Record& record);

}  // namespace echelon::workloads
