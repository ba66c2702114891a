#include "rivals.hpp"

double echelon::bench::text_plain(std::int64_t points) {
  const double h = 1.0 / static_cast<double>(points);
  double sum = 0;
  for (std::int64_t i = 0; i < points; ++i) {
    const double x = (static_cast<double>(i) + 0.5) * h;
    sum += 4.0 / (1.0 + x * x);
  }
  return sum * h;
}
