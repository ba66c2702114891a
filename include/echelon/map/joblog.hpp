#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <echelon/farm/ending.hpp>

namespace echelon::map {

/// The first line of GNU parallel's `--joblog`, with its newline.
[[nodiscard]] std::string joblog_header();

/// The line of one task, with its newline; `line` is its command line, whose newlines become NUL, as in GNU parallel.
/// Two columns differ: the host has its name where GNU parallel has `:` for this one, and a task whose rank was lost
/// has the exit value -1, so that --resume-failed takes it again.
[[nodiscard]] std::string joblog_line(const farm::Ending& ending, std::string_view line);

class JournalLines;

/// All of a journal, in the order in which the tasks ended: the text in pieces.
void write_joblog(const JournalLines& journal, const std::function<void(std::string_view)>& put);

/// Makes the open file, opened to append, what write_joblog() gives; as far as it is that already it stays. `path` is
/// for messages.
void mend_joblog(int file, const std::string& path, const JournalLines& journal);

}  // namespace echelon::map
