#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <echelon/measure/record.hpp>

namespace echelon::test {

/// A record with another value in its result, for tests of what checks it.
[[nodiscard]] inline measure::Record spoilt(measure::Record record, std::string_view name, measure::Value value) {
  const auto at =
      std::ranges::find(record.result, name, [](const auto& field) { return std::string_view{field.first}; });
  if (at == record.result.end()) throw std::out_of_range("no field " + std::string{name});
  if (at->second == value) throw std::invalid_argument("that is what is there: " + std::string{name});
  at->second = std::move(value);
  return record;
}

/// What holds for the record of any command that runs on ranks.
inline void expect_sound_books(const measure::Record& record, std::size_t ranks, std::size_t repetitions) {
  ASSERT_EQ(record.ranks.size(), ranks);
  EXPECT_EQ(record.repetitions_s.size(), repetitions);
  EXPECT_GT(measure::get<double>(record.result, "time_s"), 0);
  for (const measure::RankRecord& rank : record.ranks) {
    EXPECT_NEAR(rank.startup_s + rank.compute_s + rank.communicate_s + rank.wait_s, rank.wall_s, 1e-9);
    EXPECT_EQ(rank.tasks, repetitions);
  }
}

}  // namespace echelon::test
