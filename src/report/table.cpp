#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <echelon/report/table.hpp>

#include "plural.hpp"

namespace echelon::report {
namespace {

using measure::Record;

template <typename T>
const T& result(const Record& record, std::string_view name) {
  return measure::get<T>(record.result, name);
}

std::uint64_t total_threads(const Record& record) { return record.context.ranks * record.context.threads; }

/// Six decimals for what is below a millisecond, so that a short phase is not shown as nothing.
std::string seconds(double value) { return fmt::format("{:.{}f}", value, value < 0.001 && value > 0 ? 6 : 4); }

}  // namespace

Table::Table(std::vector<Column> columns) : columns_{std::move(columns)} {}

void Table::add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::text() const {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    std::size_t width = columns_[c].head.size();
    for (const auto& row : rows_) width = std::max(width, row[c].size());
    widths.push_back(width);
  }
  std::string text;
  const auto add_line = [&](const auto& cell) {
    std::string line;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::left ? fmt::format("{:<{}}", cell(c), widths[c])
                                               : fmt::format("{:>{}}", cell(c), widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  add_line([&](std::size_t c) { return columns_[c].head; });
  for (const auto& row : rows_) add_line([&](std::size_t c) { return row[c]; });
  return text;
}

std::string engineering(double value) {
  if (!(std::abs(value) >= 1) || !std::isfinite(value)) return fmt::format("{:.3g}", value);
  int exponent = static_cast<int>(std::floor(std::log10(std::abs(value)))) / 3 * 3;
  double mantissa = value / std::pow(10, exponent);
  if (std::abs(mantissa) >= 999.5) {
    exponent += 3;
    mantissa /= 1000;
  }
  const double size = std::abs(mantissa);
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return exponent == 0 ? fmt::format("{:.3g}", value) : fmt::format("{:.{}f}e{}", mantissa, decimals, exponent);
}

std::string pi_table(const Record& record) {
  using enum Table::Align;
  const auto& context = record.context;
  const double time_s = result<double>(record, "time_s");
  const std::size_t repetitions = record.repetitions_s.size();
  const auto [fastest, slowest] = std::ranges::minmax_element(record.repetitions_s);
  std::string text =
      fmt::format("pi = {}   error {:.2g}\n", result<double>(record, "value"), result<double>(record, "error"));
  text += fmt::format(
      "{} in {} s, {} points/s   {}, {}, {}, {} x {}\n", plural(result<std::uint64_t>(record, "points"), "point"),
      seconds(time_s), engineering(result<double>(record, "points_per_s")),
      measure::get<std::string>(record.parameters, "kernel"), measure::get<std::string>(record.parameters, "schedule"),
      context.isa, plural(context.ranks, "rank"), plural(context.threads, "thread"));
  if (repetitions > 1) {
    text += fmt::format("median of {} repetitions, {} s to {} s\n", repetitions, seconds(*fastest), seconds(*slowest));
  }
  Table table{{{"rank"},
               {"host", left},
               {"cpus", left},
               {"chunks"},
               {"points"},
               {"compute s"},
               {"communicate s"},
               {"wait s"},
               {"cpu %"},
               {"points/s"}}};
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

std::string scaling_table(std::vector<Record> records) {
  std::ranges::stable_sort(records, {}, [](const Record& r) { return std::pair{total_threads(r), r.context.ranks}; });
  const double base_s = measure::median(records.front().repetitions_s);
  const auto base_threads = static_cast<double>(total_threads(records.front()));
  Table table{{{"ranks"},
               {"threads"},
               {"time s"},
               {"speedup"},
               {"efficiency"},
               {"load balance"},
               {"communication"},
               {"repetitions"},
               {"", Table::Align::left}}};
  for (const Record& record : records) {
    const double time_s = measure::median(record.repetitions_s);
    const double speedup = base_s / time_s;
    const auto ideal = static_cast<double>(total_threads(record)) / base_threads;
    table.add({fmt::format("{}", record.context.ranks), fmt::format("{}", record.context.threads), seconds(time_s),
               fmt::format("{:.2f}", speedup), fmt::format("{:.3f}", speedup / ideal),
               fmt::format("{:.3f}", record.efficiency.load_balance),
               fmt::format("{:.3f}", record.efficiency.communication), fmt::format("{}", record.repetitions_s.size()),
               record.context.oversubscribed ? "oversubscribed" : ""});
  }
  return table.text();
}

}  // namespace echelon::report
