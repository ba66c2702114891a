#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <echelon/report/table.hpp>

#include "seconds.hpp"

namespace echelon::report {
namespace {

using measure::Record;

std::uint64_t total_threads(const Record& record) { return record.context.ranks * record.context.threads; }

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
