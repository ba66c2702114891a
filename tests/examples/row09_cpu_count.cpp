// cpu_count(), but what this process may really use: by its affinity, its cgroups' quotas, and SLURM.
//   row09_cpu_count
#include <cinttypes>
#include <cstdio>

#include <echelon/echelon.hpp>

int main() { std::printf("%" PRIu64 "\n", echelon::usable_cpus()); }
