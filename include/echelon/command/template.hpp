#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace echelon::command {

/// A command with placeholders, which values turn into a command line for /bin/sh. As in GNU parallel:
///
///     {}    the value             {.}   without its last extension      {/}   what follows the last /
///     {//}  its folder            {/.}  {/} without its last extension  {#}   the task's number, from 1
///
/// {2} {2.} {2/} {2//} {2/.} stand for the value of one source, those without a number for the values of all, with
/// blanks between them. Where there is no placeholder at all, ` {}` is added. Other text in braces is the shell's.
///
/// The shell sees each value exactly as it is, whatever it holds. This is where GNU parallel differs, which quotes all
/// placeholders alike:
///   - between single or double quotes of the template, a value is escaped for these, so "{}" is one word of just the
///     value; in GNU parallel it is the value and further quotes, and `$` and ` in it are the shell's to expand;
///   - so it is within $(...), `...` and ${...};
///   - a number that stands directly before > or < is quoted: `echo {}>file` writes it, and is no redirection;
///   - where the reading depends on the shell or a value cannot be escaped (here-documents, ${} and the like), the
///     template is refused;
///   - unknown placeholders such as {..} or {3} of two sources are refused, not left or dropped.
class Template {
 public:
  /// Throws UsageError. @pre sources >= 1
  Template(std::string_view text, std::size_t sources);
  /// No command: each value is a command line itself, as it is.
  [[nodiscard]] static Template whole_lines() { return Template{}; }

  /// @pre values: one of each source, without NUL; number counts tasks from 1
  [[nodiscard]] std::string line(const std::vector<std::string>& values, std::uint64_t number) const;
  /// What --tag puts before each line of output: the values, and a tab.
  [[nodiscard]] static std::string tag(const std::vector<std::string>& values);

 private:
  friend class TemplateReader;

  enum class Form { whole, no_extension, name, folder, name_no_extension, number };
  /// Where a placeholder stands, as the shell reads it.
  enum class Place { plain, escaped, before_redirection, single_quotes, double_quotes, double_quotes_escaped, comment };
  static constexpr std::size_t all_sources = static_cast<std::size_t>(-1);

  /// A placeholder and the text before it.
  struct Piece {
    std::string text;
    Form form = Form::whole;
    std::size_t source = all_sources;
    Place place = Place::plain;
    bool in_backticks = false;
  };

  Template() = default;
  [[nodiscard]] static std::string part(std::string_view value, Form form);
  static void append(std::string& line, std::string_view value, Place place, bool in_backticks);

  bool is_whole_lines_ = true;
  std::vector<Piece> pieces_;
  std::string rest_;
};

}  // namespace echelon::command
