#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <stdexcept>

#include <fmt/format.h>

#include <echelon/measure/record.hpp>
#include <echelon/report/beside.hpp>

namespace echelon::report {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

double number(std::string_view cell, std::size_t line) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value) || value <= 0) {
    throw std::runtime_error(fmt::format("line {}: '{}' is not a number above 0", line, cell));
  }
  return value;
}

/// Where the first of `names` is among the columns.
std::optional<std::size_t> column(const std::vector<std::string_view>& head,
                                  std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const auto found = std::ranges::find(head, name);
    if (found != head.end()) return static_cast<std::size_t>(found - head.begin());
  }
  return std::nullopt;
}

struct Columns {
  std::size_t processors = 0;
  std::size_t time = 0;
  std::optional<std::size_t> cpu = {};
};

Columns columns(const std::vector<std::string_view>& head, std::size_t line) {
  const auto processors = column(head, {"processors", "ranks"});
  const auto time = column(head, {"elapsed_s", "time_s"});
  if (!processors || !time) {
    throw std::runtime_error(
        fmt::format("line {}: no column '{}'; the header names ranks or processors, elapsed_s or time_s, and maybe "
                    "cpu_percent",
                    line, processors ? "elapsed_s" : "ranks"));
  }
  return {*processors, *time, column(head, {"cpu_percent"})};
}

struct Values {
  std::vector<double> time_s;
  std::vector<double> cpu_percent;
};

/// Of the study, what is of the kind of the others' times.
std::optional<double> time_s(const analysis::StudyRow& row, const Beside& beside) {
  if (beside.is_elapsed) return row.elapsed_s;
  return row.time_s ? std::optional{row.time_s->value} : std::nullopt;
}

void set_ratios(std::vector<BesideRow>& rows, std::optional<BesideFigures> BesideRow::*side) {
  const auto base = std::ranges::find_if(rows, [&](const BesideRow& row) { return (row.*side).has_value(); });
  if (base == rows.end()) return;
  for (BesideRow& row : rows) {
    if (!(row.*side)) continue;
    BesideFigures& figures = *(row.*side);
    figures.speedup = (*base.*side)->time_s / figures.time_s;
    figures.efficiency = figures.speedup * base->processors / row.processors;
  }
}

}  // namespace

Beside parse_beside(std::string_view csv, std::string_view name) {
  Beside beside;
  std::optional<Columns> at;
  std::size_t width = 0;
  std::map<double, Values> by_processors;
  std::size_t line = 0;
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";  // spreadsheets write it
  if (csv.starts_with(byte_order_mark)) csv.remove_prefix(byte_order_mark.size());
  for (const std::string_view text : split(csv, '\n')) {
    ++line;
    if (text.empty()) continue;
    if (text.front() == '#') {
      if (beside.title.empty()) beside.title = trimmed(text.substr(1));
      continue;
    }
    const std::vector<std::string_view> cells = split(text, ',');
    if (!at) {
      at = columns(cells, line);
      width = cells.size();
      beside.is_elapsed = cells[at->time] == "elapsed_s";
      continue;
    }
    if (cells.size() != width) {
      throw std::runtime_error(fmt::format("line {}: {} cells, the header has {}", line, cells.size(), width));
    }
    Values& values = by_processors[number(cells[at->processors], line)];
    values.time_s.push_back(number(cells[at->time], line));
    if (at->cpu && !cells[*at->cpu].empty()) values.cpu_percent.push_back(number(cells[*at->cpu], line));
  }
  if (by_processors.empty()) throw std::runtime_error("it has no figures");
  if (beside.title.empty()) beside.title = name;
  for (const auto& [processors, values] : by_processors) {
    Beside::Row row{processors, measure::median(values.time_s)};
    if (!values.cpu_percent.empty()) row.cpu_percent = measure::median(values.cpu_percent);
    beside.rows.push_back(row);
  }
  return beside;
}

std::vector<BesideRow> beside_rows(const analysis::Study& study, const Beside& beside) {
  std::map<double, BesideRow> by_processors;
  for (const analysis::StudyRow& row : study.rows) {
    const auto time = time_s(row, beside);
    if (!time || *time <= 0) continue;
    BesideRow& of = by_processors[static_cast<double>(row.processors)];
    if (!of.study || *time < of.study->time_s) of.study = {.time_s = *time, .cpu_percent = row.cpu_percent};
  }
  for (const Beside::Row& row : beside.rows) {
    by_processors[row.processors].other = {.time_s = row.time_s, .cpu_percent = row.cpu_percent};
  }
  std::vector<BesideRow> rows;
  for (auto& [processors, row] : by_processors) {
    row.processors = processors;
    rows.push_back(row);
  }
  set_ratios(rows, &BesideRow::study);
  set_ratios(rows, &BesideRow::other);
  return rows;
}

}  // namespace echelon::report
