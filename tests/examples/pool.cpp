// Each of Pool's calls, short: ends with 0 where all is well, and prints nothing.
//   pool -n 3        a master and two workers
// clang-format off
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <echelon/echelon.hpp>

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [](echelon::Session& session) {
    echelon::Pool pool{session};
    std::vector<int> xs(1000); std::iota(xs.begin(), xs.end(), 0);
    int scale = 3;
    std::vector<long> ys = pool.map([scale](int x) { return long{scale} * x; }, xs);            // in order
    std::vector<long> zs = pool.map([](int x) { return long{x}; }, xs, {.chunk = 1});            // one task a message
    auto sums = pool.starmap([](int a, int b) { return a + b; }, std::vector<std::pair<int, int>>{{1, 2}, {3, 4}});
    for (long y : pool.imap([](int x) { return long{x} * x; }, xs)) (void)y;                     // lazy, in order, bounded
    for (long y : pool.imap_unordered([](int x) { return long{x} * x; }, xs)) (void)y;           // lazy, as they come, bounded
    echelon::AsyncResult<int> r = pool.apply_async([](int a, int b) { return a * b; }, 6, 7);
    return r.get() == 42 && pool.apply([](std::string s) { return s.size(); }, std::string("abc")) == 3 ? 0 : 1;
  });
}
