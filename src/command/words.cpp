#include <algorithm>
#include <array>

#include <echelon/command/words.hpp>

namespace echelon::command {
namespace {

/// Reserved words and what dash, bash or ksh have built in, sorted.
constexpr auto of_the_shell = std::to_array<std::string_view>(
    {"!",        ".",        ":",         "[",        "[[",      "]]",     "alias",   "autoload", "bg",       "bind",
     "break",    "builtin",  "caller",    "case",     "cd",      "chdir",  "command", "compgen",  "complete", "compopt",
     "continue", "coproc",   "declare",   "dirs",     "disown",  "do",     "done",    "echo",     "elif",     "else",
     "enable",   "esac",     "eval",      "exec",     "exit",    "export", "false",   "fc",       "fg",       "fi",
     "for",      "function", "getopts",   "hash",     "help",    "hist",   "history", "if",       "in",       "jobs",
     "kill",     "let",      "local",     "logout",   "mapfile", "newgrp", "popd",    "print",    "printf",   "pushd",
     "pwd",      "read",     "readarray", "readonly", "return",  "select", "set",     "shift",    "shopt",    "source",
     "suspend",  "test",     "then",      "time",     "times",   "trap",   "true",    "type",     "typeset",  "ulimit",
     "umask",    "unalias",  "unset",     "until",    "wait",    "whence", "while",   "{",        "}"});
static_assert(std::ranges::is_sorted(of_the_shell));

bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// Control characters: shells use some of these for marks of their own, and not all take care.
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Outside quotes, anything that may be more than itself; `{` is, where the shell is bash.
bool is_special(char c) { return std::string_view{"|&;<>()$`*?[~{\n"}.find(c) != std::string_view::npos; }

/// Reads one line's words; `failed` where it needs a shell.
class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_{line} {}

  std::optional<std::vector<std::string>> split() {
    while (skip_blanks()) {
      if (line_[at_] == '#') return std::nullopt;
      std::string word;
      if (!read_word(word)) return std::nullopt;
      found_.push_back(std::move(word));
    }
    return found_;
  }

 private:
  bool is_at_end() const { return at_ == line_.size(); }

  bool skip_blanks() {
    while (!is_at_end() && is_blank(line_[at_])) ++at_;
    return !is_at_end();
  }

  bool read_word(std::string& word) {
    while (!is_at_end() && !is_blank(line_[at_])) {
      const char c = line_[at_++];
      if (c == '\'') {
        if (!read_single_quoted(word)) return false;
      } else if (c == '"') {
        if (!read_double_quoted(word)) return false;
      } else if (c == '\\') {
        if (is_at_end() || (is_control(line_[at_]) && line_[at_] != '\t')) return false;
        word += line_[at_++];
      } else if (is_special(c) || is_control(c)) {
        return false;
      } else {
        word += c;
      }
    }
    return true;
  }

  bool read_single_quoted(std::string& word) {
    const std::size_t end = line_.find('\'', at_);
    if (end == std::string_view::npos) return false;
    word += line_.substr(at_, end - at_);
    at_ = end + 1;
    return true;
  }

  bool read_double_quoted(std::string& word) {
    while (!is_at_end()) {
      const char c = line_[at_++];
      if (c == '"') return true;
      if (c == '$' || c == '`') return false;
      if (c == '\\') {
        if (is_at_end() || line_[at_] == '\n') return false;
        if (std::string_view{"$`\"\\"}.find(line_[at_]) != std::string_view::npos) {
          word += line_[at_++];
          continue;
        }
      }
      word += c;
    }
    return false;
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::vector<std::string> found_;
};

}  // namespace

std::optional<std::vector<std::string>> words(std::string_view line) {
  if (line.find('\0') != std::string_view::npos) return std::nullopt;
  std::optional<std::vector<std::string>> found = Splitter{line}.split();
  if (!found || found->empty()) return std::nullopt;
  const std::string& program = found->front();
  // `=` may be an assignment, `%` a job.
  if (program.empty() || program.front() == '%' || program.find('=') != std::string::npos) return std::nullopt;
  if (std::ranges::binary_search(of_the_shell, program)) return std::nullopt;
  return found;
}

std::string quoted(std::string_view value) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-./_";
  if (value.empty()) return "''";
  if (value.find_first_not_of(plain) == std::string_view::npos) return std::string{value};
  std::string text;
  text.reserve(value.size() + 2);
  // A single quote stands between double quotes, so single quotes close before it and open after it, unless nothing
  // is between them at either end of the value.
  if (value.front() != '\'') text += '\'';
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] != '\'') {
      text += value[i];
      continue;
    }
    if (i != 0) text += '\'';
    text += R"("'")";
    if (i + 1 != value.size()) text += '\'';
  }
  if (value.back() != '\'') text += '\'';
  return text;
}

}  // namespace echelon::command
