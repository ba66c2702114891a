// A table of N random numbers, each rank its own part: N/n of the memory a rank, where a copy for each would be N.
// A number is a function of its index, so the table is the same for any number of ranks.
//   row13_array -n 4 [N]        [16 million]
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <sys/resource.h>

#include <echelon/echelon.hpp>

/// Steele, Lea and Flood: Fast splittable pseudorandom number generators, OOPSLA 2014.
std::uint64_t splitmix64(std::uint64_t index) {
  std::uint64_t z = (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

long peak_memory_mib() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss / 1024;
}

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](echelon::Session& session) {
    const std::uint64_t size = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 16'000'000;
    echelon::Array<std::uint64_t> table{session, size};
    echelon::Value<std::uint64_t> checksum{session};

    std::uint64_t index = table.first();
    std::uint64_t sum = 0;
    for (std::uint64_t& number : table.local()) sum += number = splitmix64(index++);
    checksum.fetch_add(sum);
    std::printf("rank %d: %zu numbers, peak memory %ld MiB\n", session.rank(), table.local().size(), peak_memory_mib());

    table.barrier();  // from here on everybody sees everybody's part
    if (!session.is_master()) return;
    std::printf("first %016" PRIx64 ", last %016" PRIx64 ", checksum %016" PRIx64 "\n", table.get(0),
                table.get(size - 1), checksum.load());
  });
}
