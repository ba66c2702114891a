#include <algorithm>
#include <variant>

#include <echelon/farm/journal_tasks.hpp>

namespace echelon::farm::journal {
Tasks::Known& Tasks::at(std::uint64_t task) {
  if (task >= all_.size()) all_.resize(task + 1);
  return all_[task];
}

void Tasks::read(const Place& place, const Line& line) {
  // Tasks are numbered one by one, each with a line: a number that is larger than the file is none of this journal's.
  const auto fits = [&](std::uint64_t task) { return task <= place.at; };
  if (const auto* header = std::get_if<Header>(&line)) {
    if (!header_) header_ = *header;
  } else if (const auto* run = std::get_if<Run>(&line)) {
    last_run_ = *run;
  } else if (const auto* task = std::get_if<Task>(&line)) {
    if (!fits(task->task)) return;
    Known& known = at(task->task);
    const std::uint64_t hash = hash_of(task->line);
    if (known.has_line != 0 && known.hash == hash) return;
    if (known.has_line != 0) known = {};
    known.hash = hash;
    known.has_line = 1;
  } else if (const auto* done = std::get_if<Done>(&line)) {
    if (!fits(done->ending.task)) return;
    Known& known = at(done->ending.task);
    if (known.has_line == 0) return;  // nobody could tell whether it is still the same task
    known.set(done->ending.is_good() ? State::good : State::failed);
    known.has_piece = done->piece ? 1 : 0;
    const Piece piece = done->piece.value_or(Piece{});
    known.offset = piece.offset;
    known.size = piece.size & ((std::uint64_t{1} << 58U) - 1);
    has_output_ = has_output_ || done->piece.has_value();
  } else if (const auto* list = std::get_if<ListEnd>(&line)) {
    list_end_ = list->tasks;
  } else if (const auto* folded = std::get_if<Folded>(&line)) {
    if (!fits(folded->tasks)) return;
    folded_ = *folded;
    has_output_ = true;
    if (folded->tasks > all_.size()) all_.resize(folded->tasks);
    for (std::uint64_t task_number = 0; task_number < folded->tasks; ++task_number) {
      Known& known = all_[task_number];
      known.set(State::good);
      known.has_piece = 0;
    }
  } else if (std::holds_alternative<ByContent>(line)) {
    by_content_ = true;
  } else if (std::holds_alternative<OutputTaken>(line)) {
    has_output_ = true;
  } else if (std::holds_alternative<Again>(line)) {
    open_failed();
  }
}

std::uint64_t Tasks::count(State state) const {
  return static_cast<std::uint64_t>(
      std::count_if(all_.begin(), all_.end(), [&](const Known& known) { return known.how() == state; }));
}

void Tasks::open_failed() {
  for (Known& known : all_) {
    if (known.how() != State::failed) continue;
    known.set(State::open);
    known.has_piece = 0;
  }
}

}  // namespace echelon::farm::journal
