#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <echelon/base/error.hpp>
#include <echelon/command/template.hpp>
#include <echelon/command/words.hpp>

namespace echelon::command {
namespace {

constexpr std::string_view digits = "0123456789";

bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

/// Without the last dot and what follows it, if that is in the last part of the path.
std::string_view without_extension(std::string_view value) {
  const std::size_t at = value.find_last_of("./");
  return at == std::string_view::npos || value[at] == '/' ? value : value.substr(0, at);
}

std::string_view name_of(std::string_view value) { return value.substr(value.rfind('/') + 1); }

/// As dirname(1) has it.
std::string_view folder_of(std::string_view value) {
  const auto without_slashes = [](std::string_view path) { return path.substr(0, path.find_last_not_of('/') + 1); };
  const std::string_view path = without_slashes(value);
  if (path.empty()) return value.empty() ? "." : "/";
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  const std::string_view folder = without_slashes(path.substr(0, slash));
  return folder.empty() ? "/" : folder;
}

void append_with_backslashes(std::string& to, std::string_view value, std::string_view special) {
  for (const char c : value) {
    if (is_one_of(c, special)) to += '\\';
    to += c;
  }
}

/// The braces at text[0] if they hold what a placeholder could: [+-]digits, then signs; or GNU parallel's {= perl =}.
std::optional<std::string_view> brace_group(std::string_view text) {
  if (text.starts_with("{=")) {
    const std::size_t end = text.find("=}", 2);
    if (end != std::string_view::npos) return text.substr(0, end + 2);
  }
  std::size_t end = 1;
  if (end < text.size() && is_one_of(text[end], "+-")) ++end;
  end = std::min(text.find_first_not_of(digits, end), text.size());
  end = std::min(text.find_first_not_of("./#%+-=", end), text.size());
  if (end == text.size() || text[end] != '}') return std::nullopt;
  return text.substr(0, end + 1);
}

}  // namespace

/// Reads a template's text once, as a shell would, so as to know in which quotes each placeholder stands.
class TemplateReader {
 public:
  TemplateReader(std::string_view text, std::size_t sources) : text_{text}, sources_{sources} {}

  Template read() {
    levels_.push_back({Kind::command});
    while (at_ < text_.size()) step();
    result_.is_whole_lines_ = false;
    result_.rest_ = std::move(pending_);
    return std::move(result_);
  }

 private:
  enum class Kind {
    command,
    substitution,  ///< $(...)
    backticks,
    single_quotes,
    dollar_quotes,  ///< $'...', of which shells differ in what a backslash does
    double_quotes,
    arithmetic,
    parameter,         ///< ${...} outside quotes: quotes in it are quotes
    quoted_parameter,  ///< ${...} within double quotes: shells differ in what quotes in it are
    comment,
  };
  struct Level {
    Kind kind;
    unsigned parentheses = 0;
  };

  Level& level() { return levels_.back(); }
  char now() const { return text_[at_]; }
  bool follows(std::string_view next) const { return text_.substr(at_).starts_with(next); }

  void take(std::size_t count = 1) {
    count = std::min(count, text_.size() - at_);
    pending_ += text_.substr(at_, count);
    at_ += count;
    is_escaped_ = false;
  }

  void enter(Kind kind, std::size_t count) {
    take(count);
    levels_.push_back({kind});
    is_word_start_ = kind == Kind::substitution || kind == Kind::backticks;
  }

  void leave(std::size_t count = 1) {
    take(count);
    levels_.pop_back();
    is_word_start_ = false;
  }

  void step() {
    if (now() == '{' && read_placeholder()) return;
    switch (level().kind) {
      case Kind::single_quotes: return now() == '\'' ? leave() : take();
      case Kind::dollar_quotes:
        if (now() == '\\') is_unclear_ = true;
        return now() == '\'' ? leave() : take();
      case Kind::comment:
        if (now() != '\n') return take();
        levels_.pop_back();
        return;  // the newline is the command's
      case Kind::double_quotes: return now() == '"' ? leave() : step_expansion();
      case Kind::arithmetic: return step_arithmetic();
      case Kind::quoted_parameter:
        if (now() == '\'' || now() == '"') is_unclear_ = true;
        return now() == '}' ? leave() : step_expansion();
      case Kind::parameter:
        if (now() == '}') return leave();
        return step_word();
      case Kind::command:
      case Kind::substitution:
      case Kind::backticks: return step_command();
    }
  }

  /// Backslash, dollar and backtick, which mean the same everywhere but in single quotes.
  void step_expansion() {
    is_word_start_ = false;
    if (now() == '\\') return step_backslash();
    if (now() == '`') return is_in_backticks() ? leave_backticks() : enter(Kind::backticks, 1);
    if (now() != '$') return take();
    if (follows("$((")) return enter(Kind::arithmetic, 3);
    if (follows("$(")) return enter(Kind::substitution, 2);
    if (follows("${")) return step_parameter();
    const bool has_name = at_ + 1 < text_.size() && is_one_of(text_[at_ + 1], "#?$!@*-0123456789");
    take(has_name ? 2 : 1);
  }

