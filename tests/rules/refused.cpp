// What does not compile, CASE by CASE, and has to say why: see rules.cmake. Case 0 compiles: only what is wrong is
// refused.
#include <string>
#include <string_view>
#include <vector>

#include <echelon/echelon.hpp>

void packs(echelon::comm::Packer& packer, const std::string& text) {
  packer.put(text);
#if CASE == 1
  packer.put(std::string_view{text});
#endif
}

void maps(echelon::Pool& pool, const std::string& text, double factor) {
  std::vector<int> numbers{1, 2, 3};
  std::vector<const double*> places{&factor};
  (void)pool.map([factor](int n) { return n * factor; }, numbers);
  (void)pool.apply([](const std::string& argument) { return argument; }, text);
#if CASE == 2
  (void)pool.map([text](int n) { return text.size() + static_cast<std::size_t>(n); }, numbers);
#elif CASE == 3
  (void)pool.map([](const double* place) { return *place; }, places);
#elif CASE == 4
  (void)pool.map([](int n) -> const char* { return n > 0 ? "yes" : "no"; }, numbers);
#endif
}
