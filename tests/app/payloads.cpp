// Tasks with arguments and results of all sizes; payloads_test.cpp starts it and kills its workers. Makes the file
// "begun" when tasks run. Arguments: tasks, the most bytes of one, a seed. Each result is checked, and is there once.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <ranges>
#include <vector>

#include <echelon/echelon.hpp>

namespace {

struct Item {
  std::uint64_t id = 0;
  std::vector<std::uint8_t> bytes;

  template <typename Archive>
  void serialize(Archive& archive, unsigned /*version*/) {
    archive& id& bytes;
  }
};

/// From 1 to `most` bytes, small ones as often as large ones, which no other task has, nor the other way.
Item item(std::uint64_t id, std::uint64_t seed, double most) {
  std::mt19937_64 random{seed * 1'000'003 + id};
  const double exponent = std::uniform_real_distribution<>{0, std::log2(most)}(random);
  Item one{id, std::vector<std::uint8_t>(static_cast<std::size_t>(std::exp2(exponent)))};
  std::uint64_t word = random();
  for (auto& byte : one.bytes) byte = static_cast<std::uint8_t>((word = word * 6364136223846793005U + id) >> 56);
  return one;
}

}  // namespace

int main(int argc, char** argv) {
  return echelon::run(argc, argv, [&](echelon::Session& session) {
    if (argc != 4) throw echelon::base::UsageError("payloads: give tasks, bytes and a seed");
    const auto tasks = std::strtoull(argv[1], nullptr, 10);
    const double most = std::atof(argv[2]);
    const auto seed = std::strtoull(argv[3], nullptr, 10);
    echelon::Pool pool{session};
    std::vector<int> seen(tasks);
    std::uint64_t wrong = 0;
    const auto input = std::views::iota(std::uint64_t{0}, std::uint64_t{tasks}) |
                       std::views::transform([=](std::uint64_t id) { return item(id, seed, most); });
    const auto work = [=](const Item& argument) {
      if (argument.bytes != item(argument.id, seed, most).bytes) throw std::runtime_error("a wrong argument");
      return item(argument.id, seed + 1, most);
    };
    std::ofstream{"begun"};
    auto results = pool.imap_unordered(work, input, {.crash_limit = 10});
    while (const auto outcome = results.next_outcome()) {
      if (!*outcome) {
        std::printf("%s\n", outcome->error().what());
        ++wrong;
        continue;
      }
      const Item& result = outcome->value();
      ++seen.at(result.id);
      if (result.bytes != item(result.id, seed + 1, most).bytes) ++wrong;
    }
    std::uint64_t once = 0;
    for (const int times : seen) once += times == 1 ? 1 : 0;
    std::printf("%llu of %llu once, %llu wrong\n", static_cast<unsigned long long>(once), tasks,
                static_cast<unsigned long long>(wrong));
    return once == tasks && wrong == 0 ? 0 : 1;
  });
}
