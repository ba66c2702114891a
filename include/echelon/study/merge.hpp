#pragma once

#include <string>
#include <vector>

#include <echelon/study/plan.hpp>
#include <echelon/study/run.hpp>

namespace echelon::study {

/// A study, as its folder has it.
struct Kept {
  std::string folder;
  Plan plan = {};
  std::vector<Run> runs = {};
};

/// Studies of the same work, as one allocation each makes them, as one study: of all their points, and of all runs in
/// the order of their start, counted anew. What failed says in which folder it is. Throws base::UsageError where the
/// command, --weak or --threads are not the same, with the difference.
/// @pre there is one
[[nodiscard]] Kept merge(std::vector<Kept> studies);

}  // namespace echelon::study
