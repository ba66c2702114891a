// A command's words: a function for its headline, and a line in `wordings`.

#include "headlines.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <echelon/measure/topology.hpp>
#include <echelon/report/plural.hpp>
#include <echelon/report/table.hpp>

#include "seconds.hpp"

namespace echelon::report {
namespace {

using measure::Record;

template <typename T>
const T& result(const Record& record, std::string_view name) {
  return measure::get<T>(record.result, name);
}

template <typename T>
const T& parameter(const Record& record, std::string_view name) {
  return measure::get<T>(record.parameters, name);
}

std::string ranks_and_threads(const Record& record) {
  return plural(record.context.ranks, "rank") + " x " + plural(record.context.threads, "thread");
}

std::string pi(const Record& record) {
  return fmt::format("pi = {}   error {:.2g}\n", result<double>(record, "value"), result<double>(record, "error")) +
         fmt::format("{} in {} s, {} points/s   {}, {}, {}, {}\n",
                     plural(result<std::uint64_t>(record, "points"), "point"),
                     seconds(result<double>(record, "time_s")), engineering(result<double>(record, "points_per_s")),
                     parameter<std::string>(record, "kernel"), parameter<std::string>(record, "schedule"),
                     record.context.isa, ranks_and_threads(record));
}

std::string fill(const Record& record) {
  return fmt::format("{}: {}   mean {}   checksum {}\n", result<std::string>(record, "file"),
                     measure::format_bytes(result<std::uint64_t>(record, "bytes")), result<double>(record, "mean"),
                     result<std::uint64_t>(record, "checksum")) +
         fmt::format("{} in {} s, {} doubles/s, {:.2f} GB/s   seed {}, {}, {}\n",
                     plural(result<std::uint64_t>(record, "size"), "double"), seconds(result<double>(record, "time_s")),
                     engineering(result<double>(record, "doubles_per_s")), result<double>(record, "bytes_per_s") / 1e9,
                     parameter<std::uint64_t>(record, "seed"), record.context.isa, ranks_and_threads(record));
}

const char* yes_or_no(bool is) { return is ? "yes" : "no"; }

std::string queue(const Record& record) {
  const auto producers = parameter<std::uint64_t>(record, "producers");
  const bool whole = result<std::uint64_t>(record, "damaged") == 0;
  return fmt::format("each item once: {}   whole: {}   in its producer's order: {}\n",
                     yes_or_no(result<bool>(record, "each_once")), yes_or_no(whole),
                     yes_or_no(result<std::uint64_t>(record, "disordered") == 0)) +
         fmt::format("{} of {} in {} s, {} items/s, {} bytes/s   {}, {}, capacity {}\n",
                     plural(result<std::uint64_t>(record, "items"), "item"),
                     plural(parameter<std::uint64_t>(record, "bytes"), "byte"),
                     seconds(result<double>(record, "time_s")), engineering(result<double>(record, "items_per_s")),
                     engineering(result<double>(record, "bytes_per_s")), plural(producers, "producer"),
                     plural(record.context.ranks - producers, "consumer"),
                     parameter<std::uint64_t>(record, "capacity"));
}

std::string counter(const Record& record) {
  const auto expected = result<std::uint64_t>(record, "expected");
  return fmt::format("counter = {}   expected {}\n", result<std::uint64_t>(record, "found"), expected) +
         fmt::format("{} in {} s, {} increments/s   {}, {}\n", plural(expected, "increment"),
                     seconds(result<double>(record, "time_s")), engineering(result<double>(record, "increments_per_s")),
                     parameter<std::string>(record, "method"), plural(record.context.ranks, "rank"));
}

std::string log(const Record& record) {
  const auto expected = result<std::uint64_t>(record, "expected");
  return fmt::format("{}: {} whole and once, of {}; {} torn, double or out of order\n",
                     result<std::string>(record, "file"), plural(result<std::uint64_t>(record, "found"), "line"),
                     expected, result<std::uint64_t>(record, "wrong")) +
         fmt::format("{} in {} s, {} lines/s   {}\n", plural(expected, "line"),
                     seconds(result<double>(record, "time_s")), engineering(result<double>(record, "lines_per_s")),
                     plural(record.context.ranks, "rank"));
}

std::string any(const Record& record) { return fmt::format("{} on {}\n", record.command, ranks_and_threads(record)); }

constexpr std::array wordings{
    Wording{"pi", "chunks", "points", pi},       //
    Wording{"fill", "blocks", "doubles", fill},  //
    Wording{"queue", "", "items", queue},        //
    Wording{"counter", "", "increments", counter},
    Wording{"log", "", "lines", log},
    Wording{"", "tasks", "items", any},  // the last: for all others
};

}  // namespace

const Wording& wording(std::string_view command) noexcept {
  const auto* found = std::ranges::find(wordings, command, &Wording::command);
  return found == wordings.end() ? wordings.back() : *found;
}

}  // namespace echelon::report
