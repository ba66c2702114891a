#pragma once

#include <nlohmann/json.hpp>

#include "support/run_echelon.hpp"

namespace echelon::test {

/// The record that a run prints with --json -; null where it does not.
[[nodiscard]] inline nlohmann::json record_of(const Arguments& arguments, RunOptions options = {}) {
  const Outcome outcome = run_echelon(arguments + Arguments{"--json", "-"}, std::move(options));
  EXPECT_EQ(outcome.exit_code, 0) << outcome;
  const nlohmann::json record = nlohmann::json::parse(outcome.out, nullptr, false);
  EXPECT_TRUE(record.is_object()) << outcome;
  return record.is_object() ? record : nlohmann::json{};
}

/// One line on standard error, exit code 2, and nothing else.
inline void expect_refused(const Outcome& outcome, const std::vector<std::string>& words) {
  EXPECT_EQ(outcome.exit_code, 2) << outcome;
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(lines(outcome.err).size(), 1U) << outcome;
  EXPECT_TRUE(outcome.err.starts_with("echelon: ")) << outcome.err;
  for (const std::string& word : words) EXPECT_NE(outcome.err.find(word), std::string::npos) << word << outcome;
}

}  // namespace echelon::test
