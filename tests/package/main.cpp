// Uses a layer without MPI and one with it, so that all libraries are really linked.
#include <cstdio>
#include <numbers>

#include <echelon/comm/session.hpp>
#include <echelon/workloads/pi.hpp>

int main(int argc, char** argv) {
  echelon::comm::Session session{argc, argv};
  echelon::workloads::Account account;
  echelon::workloads::PiOptions options;
  options.points = 1'000'003;
  const auto record = echelon::workloads::run_pi(session, account, {"uses_echelon"}, options, [](double) {});
  if (!session.is_master()) return 0;
  const double value = echelon::measure::get<double>(record.result, "value");
  std::printf("pi = %.16g\n", value);
  return echelon::workloads::pi_is_right(record) ? 0 : 1;
}
