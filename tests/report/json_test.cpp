#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/report/json.hpp>

namespace echelon::report {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// Every member has a value of its own, and texts have what JSON must escape.
measure::Record full_record() {
  measure::Record r;
  r.command = "pi";
  r.argv = {"echelon", "pi", "a \"b\"\\\n\t\x01", "π"};
  r.started_at = "2026-11-21T08:15:30Z";
  r.wall_s = 0.1 + 0.2;
  r.context = {.version = "1.2.3",
               .commit = "abcdef",
               .dirty = true,
               .build_type = "Release",
               .compiler = "GNU 12",
               .mpi = "Open MPI 4.1.4",
               .isa = "avx2",
               .cpu_model = "CPU @ 2.80GHz",
               .hosts = {"a", "b"},
               .ranks = 2,
               .threads = 3,
               .cpus_allowed = 6,
               .oversubscribed = true,
               .launcher = "echelon",
               .slurm = measure::Slurm{{"SLURM_JOB_ID", "17"}, {"SLURM_NTASKS", "2"}}};
  r.parameters = {{"whole", std::uint64_t{18446744073709551615U}},
                  {"flag", false},
                  {"text", std::string{"x"}},
                  {"list", std::vector<std::string>{"p", "q"}},
                  {"empty_list", std::vector<std::string>{}}};
  r.result = {{"value", 3.141592653589793},
              {"round", 2.0},
              {"least", std::numeric_limits<double>::denorm_min()},
              {"most", -std::numeric_limits<double>::max()}};
  r.repetitions_s = {1.5, 1e-9, 0};
  measure::RankRecord rank{.rank = 1,
                           .host = "b",
                           .cpus = "0-3,8",
                           .role = "worker",
                           .tasks = 5,
                           .items = std::uint64_t{1} << 53,
                           .startup_s = 0.25,
                           .compute_s = 0.5,
                           .communicate_s = 0.125,
                           .wait_s = 0.0625,
                           .wall_s = 0.9375,
                           .cpu_s = 2.75,
                           .max_rss_bytes = 123456789,
                           .lost = true,
                           .between_nodes_messages = 12,
                           .between_nodes_bytes = 34567};
  r.ranks = {measure::RankRecord{}, rank};
  r.efficiency = {0.75, 0.8, 0.6};
  return r;
}

void expect_equal(const measure::RankRecord& a, const measure::RankRecord& b) {
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.host, b.host);
  EXPECT_EQ(a.cpus, b.cpus);
  EXPECT_EQ(a.role, b.role);
  EXPECT_EQ(a.tasks, b.tasks);
  EXPECT_EQ(a.items, b.items);
  EXPECT_EQ(a.startup_s, b.startup_s);
  EXPECT_EQ(a.compute_s, b.compute_s);
  EXPECT_EQ(a.communicate_s, b.communicate_s);
  EXPECT_EQ(a.wait_s, b.wait_s);
  EXPECT_EQ(a.wall_s, b.wall_s);
  EXPECT_EQ(a.cpu_s, b.cpu_s);
  EXPECT_EQ(a.max_rss_bytes, b.max_rss_bytes);
  EXPECT_EQ(a.lost, b.lost);
  EXPECT_EQ(a.between_nodes_messages, b.between_nodes_messages);
  EXPECT_EQ(a.between_nodes_bytes, b.between_nodes_bytes);
}

