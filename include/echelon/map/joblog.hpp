#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <echelon/farm/ending.hpp>
#include <echelon/map/journal_lines.hpp>

namespace echelon::map {

/// The first line of GNU parallel's `--joblog`, with its newline.
[[nodiscard]] std::string joblog_header();

/// The line of one task, with its newline; `line` is its command line, whose newlines become NUL, as in GNU parallel.
/// Two columns differ: the host has its name where GNU parallel has `:` for this one, and a task whose rank was lost
/// has the exit value -1, so that --resume-failed takes it again.
[[nodiscard]] std::string joblog_line(const farm::Ending& ending, std::string_view line);

/// That of a journal, in pieces.
void write_joblog(const JournalLines& journal, JournalLines::Which which,
                  const std::function<void(std::string_view)>& put);

/// Has the open file, opened to append, say what the journal does; as far as it does already it stays. `path` is for
/// messages.
void mend_joblog(int file, const std::string& path, const JournalLines& journal);

}  // namespace echelon::map
