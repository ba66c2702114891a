#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/map/journal_file.hpp>
#include <echelon/map/output_file.hpp>

namespace echelon::test {

[[nodiscard]] inline std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream{path, std::ios::binary}.rdbuf();
  return text.str();
}

inline void replace(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file{path, std::ios::binary | std::ios::trunc};
  file << text;
  ASSERT_TRUE(file.flush());
}

/// A list of tasks and where their journal and output are; "the commands" are not run.
struct PlayedWork {
  std::filesystem::path folder;
  std::vector<std::string> list;
  bool keep_order = false;
  bool with_output = true;
  bool with_journal = true;
  std::set<std::string> failing = {};

  [[nodiscard]] std::filesystem::path journal() const { return folder / "run.log"; }
  [[nodiscard]] std::filesystem::path output() const { return folder / "out"; }
  [[nodiscard]] std::filesystem::path store() const { return folder / "out.store"; }

  /// What a task writes: it says itself where it begins, and how long it is.
  [[nodiscard]] static std::string output_of(const std::string& line) {
    const std::size_t size = std::hash<std::string>{}(line) % 7 == 0 ? 0 : std::hash<std::string>{}(line) % 3000;
    if (size == 0) return "";
    std::string text = "[" + line + " ";
    while (text.size() < size) text += static_cast<char>('a' + text.size() % 26);
    return text + "]\n";
  }
  [[nodiscard]] map::JournalOptions journal_options(map::Resume resume) const {
    map::JournalOptions options;
    options.path = journal();
    options.resume = resume;
    options.work = {"run {}", "\n", with_output ? output().string() : "", keep_order, "", 0, {"pipe"}};
    return options;
  }
  [[nodiscard]] map::OutputOptions output_options() const { return {output(), keep_order, false}; }
};

struct PlayOptions {
  map::Resume resume = map::Resume::unfinished;
  bool by_content = false;
  std::uint64_t seed = 1;
  std::uint64_t stop_after = UINT64_MAX;  ///< tasks
  bool finish = true;                     ///< as a run that was stopped does; else it is just dropped
  std::uint64_t read_ahead = 8;           ///< tasks that are listed but not begun
  std::function<void(std::uint64_t)> on_ended = [](std::uint64_t) {};
};

/// What a master does with journal and output, in one thread. The tasks that it ran, by their number in the list.
inline std::vector<std::uint64_t> play(const PlayedWork& work, const PlayOptions& options) {
  std::mt19937_64 random{options.seed};
  std::optional<map::JournalFile> journal;
  if (work.with_journal) {
    map::JournalOptions of = work.journal_options(options.resume);
    of.by_content = options.by_content;
    journal.emplace(of);
  }
  std::vector<std::uint64_t> ready;
  std::uint64_t listed = 0;
  bool ended = false;
  const auto read = [&] {
    if (listed == work.list.size()) {
      if (!ended && journal) journal->list_ended(listed);
      ended = true;
      return;
    }
    const bool finished = journal && journal->list(listed, work.list[listed]);
    if (!finished) ready.push_back(listed);
    ++listed;
  };
  while (journal && !journal->verified() && !ended) read();
  std::optional<map::OutputFile> output;
  if (work.with_output) output.emplace(work.output_options(), journal ? &*journal : nullptr);
  std::vector<std::uint64_t> run;
  while (run.size() < options.stop_after) {
    while (!ended && ready.size() < options.read_ahead) read();
    if (ready.empty()) break;
    const std::size_t which = random() % ready.size();
    const std::uint64_t task = ready[which];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(which));
    const std::string& line = work.list[task];
    const bool fails = work.failing.contains(line);
    const std::string text = PlayedWork::output_of(line) + (fails ? "failed\n" : "");
    std::optional<farm::journal::Piece> piece;
    if (output) {
      if (random() % 4 == 0) {  // a worker was lost
        output->begin(task);
        output->write(text.substr(0, text.size() / 2));
        output->abandon();
      }
      output->begin(task);
      const std::size_t half = random() % (text.size() + 1);
      output->write(std::string_view{text}.substr(0, half));
      output->write(std::string_view{text}.substr(half));
      piece = output->end();
    }
    run.push_back(task);
    if (journal) {
      farm::Ending ending;
      ending.task = task;
      ending.host = "here";
      ending.rank = 1;
      ending.started_at = 1000.0 + static_cast<double>(task);
      ending.wall_s = 0.5;
      ending.exit_code = fails ? 3 : 0;
      ending.output_bytes = text.size();
      if (fails) ending.reason = "no such thing as " + line;
      journal->ended(ending, piece);
    }
    options.on_ended(run.size());
  }
  if (options.finish) {
    if (output) output->finish();
    if (journal) journal->flush();
  }
  return run;
}

/// Every task's output is there once and whole, in the list's order where that was asked for.
inline void expect_output(const PlayedWork& work, const std::string& where) {
  const std::string text = contents(work.output());
  const auto output_of = [&](const std::string& line) {
    return PlayedWork::output_of(line) + (work.failing.contains(line) ? "failed\n" : "");
  };
  std::string ordered;
  for (const std::string& line : work.list) ordered += output_of(line);
  ASSERT_EQ(text.size(), ordered.size()) << where;
  if (work.keep_order) {
    ASSERT_TRUE(text == ordered) << where;
    return;
  }
  std::map<std::string, int> left;
  for (const std::string& line : work.list) ++left[line];
  for (std::size_t at = 0; at < text.size();) {
    std::string found;
    if (text[at] == '[') {
      found = text.substr(at + 1, text.find(' ', at) - at - 1);
    } else {  // a failed one that wrote nothing else
      for (const std::string& line : work.failing) {
        if (left[line] > 0 && output_of(line) == "failed\n") found = line;
      }
    }
    const std::string expected = output_of(found);
    ASSERT_EQ(text.substr(at, expected.size()), expected) << where;
    ASSERT_GE(--left[found], 0) << where << ": " << found << " is there twice";
    at += expected.size();
  }
}

[[nodiscard]] inline std::vector<std::string> numbered_list(std::size_t count) {
  std::vector<std::string> list;
  for (std::size_t i = 0; i < count; ++i) list.push_back("task-" + std::to_string(i));
  return list;
}

}  // namespace echelon::test