  void step_backslash() {
    if (is_in_backticks()) is_unclear_ = true;  // read twice there
    take();
    // Before a placeholder, the backslash acts on the value.
    if (at_ < text_.size() && now() == '{' && brace_group(text_.substr(at_))) {
      is_escaped_ = true;
    } else {
      take();
    }
  }

  void step_parameter() {
    const std::string_view rest = text_.substr(at_ + 1);
    const std::optional<std::string_view> group = brace_group(rest);
    // `$-` in braces is the shell's, all others would be a parameter that the value names.
    if (group && *group != "{-}") {
      throw base::UsageError(fmt::format(
          "${0}: a dollar sign before a placeholder would make a variable of the value; write \\${0} for the "
          "value behind a dollar sign, and a parameter of the shell without braces",
          *group));
    }
    const bool quotes = level().kind == Kind::double_quotes || level().kind == Kind::quoted_parameter ||
                        level().kind == Kind::arithmetic;
    if (!group) return enter(quotes ? Kind::quoted_parameter : Kind::parameter, 2);
    take(1 + group->size());
  }

  void step_arithmetic() {
    switch (now()) {
      case '(': ++level().parentheses; return take();
      case ')':
        if (level().parentheses > 0) {
          --level().parentheses;
          return take();
        }
        if (!follows("))")) is_unclear_ = true;  // $((a); b): a subshell within $(...)
        return leave(2);
      case '\'':
      case '"': is_unclear_ = true; return take();
      default: return step_expansion();
    }
  }

  void step_word() {
    if (follows("$'")) return enter(Kind::dollar_quotes, 2);
    if (now() == '\'') return enter(Kind::single_quotes, 1);
    if (now() == '"') return enter(Kind::double_quotes, 1);
    step_expansion();
  }

  void step_command() {
    const char c = now();
    if (c == '#' && is_word_start_) return enter(Kind::comment, 1);
    if (is_word_start_ && levels_.size() > 1 && follows("case")) is_unclear_ = true;  // whose `)` closes nothing
    if (!is_one_of(c, " \t\n;&|()<>")) return step_word();
    if (c == ')' && level().kind == Kind::substitution && level().parentheses == 0) return leave();
    if (c == '(') ++level().parentheses;
    if (c == ')' && level().parentheses > 0) --level().parentheses;
    if (c == '\n' && has_here_document_) is_unclear_ = true;
    if (follows("<<<")) {
      take(3);
    } else if (follows("<<")) {
      has_here_document_ = true;
      take(2);
    } else {
      take();
    }
    is_word_start_ = true;
  }

  bool is_in_backticks() const {
    return std::ranges::any_of(levels_, [](const Level& l) { return l.kind == Kind::backticks; });
  }

  void leave_backticks() {
    if (level().kind != Kind::backticks) is_unclear_ = true;  // it ends within quotes that were opened in it
    while (level().kind != Kind::backticks) levels_.pop_back();
    leave();
  }

  bool read_placeholder() {
    const std::optional<std::string_view> group = brace_group(text_.substr(at_));
    if (!group) return false;
    Template::Piece piece = piece_of(*group);
    at_ += group->size();
    piece.place = place(*group);
    piece.in_backticks = is_in_backticks();
    piece.text = std::exchange(pending_, {});
    result_.pieces_.push_back(std::move(piece));
    is_word_start_ = false;
    is_escaped_ = false;
    return true;
  }

  Template::Piece piece_of(std::string_view group) const {
    using Form = Template::Form;
    constexpr std::pair<std::string_view, Form> forms[] = {
        {"", Form::whole},    {".", Form::no_extension},       {"/", Form::name},
        {"//", Form::folder}, {"/.", Form::name_no_extension}, {"#", Form::number}};
    const std::string_view inside = group.substr(1, group.size() - 2);
    const std::size_t end = std::min(inside.find_first_not_of(digits), inside.size());
    const std::string_view number = inside.substr(0, end);
    const auto* const form = std::ranges::find(forms, inside.substr(end), &std::pair<std::string_view, Form>::first);
    if (form == std::end(forms) || (form->second == Form::number && !number.empty())) refuse(group, unknown);
    Template::Piece piece;
    piece.form = form->second;
    if (number.empty()) return piece;
    std::size_t source = 0;
    for (const char c : number) source = std::min(10 * source + static_cast<std::size_t>(c - '0'), sources_ + 1);
    if (source == 0) refuse(group, "sources are counted from 1");
    if (source > sources_) {
      refuse(group,
             sources_ == 1 ? "there is but one input source" : fmt::format("there are but {} input sources", sources_));
    }
    piece.source = source - 1;
    return piece;
  }

