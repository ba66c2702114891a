#include <algorithm>
#include <array>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include <echelon/report/json.hpp>

namespace echelon::report {
namespace {

using Json = nlohmann::ordered_json;
using measure::Context;
using measure::Efficiency;
using measure::Fields;
using measure::RankRecord;
using measure::Record;
using measure::Slurm;
using measure::Value;

Json write(const Fields& fields) {
  Json object = Json::object();
  for (const auto& [name, value] : fields) {
    std::visit([&, &key = name](const auto& v) { object[key] = v; }, value);
  }
  return object;
}

Json write(const Slurm& slurm) {
  Json object = Json::object();
  for (const auto& [name, value] : slurm) object[name] = value;
  return object;
}

/// The member `name`, which must be an object: one value would be iterated over as a list of one.
const Json& object_at(const Json& json, const char* name) {
  const Json& object = json.at(name);
  if (!object.is_object()) throw std::runtime_error("its " + std::string{name} + " is not an object");
  return object;
}

Value read_value(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_array()) return value.get<std::vector<std::string>>();
  return value.get<std::string>();
}

Fields read_fields(const Json& object) {
  Fields fields;
  for (const auto& [name, value] : object.items()) fields.emplace_back(name, read_value(value));
  return fields;
}

// One list of names each for writing and reading, so that the two cannot differ.

template <typename Visit>
void visit_members(auto& rank, Visit visit) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(rank)>>, RankRecord> {
  visit("rank", rank.rank);
  visit("host", rank.host);
  visit("cpus", rank.cpus);
  visit("role", rank.role);
  visit("tasks", rank.tasks);
  visit("items", rank.items);
  visit("startup_s", rank.startup_s);
  visit("compute_s", rank.compute_s);
  visit("communicate_s", rank.communicate_s);
  visit("wait_s", rank.wait_s);
  visit("wall_s", rank.wall_s);
  visit("cpu_s", rank.cpu_s);
  visit("max_rss_bytes", rank.max_rss_bytes);
  visit("lost", rank.lost);
  visit("between_nodes_messages", rank.between_nodes_messages);
  visit("between_nodes_bytes", rank.between_nodes_bytes);
}

template <typename Visit>
void visit_members(auto& context, Visit visit) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(context)>>, Context> {
  visit("version", context.version);
  visit("commit", context.commit);
  visit("dirty", context.dirty);
  visit("build_type", context.build_type);
  visit("compiler", context.compiler);
  visit("mpi", context.mpi);
  visit("isa", context.isa);
  visit("cpu_model", context.cpu_model);
  visit("hosts", context.hosts);
  visit("ranks", context.ranks);
  visit("threads", context.threads);
  visit("cpus_allowed", context.cpus_allowed);
  visit("oversubscribed", context.oversubscribed);
  visit("launcher", context.launcher);
}

template <typename Visit>
void visit_members(auto& efficiency, Visit visit) requires
    std::is_same_v<std::remove_const_t<std::remove_reference_t<decltype(efficiency)>>, Efficiency> {
  visit("load_balance", efficiency.load_balance);
  visit("communication", efficiency.communication);
  visit("parallel", efficiency.parallel);
}

template <typename T>
Json write_members(const T& from) {
  Json object = Json::object();
  visit_members(from, [&](const char* name, const auto& member) { object[name] = member; });
  return object;
}

/// Members that older records do not have; they keep their defaults.
constexpr std::array<std::string_view, 2> later{"between_nodes_messages", "between_nodes_bytes"};

template <typename T>
T read_members(const Json& object) {
  T to;
  visit_members(to, [&](const char* name, auto& member) {
    if (!object.contains(name) && std::ranges::find(later, name) != later.end()) return;
    const Json& value = object.at(name);
    // get_to() would make a huge count of a negative one.
    if (std::is_same_v<decltype(member), std::uint64_t&> && !value.is_number_unsigned()) {
      throw std::runtime_error("its " + std::string{name} + " is not a whole number");
    }
    value.get_to(member);
  });
  return to;
}

}  // namespace

std::string to_json(const Record& record) {
  Json context = write_members(record.context);
  context["slurm"] = record.context.slurm ? write(*record.context.slurm) : Json(nullptr);  // braces would make an array
  Json ranks = Json::array();
  for (const RankRecord& rank : record.ranks) ranks.push_back(write_members(rank));
  Json json;
  json["schema"] = measure::record_schema;
  json["command"] = record.command;
  json["argv"] = record.argv;
  json["started_at"] = record.started_at;
  json["wall_s"] = record.wall_s;
  json["context"] = std::move(context);
  json["parameters"] = write(record.parameters);
  json["result"] = write(record.result);
  json["repetitions_s"] = record.repetitions_s;
  json["ranks"] = std::move(ranks);
  json["efficiency"] = write_members(record.efficiency);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

Record from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    const std::string schema = json.at("schema").get<std::string>();
    if (schema != measure::record_schema) {
      throw std::runtime_error("its schema is '" + schema + "', not '" + std::string{measure::record_schema} +
                               "': another version of Echelon wrote it");
    }
    Record record;
    json.at("command").get_to(record.command);
    json.at("argv").get_to(record.argv);
    json.at("started_at").get_to(record.started_at);
    json.at("wall_s").get_to(record.wall_s);
    record.context = read_members<Context>(object_at(json, "context"));
    if (!json.at("context").at("slurm").is_null()) {
      record.context.slurm.emplace();
      for (const auto& [name, value] : object_at(json.at("context"), "slurm").items())
        record.context.slurm->emplace_back(name, value.get<std::string>());
    }
    record.parameters = read_fields(object_at(json, "parameters"));
    record.result = read_fields(object_at(json, "result"));
    json.at("repetitions_s").get_to(record.repetitions_s);
    if (!json.at("ranks").is_array()) throw std::runtime_error("its ranks are not a list");
    for (const Json& rank : json.at("ranks")) record.ranks.push_back(read_members<RankRecord>(rank));
    record.efficiency = read_members<Efficiency>(object_at(json, "efficiency"));
    return record;
  } catch (const Json::exception& e) {
    // As in "[json.exception.parse_error.101] parse error at line 1, ...": the identifier helps no one.
    const std::string what = e.what();
    const std::size_t end = what.find("] ");
    throw std::runtime_error(end == std::string::npos ? what : what.substr(end + 2));
  }
}

}  // namespace echelon::report
