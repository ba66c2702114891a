// What a study is asked to do: lists of numbers, weak scaling's function, the plan as a file.
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/study/plan.hpp>
#include <echelon/study/work.hpp>

namespace echelon::study {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t most = 1'000'000;

std::string refusal(const std::function<void()>& what) {
  try {
    what();
  } catch (const base::UsageError& e) {
    return e.what();
  }
  return "(not refused)";
}

std::string refusal_of_counts(const std::string& text) {
  return refusal([&] { (void)parse_counts(text, most); });
}

Plan some_plan() {
  Plan plan;
  plan.ranks = {1, 2, 4};
  plan.threads = {1, 2};
  plan.command = {"pi", "--points", "1e9"};
  plan.folder = "/tmp";
  return plan;
}

TEST(counts, lists_and_ranges) {
  EXPECT_THAT(parse_counts("1,2,4,8", most), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(parse_counts("1-4", most), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(parse_counts("3..6", most), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(parse_counts("1..64:x2", most), ElementsAre(1, 2, 4, 8, 16, 32, 64));
  EXPECT_THAT(parse_counts("4..13:+4", most), ElementsAre(4, 8, 12));
  EXPECT_THAT(parse_counts("8,1-2,2,1..4:x2", most), ElementsAre(1, 2, 4, 8)) << "ascending, each once";
  EXPECT_THAT(parse_counts("1e3,1_0", most), ElementsAre(10, 1000));
}

TEST(counts, what_is_none_is_refused_and_named) {
  EXPECT_THAT(refusal_of_counts("0"), HasSubstr("'0' is too small"));
  EXPECT_THAT(refusal_of_counts(""), HasSubstr("'' is not a number"));
  EXPECT_THAT(refusal_of_counts("1,,2"), HasSubstr("'' is not a number"));
  EXPECT_THAT(refusal_of_counts("1,x"), HasSubstr("'x' is not a number"));
  EXPECT_THAT(refusal_of_counts("4-1"), HasSubstr("'4-1' ends before it begins"));
  EXPECT_THAT(refusal_of_counts("1..8:2"), HasSubstr("unknown step"));
  EXPECT_THAT(refusal_of_counts("1..8:x1"), HasSubstr("does not grow"));
  EXPECT_THAT(refusal_of_counts("0..8"), HasSubstr("in '0..8': '0' is too small"));
  EXPECT_THAT(refusal_of_counts("1-1e6"), HasSubstr("too many"));
  EXPECT_THAT(refusal_of_counts("-1"), HasSubstr("negative"));
  EXPECT_THAT(refusal_of_counts("1e7"), HasSubstr("too large"));
}

TEST(points, are_all_ranks_with_all_threads_by_processors_then_ranks) {
  EXPECT_THAT(points(some_plan()),
              ElementsAre(Point{1, 1}, Point{1, 2}, Point{2, 1}, Point{2, 2}, Point{4, 1}, Point{4, 2}));
}

TEST(work, is_a_function_of_the_processors) {
  EXPECT_EQ(work_text("1e8*p", {4, 2}), "800000000");
  EXPECT_EQ(work_text("1e9/8*p", {1, 1}), "125000000");
  EXPECT_EQ(work_text("1e6*ranks + threads", {3, 2}), "3000002");
  EXPECT_EQ(work_text("rint(100*p^(1/3))", {2, 1}), "126");
  EXPECT_EQ(work_text("0.1*p", {3, 1}), "0.3");
}

TEST(work, what_is_wrong_with_the_function_is_said) {
  EXPECT_THAT(refusal([] { (void)work("1e8*q", {1, 1}); }), AllOf(HasSubstr("--weak"), HasSubstr("\"q\"")));
  EXPECT_THAT(refusal([] { (void)work("1e8*", {1, 1}); }), HasSubstr("give a function of p"));
  EXPECT_THAT(refusal([] { (void)work("p-2", {2, 1}); }), HasSubstr("is 0 with p = 2"));
  EXPECT_THAT(refusal([] { (void)work("1/(p-2)", {2, 1}); }), HasSubstr("positive"));
  EXPECT_THAT(refusal([] { (void)work("", {2, 1}); }), HasSubstr("--weak"));
}

TEST(plan, file_says_all_and_is_read_back) {
  Plan plan = some_plan();
  plan.precision = 0.02;
  plan.budget_s = 1800.5;
  plan.baseline = 2;
  plan.command = {"a b", "\"'\\", "\xc3\xa9"};
  EXPECT_EQ(plan_from_json(to_json(plan)), plan);
  EXPECT_EQ(plan_from_json(to_json(some_plan())), some_plan());
}

TEST(plan, file_of_a_user_has_what_it_wants_to_say) {
  const Plan plan = plan_from_json(R"({"ranks": "1..8:x2", "threads": [1, 2], "command": ["pi"]})");
  EXPECT_THAT(plan.ranks, ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(plan.threads, ElementsAre(1, 2));
  EXPECT_EQ(plan.repeat, Plan{}.repeat);
}

TEST(plan, file_that_is_wrong_is_refused_with_the_reason) {
  const auto complaint = [](const char* text) -> std::string {
    try {
      (void)plan_from_json(text);
    } catch (const std::exception& e) {
      return e.what();
    }
    return "(not refused)";
  };
  EXPECT_THAT(complaint(R"({"repeats": 3})"), AllOf(HasSubstr("'repeats' is not known"), HasSubstr("repeat, ")));
  EXPECT_THAT(complaint(R"({"repeat": "x"})"), HasSubstr("repeat: is not a whole number"));
  EXPECT_THAT(complaint(R"({"repeat": -1})"), HasSubstr("repeat: is not a whole number"));
  EXPECT_THAT(complaint(R"({"ranks": "0"})"), HasSubstr("too small"));
  EXPECT_THAT(complaint(R"({"schema": "echelon.plan/2"})"), HasSubstr("schema"));
  EXPECT_THAT(complaint("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(complaint("{\"ranks\": [1"), testing::Not(HasSubstr("json.exception")));
}

TEST(plan, difference_names_what_changed) {
  Plan now = some_plan();
  now.folder = "/elsewhere";
  EXPECT_EQ(difference(some_plan(), now), "");
  now.ranks = {1, 2};
  now.precision = 0.02;
  now.command.back() = "1e8";
  EXPECT_EQ(difference(some_plan(), now),
            "ranks (1,2,4 before, 1,2 now), precision (none before, 0.02 now), "
            "command ('pi --points 1e9' before, 'pi --points 1e8' now)");
}

TEST(plan, difference_sees_where_words_begin) {
  Plan now = some_plan();
  now.command = {"pi", "--points 1e9"};
  EXPECT_EQ(difference(some_plan(), now), "command ('pi --points 1e9' before, 'pi '--points 1e9'' now)");
}

TEST(plan, study_may_go_on_with_another_budget_and_more_repetitions_only) {
  Plan before = some_plan();
  before.budget_s = 60;
  Plan now = before;
  now.budget_s = 30;
  now.repeat = before.repeat + 1;
  now.max_repeat = before.max_repeat + 1;
  EXPECT_EQ(difference_on_resume(before, now), "");
  now.budget_s.reset();
  EXPECT_EQ(difference_on_resume(before, now), "");
  now.repeat = before.repeat - 1;
  now.max_repeat = before.max_repeat - 1;
  now.seed = 2;
  EXPECT_EQ(difference_on_resume(before, now),
            "repeat (10 before, 9 now), max_repeat (100 before, 99 now), seed (1 before, 2 now)");
}

TEST(plan, that_cannot_be_is_refused) {
  const auto refused = [](const std::function<void(Plan&)>& change) {
    Plan plan = some_plan();
    change(plan);
    return refusal([&] { check(plan); });
  };
  EXPECT_EQ(refused([](Plan&) {}), "(not refused)");
  EXPECT_THAT(refused([](Plan& p) { p.ranks = {0}; }), HasSubstr("--ranks: 0"));
  EXPECT_THAT(refused([](Plan& p) { p.threads = {}; }), HasSubstr("--threads: there are none"));
  EXPECT_THAT(refused([](Plan& p) { p.baseline = 3; }), HasSubstr("--baseline: 3 is not one of the ranks"));
  EXPECT_THAT(refused([](Plan& p) { p.precision = 0; }), HasSubstr("--precision"));
  const auto precise = [&](std::uint64_t max_repeat) {
    return refused([&](Plan& p) {
      p.precision = 0.02;
      p.max_repeat = max_repeat;
    });
  };
  EXPECT_THAT(precise(5), HasSubstr("--max-repeat: with 5 runs no median has an interval"));
  EXPECT_EQ(precise(6), "(not refused)");
  EXPECT_THAT(refused([](Plan& p) { p.budget_s = 0; }), HasSubstr("--budget"));
  EXPECT_THAT(refused([](Plan& p) { p.command = {}; }), HasSubstr("COMMAND"));
  EXPECT_THAT(refused([](Plan& p) { p.weak = "1e8*p"; }), HasSubstr("--weak: the command has no {}"));
  EXPECT_THAT(refused([](Plan& p) { p.launcher = "mpirn"; }), HasSubstr("'mpirn' is not known"));
  EXPECT_THAT(refused([](Plan& p) { p.launcher = "x {command}"; }), HasSubstr("no {ranks}"));
  EXPECT_THAT(refused([](Plan& p) { p.launcher = "x {ranks} '{command}"; }), HasSubstr("quote"));
  EXPECT_THAT(refused([](Plan& p) { p.launcher = "x {ranks} a{command}"; }), HasSubstr("word of its own"));
  EXPECT_THAT(refused([](Plan& p) {
                p.command = {"./solver", "a\xff"};
              }),
              AllOf(HasSubstr("COMMAND: \"a\xef\xbf\xbd\" is not UTF-8"), HasSubstr("script")));
  EXPECT_THAT(refused([](Plan& p) { p.launcher = "x\xff {ranks} {command}"; }), HasSubstr("--launcher: "));
  EXPECT_THAT(refused([](Plan& p) { p.folder = "/tmp/\xff"; }), HasSubstr("the folder that runs are started in"));
  EXPECT_THAT(refused([](Plan& p) { p.command = {"queue"}; }), HasSubstr("--threads: queue has no threads"));
  EXPECT_THAT(refused([](Plan& p) {
                p.weak = "1e7*sqrt(p)";
                p.command = {"pi", "--points", "{}"};
              }),
              AllOf(HasSubstr("'1e7*sqrt(p)' is 14142135.623731 with p = 2, and pi takes whole numbers"),
                    HasSubstr("give rint(1e7*sqrt(p))")));
  EXPECT_EQ(refused([](Plan& p) {
              p.weak = "rint(1e7*sqrt(p))";
              p.command = {"pi", "--points={}"};
            }),
            "(not refused)");
  EXPECT_EQ(refused([](Plan& p) {
              p.weak = "1e7*sqrt(p)";
              p.command = {"./solver", "{}"};
            }),
            "(not refused)");
  EXPECT_THAT(refused([](Plan& p) { p.command = {"fill", "--out", "x.npy"}; }), HasSubstr("add --force"));
  EXPECT_EQ(refused([](Plan& p) { p.command = {"fill", "--force", "--out", "x.npy"}; }), "(not refused)");
  EXPECT_THAT(refused([](Plan& p) {
                p.threads = {1};
                p.command = {"log", "run.log"};
              }),
              HasSubstr("COMMAND: log would find its file there from the second run on; add --force"));
  EXPECT_THAT(refused([](Plan& p) { p.command = {"pi", "-n", "2"}; }), HasSubstr("-n is the study's"));
  EXPECT_THAT(refused([](Plan& p) { p.command = {"pi", "--json=x"}; }), HasSubstr("--json is the study's"));
}

}  // namespace
}  // namespace echelon::study
