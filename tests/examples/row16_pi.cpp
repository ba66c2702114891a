// pi as a midpoint sum of 4 / (1 + x^2): sequentially, and by ranks that put their parts into a queue; the last one
// takes the remainder.
//   row16_pi -n 4 [POINTS]        [1 million]
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>

#include <echelon/echelon.hpp>

using Clock = std::chrono::steady_clock;

double part(long begin, long end, long points) {
  const double step = 1.0 / static_cast<double>(points);
  double sum = 0;
  for (long i = begin; i < end; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * step;
    sum += 4 / (1 + x * x);
  }
  return sum * step;
}

void show(const char* how, double pi, Clock::time_point begin) {
  std::printf("%s: pi = %.15f, error %.1e, %.3f s\n", how, pi, std::abs(pi - std::numbers::pi),
              std::chrono::duration<double>{Clock::now() - begin}.count());
}

int main(int argc, char** argv) {
  return echelon::parallel(argc, argv, [&](echelon::Session& session) {
    const long points = argc > 1 ? std::atol(argv[1]) : 1'000'000;
    if (session.is_master()) {
      const auto begin = Clock::now();
      show("sequential", part(0, points, points), begin);
    }

    using echelon::Role;
    echelon::Queue<double> parts{session, session.is_master() ? Role::both : Role::producer};
    const auto begin = Clock::now();
    const long share = points / session.size();
    const bool is_last = session.rank() == session.size() - 1;
    parts.put(part(session.rank() * share, is_last ? points : (session.rank() + 1) * share, points));
    parts.close();
    if (!session.is_master()) return;
    double pi = 0;
    while (const auto one = parts.get()) pi += *one;
    show("ranks", pi, begin);
  });
}
