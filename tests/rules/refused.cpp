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

void shares(echelon::Session& session) {
  echelon::Queue<std::string> queue{session, echelon::Role::both};
  echelon::Value<double> value{session, 0.5};
  echelon::Array<float> array{session, 10};
#if CASE == 5
  echelon::Queue<std::string_view> views{session, echelon::Role::both};
#elif CASE == 6
  echelon::Pipe<const char*> texts{session, 0, 1};
#elif CASE == 7
  echelon::Value<std::string> text{session};
#elif CASE == 8
  echelon::Array<const double*> places{session, 10};
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
