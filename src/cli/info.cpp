#include <memory>

#include "app.hpp"

namespace echelon::cli {
void add_info(CLI::App& program, Command& chosen) {
  (void)program;
  (void)chosen;
}
}  // namespace echelon::cli
