#include <algorithm>

#include <fmt/format.h>

#include <echelon/report/table.hpp>

#include "headlines.hpp"
#include "seconds.hpp"

namespace echelon::report {

std::string run_table(const measure::Record& record) {
  using enum Table::Align;
  const Wording& words = wording(record.command);
  std::string text = words.headline(record);
  if (const std::size_t repetitions = record.repetitions_s.size(); repetitions > 1) {
    const auto [fastest, slowest] = std::ranges::minmax_element(record.repetitions_s);
    text += fmt::format("median of {} repetitions, {} s to {} s\n", repetitions, seconds(*fastest), seconds(*slowest));
  }
  Table table{{{"rank"},
               {"host", left},
               {"cpus", left},
               {std::string{words.tasks}},
               {std::string{words.items}},
               {"compute s"},
               {"communicate s"},
               {"wait s"},
               {"cpu %"},
               {fmt::format("{}/s", words.items)}}};
  for (const measure::RankRecord& r : record.ranks) {
    const double speed = r.compute_s > 0 ? static_cast<double>(r.items) / r.compute_s : 0;
    table.add({fmt::format("{}", r.rank), r.host, r.cpus, fmt::format("{}", r.tasks), fmt::format("{}", r.items),
               seconds(r.compute_s), seconds(r.communicate_s), seconds(r.wait_s),
               fmt::format("{:.0f}", r.wall_s > 0 ? 100 * r.cpu_s / r.wall_s : 0), engineering(speed)});
  }
  const measure::Efficiency& e = record.efficiency;
  return text + '\n' + table.text() +
         fmt::format("\nload balance {:.3f}   communication efficiency {:.3f}   parallel efficiency {:.3f}\n",
                     e.load_balance, e.communication, e.parallel);
}

}  // namespace echelon::report
