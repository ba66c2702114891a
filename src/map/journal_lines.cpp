#include <algorithm>
#include <utility>
#include <variant>

#include <echelon/map/journal_lines.hpp>

namespace echelon::map {

namespace journal = farm::journal;

JournalLines::JournalLines(const std::string& path, const OnLine& on_line, const std::string& name) {
  const auto places_of = [&](std::uint64_t task, const journal::Place& place) -> Places* {
    if (task > place.at) return nullptr;  // no number that a task can have
    if (task >= places_.size()) places_.resize(task + 1);
    return &places_[task];
  };
  const auto note = [&](const journal::Place& place, const journal::Line& line) {
    if (const auto* task = std::get_if<journal::Task>(&line)) {
      if (Places* const places = places_of(task->task, place)) places->task = place.at;
    } else if (const auto* done = std::get_if<journal::Done>(&line)) {
      if (Places* const places = places_of(done->ending.task, place)) {
        places->done = place.at;
        ended_.push_back({done->ending.task, place.at});
      }
    }
    if (on_line) on_line(line);
  };
  view_ = read_journal(path, note, name);
  places_.resize(std::max(places_.size(), view_.tasks.all().size()));
  std::erase_if(ended_, [&](const Places& one) { return one.task >= view_.tasks.all().size(); });
  file_.open(path, std::ios::binary);
}

template <typename Kind>
std::optional<Kind> JournalLines::at(std::uint64_t place) const {
  file_.clear();
  std::string text;
  if (!file_.seekg(static_cast<std::streamoff>(place)) || !std::getline(file_, text)) return std::nullopt;
  auto line = journal::parse(text);
  if (!line || !std::holds_alternative<Kind>(*line)) return std::nullopt;
  return std::get<Kind>(std::move(*line));
}

std::string JournalLines::task_line(std::uint64_t task) const {
  const auto line = at<journal::Task>(places_[task].task);
  return line ? line->line : "";
}

std::optional<farm::Ending> JournalLines::ending(std::uint64_t task) const {
  const auto done = at<journal::Done>(places_[task].done);
  return done ? std::optional{done->ending} : std::nullopt;
}

void JournalLines::for_each_ended(Which which, const std::function<void(const farm::Ending&)>& use) const {
  for (const auto& [task, place] : ended_) {
    const bool stands = view_.tasks.all()[task].is_finished() && places_[task].done == place;
    if (which == Which::standing && !stands) continue;
    if (const auto done = at<journal::Done>(place)) use(done->ending);
  }
}

}  // namespace echelon::map
