#include <algorithm>

#include <fmt/format.h>

#include <echelon/report/table.hpp>

#include "between_nodes.hpp"
#include "headlines.hpp"
#include "seconds.hpp"

namespace echelon::report {
namespace {

bool has_role_of_its_own(const measure::RankRecord& rank) {
  return !rank.role.empty() && rank.role != "master" && rank.role != "worker";
}

}  // namespace

std::string run_table(const measure::Record& record) {
  using enum Table::Align;
  const Wording& words = wording(record.command);
  std::string text = words.headline(record);
  if (const std::size_t repetitions = record.repetitions_s.size(); repetitions > 1) {
    const auto [fastest, slowest] = std::ranges::minmax_element(record.repetitions_s);
    text += fmt::format("median of {} repetitions, {} s to {} s\n", repetitions, seconds(*fastest), seconds(*slowest));
  }
  const bool has_tasks = !words.tasks.empty();
  const bool has_roles = std::ranges::any_of(record.ranks, has_role_of_its_own);
  // Where moving data is all there is to do, speed is that, and there is no computing to be efficient at.
  const bool computes = std::ranges::any_of(record.ranks, [](const auto& r) { return r.compute_s > 0; });
  std::vector<Table::Column> columns{{"rank"}, {"host", left}, {"cpus", left}};
  if (has_roles) columns.push_back({"role", left});
  if (has_tasks) columns.push_back({std::string{words.tasks}});
  columns.push_back({std::string{words.items}});
  if (computes) columns.push_back({"compute s"});
  columns.insert(columns.end(), {{"communicate s"}, {"wait s"}, {"cpu %"}, {fmt::format("{}/s", words.items)}});
  Table table{std::move(columns)};
  for (const measure::RankRecord& r : record.ranks) {
    const double busy_s = computes ? r.compute_s : r.communicate_s;
    std::vector<std::string> cells{fmt::format("{}", r.rank), r.host, r.cpus};
    if (has_roles) cells.push_back(r.role);
    if (has_tasks) cells.push_back(fmt::format("{}", r.tasks));
    cells.push_back(fmt::format("{}", r.items));
    if (computes) cells.push_back(seconds(r.compute_s));
    cells.insert(cells.end(), {seconds(r.communicate_s), seconds(r.wait_s),
                               fmt::format("{:.0f}", r.wall_s > 0 ? 100 * r.cpu_s / r.wall_s : 0),
                               engineering(busy_s > 0 ? static_cast<double>(r.items) / busy_s : 0)});
    table.add(std::move(cells));
  }
  text += '\n' + table.text();
  const std::string between = between_nodes(record);
  if (!computes) return between.empty() ? text : text + '\n' + between;
  const measure::Efficiency& e = record.efficiency;
  return text +
         fmt::format("\nload balance {:.3f}   communication efficiency {:.3f}   parallel efficiency {:.3f}\n",
                     e.load_balance, e.communication, e.parallel) +
         between;
}

}  // namespace echelon::report
