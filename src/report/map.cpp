#include <algorithm>

#include <fmt/format.h>

#include <echelon/report/plural.hpp>
#include <echelon/report/table.hpp>

#include "between_nodes.hpp"
#include "printable.hpp"
#include "seconds.hpp"

namespace echelon::report {
namespace {

constexpr std::size_t failures_shown = 20;

using Texts = std::vector<std::string>;

}  // namespace

std::string map_summary(const measure::Record& record) {
  const measure::Fields& result = record.result;
  const auto count = [&](const char* name) { return measure::get<std::uint64_t>(result, name); };
  std::string text = fmt::format("{} ended well, {} failed", plural(count("succeeded"), "task"), count("failed"));
  if (count("ended_before") > 0) text += fmt::format(", {} had ended before", count("ended_before"));
  if (count("failed_before") > 0) {
    text += fmt::format(" ({} failed; --resume-failed runs those again)", count("failed_before"));
  }
  if (const std::uint64_t retried = count("retried"); retried > 0) {
    text += fmt::format(", {} {} repeated", plural(retried, "attempt"), retried == 1 ? "was" : "were");
  }
  text += fmt::format("   {} s, {} tasks/s, utilisation {:.3f}\n", seconds(measure::get<double>(result, "time_s")),
                      engineering(measure::get<double>(result, "tasks_per_s")),
                      measure::get<double>(result, "utilisation"));
  const auto& failures = measure::get<Texts>(result, "failures");
  for (std::size_t i = 0; i < std::min(failures.size(), failures_shown); ++i)
    text += "  " + printable(failures[i]) + '\n';
  const std::uint64_t failed_now = count("failed") - count("failed_before");
  if (failed_now > failures_shown) text += fmt::format("  and {} more\n", failed_now - failures_shown);
  if (count("output_lost") > 0) {
    text += fmt::format("  {} lost what they printed; once there is room, --resume runs those again\n",
                        plural(count("output_lost"), "task"));
  }

  using enum Table::Align;
  Table table{
      {{"rank"}, {"host", left}, {"cpus", left}, {"tasks"}, {"busy s"}, {"idle s"}, {"busy %"}, {"state", left}}};
  for (const measure::RankRecord& rank : record.ranks) {
    if (record.ranks.size() > 1 && rank.rank == 0) continue;  // it hands out
    const double idle_s = rank.wait_s + rank.communicate_s;
    const double all_s = rank.compute_s + idle_s;
    table.add({fmt::format("{}", rank.rank), rank.host, rank.cpus, fmt::format("{}", rank.tasks),
               seconds(rank.compute_s), seconds(idle_s),
               fmt::format("{:.0f}", all_s > 0 ? 100 * rank.compute_s / all_s : 0), rank.lost ? "lost" : ""});
  }
  text += '\n' + table.text();
  if (const std::string between = between_nodes(record); !between.empty()) text += '\n' + between;
  if (const auto& stopped = measure::get<std::string>(result, "stopped"); !stopped.empty()) {
    text +=
        fmt::format("\n{}{}\n", stopped, measure::get<bool>(result, "unfinished") ? "; what is left was not run" : "");
  }
  return text;
}

}  // namespace echelon::report