void expect_equal(const measure::Record& a, const measure::Record& b) {
  EXPECT_EQ(a.command, b.command);
  EXPECT_EQ(a.argv, b.argv);
  EXPECT_EQ(a.started_at, b.started_at);
  EXPECT_EQ(a.wall_s, b.wall_s);
  EXPECT_EQ(a.context.version, b.context.version);
  EXPECT_EQ(a.context.commit, b.context.commit);
  EXPECT_EQ(a.context.dirty, b.context.dirty);
  EXPECT_EQ(a.context.build_type, b.context.build_type);
  EXPECT_EQ(a.context.compiler, b.context.compiler);
  EXPECT_EQ(a.context.mpi, b.context.mpi);
  EXPECT_EQ(a.context.isa, b.context.isa);
  EXPECT_EQ(a.context.cpu_model, b.context.cpu_model);
  EXPECT_EQ(a.context.hosts, b.context.hosts);
  EXPECT_EQ(a.context.ranks, b.context.ranks);
  EXPECT_EQ(a.context.threads, b.context.threads);
  EXPECT_EQ(a.context.cpus_allowed, b.context.cpus_allowed);
  EXPECT_EQ(a.context.oversubscribed, b.context.oversubscribed);
  EXPECT_EQ(a.context.launcher, b.context.launcher);
  EXPECT_EQ(a.context.slurm, b.context.slurm);
  EXPECT_EQ(a.parameters, b.parameters);
  EXPECT_EQ(a.result, b.result);
  EXPECT_EQ(a.repetitions_s, b.repetitions_s);
  ASSERT_EQ(a.ranks.size(), b.ranks.size());
  for (std::size_t i = 0; i < a.ranks.size(); ++i) expect_equal(a.ranks[i], b.ranks[i]);
  EXPECT_EQ(a.efficiency.load_balance, b.efficiency.load_balance);
  EXPECT_EQ(a.efficiency.communication, b.efficiency.communication);
  EXPECT_EQ(a.efficiency.parallel, b.efficiency.parallel);
}

/// The text of a full record in which `from`, which stands in it once, is replaced by `to`.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = to_json(full_record());
  const std::size_t at = text.find(from);
  if (at == std::string::npos || text.find(from, at + 1) != std::string::npos) {
    throw std::logic_error("stands not once in the text: " + from);
  }
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  try {
    static_cast<void>(from_json(text));
    ADD_FAILURE() << "was read: " << text;
    return "";
  } catch (const std::runtime_error& e) {
    return e.what();
  }
}

TEST(json, older_record_says_nothing_of_what_went_between_nodes) {
  std::string text = to_json(full_record());
  for (const char* name : {"between_nodes_messages", "between_nodes_bytes"}) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name)) {
      const std::size_t comma = text.rfind(',', at);
      text.erase(comma, text.find_first_of(",\n", at) - comma);
    }
  }
  measure::Record record = full_record();
  record.ranks[1].between_nodes_messages = record.ranks[1].between_nodes_bytes = 0;
  expect_equal(from_json(text), record);
}

TEST(json, full_record_comes_back) {
  const measure::Record record = full_record();
  expect_equal(from_json(to_json(record)), record);
}

TEST(json, default_record_comes_back) {
  expect_equal(from_json(to_json({})), {});
  EXPECT_EQ(from_json(to_json({})).context.slurm, std::nullopt);
}

TEST(json, kinds_of_values_are_kept) {
  const measure::Record record = from_json(to_json(full_record()));
  EXPECT_TRUE(std::holds_alternative<std::uint64_t>(record.parameters[0].second));
  EXPECT_TRUE(std::holds_alternative<bool>(record.parameters[1].second));
  EXPECT_TRUE(std::holds_alternative<std::string>(record.parameters[2].second));
  EXPECT_TRUE(std::holds_alternative<std::vector<std::string>>(record.parameters[4].second));
  EXPECT_TRUE(std::holds_alternative<double>(record.result[1].second)) << "2.0 became a whole number";
}

TEST(json, text_is_an_indented_object_with_its_schema_first) {
  EXPECT_THAT(to_json(full_record()),
              AllOf(StartsWith("{\n  \"schema\": \"echelon.record/1\",\n  \"command\": \"pi\",\n"),
                    HasSubstr("\"wall_s\": 0.30000000000000004,\n"), EndsWith("\n}\n")));
}

TEST(json, text_that_is_no_utf_8_is_still_written) {
  measure::Record record = full_record();
  record.argv = {"\xff"};
  EXPECT_EQ(from_json(to_json(record)).argv, std::vector<std::string>{"\uFFFD"});
}

TEST(json, unknown_members_are_ignored) {
  expect_equal(from_json(edited("\"command\": \"pi\"", "\"new\": {\"a\": [1]}, \"command\": \"pi\"")), full_record());
  expect_equal(from_json(edited("\"version\":", "\"new\": null, \"version\":")), full_record());
  expect_equal(from_json(edited("\"host\": \"b\"", "\"new\": 1, \"host\": \"b\"")), full_record());
  expect_equal(from_json(edited("\"load_balance\":", "\"new\": 1, \"load_balance\":")), full_record());
}