  static constexpr std::string_view unknown =
      "no such placeholder; there are {} {.} {/} {//} {/.} {#} and, for the source of that number, {1} {1.} {1/} {1//} "
      "{1/.}";

  [[noreturn]] void refuse(std::string_view group, std::string_view reason) const {
    const std::string_view quotes = levels_.back().kind == Kind::double_quotes ? "\"\"" : "''";
    throw base::UsageError(
        fmt::format("{}: {}; for these characters themselves write {{{}{}", group, reason, quotes, group.substr(1)));
  }

  /// Of the placeholder that ends at at_.
  Template::Place place(std::string_view group) const {
    using Place = Template::Place;
    const Kind kind = levels_.back().kind;
    const bool is_nested_comment = kind == Kind::comment && levels_.size() > 2;
    if (is_unclear_ || is_nested_comment || kind == Kind::dollar_quotes || kind == Kind::quoted_parameter) {
      throw base::UsageError(fmt::format(
          "{}: shells differ in how they read a value at this place of the command; set a variable first, as in "
          "v={{}}; COMMAND \"$v\"",
          group));
    }
    switch (kind) {
      case Kind::comment: return Place::comment;
      case Kind::single_quotes: return Place::single_quotes;
      case Kind::double_quotes:
      case Kind::arithmetic: return is_escaped_ ? Place::double_quotes_escaped : Place::double_quotes;
      default: break;
    }
    if (is_escaped_) return Place::escaped;
    return at_ < text_.size() && is_one_of(now(), "<>") ? Place::before_redirection : Place::plain;
  }

  std::string_view text_;
  std::size_t sources_;
  std::size_t at_ = 0;
  std::vector<Level> levels_;
  std::string pending_;  // since the last placeholder
  bool is_word_start_ = true;
  bool is_escaped_ = false;  // by a backslash just before at_
  bool has_here_document_ = false;
  bool is_unclear_ = false;  // from here on
  Template result_;
};

Template::Template(std::string_view text, std::size_t sources) {
  *this = TemplateReader{text, sources}.read();
  if (pieces_.empty()) *this = TemplateReader{std::string{text} + " {}", sources}.read();
}

std::string Template::line(const std::vector<std::string>& values, std::uint64_t number) const {
  std::string line;
  if (is_whole_lines_) {
    line = tag(values);
    line.pop_back();
    return line;
  }
  for (const Piece& piece : pieces_) {
    line += piece.text;
    if (piece.form == Form::number) {
      append(line, std::to_string(number), piece.place, piece.in_backticks);
    } else if (piece.source != all_sources) {
      append(line, part(values.at(piece.source), piece.form), piece.place, piece.in_backticks);
    } else {
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (i != 0) line += ' ';
        // A backslash before the placeholder concerns the first value, a redirection behind it the last.
        Place place = piece.place;
        if (i != 0 && place == Place::escaped) place = Place::plain;
        if (i != 0 && place == Place::double_quotes_escaped) place = Place::double_quotes;
        if (i + 1 != values.size() && place == Place::before_redirection) place = Place::plain;
        append(line, part(values[i], piece.form), place, piece.in_backticks);
      }
    }
  }
  return line += rest_;
}

std::string Template::tag(const std::vector<std::string>& values) {
  std::string tag;
  for (const std::string& value : values) tag.append(value).append(1, ' ');
  if (tag.empty()) return "\t";
  tag.back() = '\t';
  return tag;
}

std::string Template::part(std::string_view value, Form form) {
  switch (form) {
    case Form::no_extension: return std::string{without_extension(value)};
    case Form::name: return std::string{name_of(value)};
    case Form::folder: return std::string{folder_of(value)};
    case Form::name_no_extension: return std::string{without_extension(name_of(value))};
    case Form::whole:
    case Form::number: break;
  }
  return std::string{value};
}

void Template::append(std::string& line, std::string_view value, Place place, bool in_backticks) {
  std::string text = quoted(value);
  switch (place) {
    case Place::plain: break;
    case Place::escaped:
      // The backslash takes a newline, and both are gone.
      if (text != value) text.insert(text.begin(), '\n');
      break;
    case Place::before_redirection:
      if (value.find_first_not_of(digits) == std::string_view::npos) text = fmt::format("'{}'", value);
      break;
    case Place::comment: std::ranges::replace(text, '\n', ' '); break;
    case Place::single_quotes:
      text.clear();
      for (const char c : value) c == '\'' ? text += R"('"'"')" : text += c;
      break;
    case Place::double_quotes_escaped:  // the backslash is one, and no more
    case Place::double_quotes:
      text.clear();
      if (place == Place::double_quotes_escaped) text += '\\';
      append_with_backslashes(text, value, "\\\"$`");
      break;
  }
  if (in_backticks) {
    append_with_backslashes(line, text, "\\$`");
  } else {
    line += text;
  }
}

}  // namespace echelon::command