TEST(json, other_schema_is_refused) {
  EXPECT_EQ(refusal(edited("echelon.record/1", "echelon.record/2")),
            "its schema is 'echelon.record/2', not 'echelon.record/1': another version of Echelon wrote it");
  EXPECT_THAT(refusal("{}"), HasSubstr("schema"));
  EXPECT_THAT(refusal(R"({"schema": 1})"), Not(HasSubstr("json.exception")));
}

TEST(json, what_is_no_json_is_refused) {
  const std::string whole = to_json(full_record());
  for (const std::string& text :
       {std::string{}, std::string{"hello"}, std::string{"\n\n"}, std::string{"{\"a\": \"\n\"}"},
        std::string{"\x00\xff\n", 3}, whole.substr(0, whole.size() / 2), whole + whole}) {
    EXPECT_THAT(refusal(text), AllOf(StartsWith("parse error"), Not(HasSubstr("\n"))));
  }
  for (const char* text : {"[]", "1", "null", "\"text\""}) EXPECT_THAT(refusal(text), Not(HasSubstr("\n"))) << text;
}

TEST(json, missing_member_is_named) {
  for (const std::string name : {"command", "argv", "started_at", "context", "parameters", "result", "repetitions_s",
                                 "efficiency", "version", "slurm", "cpu_model", "load_balance", "parallel"}) {
    EXPECT_THAT(refusal(edited('"' + name + "\":", "\"gone\":")), AllOf(HasSubstr(name), Not(HasSubstr("\n")))) << name;
  }
  EXPECT_THAT(refusal(edited("\"ranks\": [", "\"gone\": [")), HasSubstr("ranks"));
  EXPECT_THAT(refusal(edited("\"ranks\": 2", "\"gone\": 2")), HasSubstr("ranks"));
}

TEST(json, wrong_type_is_refused) {
  const std::vector<std::pair<std::string, std::string>> edits{
      {"\"command\": \"pi\"", "\"command\": 1"},
      {"\"wall_s\": 0.30000000000000004", "\"wall_s\": \"long\""},
      {"\"dirty\": true", "\"dirty\": 1"},
      {"\"dirty\": true", "\"dirty\": null"},
      {"\"threads\": 3", "\"threads\": \"3\""},
      {"\"threads\": 3", "\"threads\": -3"},
      {"\"threads\": 3", "\"threads\": 3.5"},
      {"\"threads\": 3", "\"threads\": true"},
      {"\"tasks\": 5", "\"tasks\": -5"},
      {"\"host\": \"b\"", "\"host\": [\"b\"]"},
      {"\"SLURM_JOB_ID\": \"17\"", "\"SLURM_JOB_ID\": 17"},
      {"\"parameters\": {", "\"parameters\": 5, \"old\": {"},
      {"\"parameters\": {", "\"parameters\": null, \"old\": {"},
      {"\"parameters\": {", "\"parameters\": [], \"old\": {"},
      {"\"result\": {", "\"result\": \"text\", \"old\": {"},
      {"\"text\": \"x\"", "\"text\": null"},
      {"\"text\": \"x\"", "\"text\": {}"},
      {"\"text\": \"x\"", "\"text\": [1]"},
      {"\"ranks\": [", "\"ranks\": null, \"old\": ["},
      {"\"ranks\": [", "\"ranks\": {}, \"old\": ["},
      {"\"ranks\": [", "\"ranks\": [1], \"old\": ["},
      {"\"slurm\": {", "\"slurm\": [], \"old\": {"},
      {"\"slurm\": {", "\"slurm\": 5, \"old\": {"},
      {"\"context\": {", "\"context\": [], \"old\": {"},
      {"\"efficiency\": {", "\"efficiency\": null, \"old\": {"},
      {"\"repetitions_s\": [", "\"repetitions_s\": 5, \"old\": ["},
      {"\"repetitions_s\": [", "\"repetitions_s\": [\"5\"], \"old\": ["},
  };
  for (const auto& [from, to] : edits) EXPECT_THAT(refusal(edited(from, to)), Not(HasSubstr("\n"))) << to;
}

}  // namespace
}  // namespace echelon::report
