#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>
#include <utility>

#include <boost/crc.hpp>
#include <fmt/format.h>

#include <echelon/farm/journal.hpp>

namespace echelon::farm::journal {
namespace {

using Crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;
using Crc64 = boost::crc_optimal<64, 0x42F0E1EBA9EA3693, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, true, true>;

constexpr std::size_t checksum_digits = 8;
constexpr std::string_view header_kind = "echelon.journal/";
constexpr std::string_view hex_digits = "0123456789abcdef";

bool is_hex(char c) { return hex_digits.find(c) != std::string_view::npos; }

std::uint32_t checksum(std::string_view text) {
  Crc32c crc;
  crc.process_bytes(text.data(), text.size());
  return crc.checksum();
}

// ---- fields ----

void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '\\': to += "\\\\"; break;
      case '\t': to += "\\t"; break;
      case '\n': to += "\\n"; break;
      case '\r': to += "\\r"; break;
      default:
        if (byte < 0x20 || byte == 0x7F) {
          to += "\\x";
          to += hex_digits[byte >> 4U];
          to += hex_digits[byte & 15U];
        } else {
          to += c;
        }
    }
  }
}

std::optional<std::string> unescaped(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t next = std::min(text.find('\\'), text.size());
    result += text.substr(0, next);
    text.remove_prefix(next);
    if (text.empty()) break;
    if (text.size() < 2) return std::nullopt;
    std::size_t used = 2;
    switch (text[1]) {
      case '\\': result += '\\'; break;
      case 't': result += '\t'; break;
      case 'n': result += '\n'; break;
      case 'r': result += '\r'; break;
      case 'x': {
        if (text.size() < 4 || !is_hex(text[2]) || !is_hex(text[3])) return std::nullopt;
        result += static_cast<char>(hex_digits.find(text[2]) << 4U | hex_digits.find(text[3]));
        used = 4;
        break;
      }
      default: return std::nullopt;
    }
    text.remove_prefix(used);
  }
  return result;
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

/// The fields of a line, one after the other; once one is missing or no good, is_good() is false.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_{text} {}

  [[nodiscard]] bool is_good() const noexcept { return good_; }
  [[nodiscard]] bool has_more() const noexcept { return good_ && rest_.has_value(); }

  std::string_view raw() {
    if (!rest_) {
      good_ = false;
      return {};
    }
    const std::size_t end = rest_->find('\t');
    const std::string_view field = rest_->substr(0, end);
    if (end == std::string_view::npos) {
      rest_.reset();
    } else {
      rest_->remove_prefix(end + 1);
    }
    return field;
  }
  void text(std::string& value) {
    if (auto plain = unescaped(raw())) {
      value = std::move(*plain);
    } else {
      good_ = false;
    }
  }
  template <typename T>
  void number(T& value) {
    if (!read_number(raw(), value)) good_ = false;
  }
  void flag(bool& value) {
    int number_of_it = 0;
    number(number_of_it);
    value = number_of_it == 1;
    if (number_of_it != 0 && number_of_it != 1) good_ = false;
  }
  /// "-" is none.
  void optional_number(std::optional<std::uint64_t>& value) {
    const std::string_view field = raw();
    value.reset();
    if (field == "-") return;
    value.emplace();
    if (!read_number(field, *value)) good_ = false;
  }

 private:
  std::optional<std::string_view> rest_;
  bool good_ = true;
};

/// A line that is being written.
class Text {
 public:
  Text(std::string& to, std::string_view kind) : to_{to} {
    to_.append(checksum_digits, '0');
    to_ += '\t';
    to_ += kind;
  }
  Text& text(std::string_view value) {
    to_ += '\t';
    append_escaped(to_, value);
    return *this;
  }
  template <typename T>
  Text& number(T value) {
    fmt::format_to(std::back_inserter(to_), "\t{}", value);
    return *this;
  }
  Text& flag(bool value) { return number(value ? 1 : 0); }
  Text& optional_number(const std::optional<std::uint64_t>& value) { return value ? number(*value) : text("-"); }
  void end() {
    const std::size_t first = begin_ + checksum_digits + 1;
    const std::string sum = fmt::format("{:08x}", checksum(std::string_view{to_}.substr(first)));
    to_.replace(begin_, checksum_digits, sum);
    to_ += '\n';
  }

 private:
  std::string& to_;
  std::size_t begin_ = to_.size();
};

// ---- kinds ----

constexpr std::string_view run_kind = "run";
constexpr std::string_view task_kind = "task";
constexpr std::string_view done_kind = "done";
constexpr std::string_view list_kind = "list";
constexpr std::string_view content_kind = "content";
constexpr std::string_view again_kind = "again";
constexpr std::string_view output_kind = "output";
constexpr std::string_view folded_kind = "folded";

struct Writer {
  std::string& to;

  void operator()(const Header& header) const {
    Text text{to, fmt::format("{}{}", header_kind, version)};
    text.text(header.command).text(header.separator).text(header.output_path).flag(header.keep_order);
    text.text(header.host).number(header.pid);
    for (const std::string& source : header.sources) text.text(source);
    text.end();
  }
  void operator()(const Run& run) const {
    Text{to, run_kind}.text(run.host).number(run.pid).number(run.started_at).end();
  }
  void operator()(const Task& task) const { append_task(to, task.task, task.line); }
  void operator()(const Done& done) const {
    const Ending& ending = done.ending;
    Text text{to, done_kind};
    text.number(ending.task).text(ending.host).number(ending.rank);
    text.number(ending.started_at).number(ending.wall_s).number(ending.cpu_s).number(ending.max_rss_bytes);
    text.number(ending.exit_code).number(ending.signal).flag(ending.timed_out).number(ending.attempts);
    text.number(ending.output_bytes).text(ending.reason);
    std::optional<std::uint64_t> offset;
    std::optional<std::uint64_t> size;
    if (done.piece) {
      offset = done.piece->offset;
      size = done.piece->size;
    }
    text.optional_number(offset).optional_number(size).end();
  }
  void operator()(const ListEnd& list) const { Text{to, list_kind}.number(list.tasks).end(); }
  void operator()(const ByContent& /*unused*/) const { Text{to, content_kind}.end(); }
  void operator()(const Again& /*unused*/) const { Text{to, again_kind}.end(); }
  void operator()(const OutputTaken& /*unused*/) const { Text{to, output_kind}.end(); }
  void operator()(const Folded& folded) const {
    Text{to, folded_kind}.number(folded.bytes).number(folded.tasks).optional_number(folded.list_digest).end();
  }
  void operator()(const Other& /*unused*/) const { Text{to, "other"}.end(); }
  void operator()(const OtherVersion& other) const { Text{to, fmt::format("{}{}", header_kind, other.version)}.end(); }
};

Line parse_header(Fields& fields) {
  Header header;
  fields.text(header.command);
  fields.text(header.separator);
  fields.text(header.output_path);
  fields.flag(header.keep_order);
  fields.text(header.host);
  fields.number(header.pid);
  while (fields.has_more()) fields.text(header.sources.emplace_back());
  return header;
}

Line parse_done(Fields& fields) {
  Done done;
  Ending& ending = done.ending;
  fields.number(ending.task);
  fields.text(ending.host);
  fields.number(ending.rank);
  fields.number(ending.started_at);
  fields.number(ending.wall_s);
  fields.number(ending.cpu_s);
  fields.number(ending.max_rss_bytes);
  fields.number(ending.exit_code);
  fields.number(ending.signal);
  fields.flag(ending.timed_out);
  fields.number(ending.attempts);
  fields.number(ending.output_bytes);
  fields.text(ending.reason);
  std::optional<std::uint64_t> offset;
  std::optional<std::uint64_t> size;
  fields.optional_number(offset);
  fields.optional_number(size);
  if (offset && size) done.piece = Piece{*offset, *size};
  return done;
}

Line parse_kind(std::string_view kind, Fields& fields) {
  if (kind == task_kind) {
    Task task;
    fields.number(task.task);
    fields.text(task.line);
    return task;
  }
  if (kind == done_kind) return parse_done(fields);
  if (kind == list_kind) {
    ListEnd list;
    fields.number(list.tasks);
    return list;
  }
  if (kind == run_kind) {
    Run run;
    fields.text(run.host);
    fields.number(run.pid);
    fields.number(run.started_at);
    return run;
  }
  if (kind == folded_kind) {
    Folded folded;
    fields.number(folded.bytes);
    fields.number(folded.tasks);
    fields.optional_number(folded.list_digest);
    return folded;
  }
  if (kind == content_kind) return ByContent{};
  if (kind == again_kind) return Again{};
  if (kind == output_kind) return OutputTaken{};
  if (!kind.starts_with(header_kind)) return Other{};
  const std::string_view number = kind.substr(header_kind.size());
  if (number == fmt::format("{}", version)) return parse_header(fields);
  return OtherVersion{std::string{number}};
}

}  // namespace

std::string to_text(const Line& line) {
  std::string text;
  std::visit(Writer{text}, line);
  return text;
}

void append_task(std::string& to, std::uint64_t task, std::string_view line) {
  Text{to, task_kind}.number(task).text(line).end();
}

std::optional<Line> parse(std::string_view text) {
  if (text.size() <= checksum_digits || text[checksum_digits] != '\t') return std::nullopt;
  const std::string_view digits = text.substr(0, checksum_digits);
  if (!std::all_of(digits.begin(), digits.end(), is_hex)) return std::nullopt;  // else there were two ways to write it
  std::uint32_t sum = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), sum, 16);
  const std::string_view rest = text.substr(checksum_digits + 1);
  if (sum != checksum(rest)) return std::nullopt;
  Fields fields{rest};
  const std::string_view kind = fields.raw();
  Line line = parse_kind(kind, fields);
  if (!fields.is_good()) return std::nullopt;
  return line;
}

bool looks_like_header(std::string_view text) {
  return text.size() > checksum_digits && text.substr(checksum_digits + 1).starts_with(header_kind);
}

bool is_begun_header(std::string_view text) {
  const std::string kind = fmt::format("\t{}{}\t", header_kind, version);
  const std::string_view digits = text.substr(0, checksum_digits);
  if (text.find('\n') != std::string_view::npos || !std::all_of(digits.begin(), digits.end(), is_hex)) return false;
  const std::string_view rest = text.substr(digits.size());
  const std::size_t both = std::min(rest.size(), kind.size());
  return rest.substr(0, both) == std::string_view{kind}.substr(0, both);
}

std::uint64_t hash_of(std::string_view line) {
  Crc64 crc;
  crc.process_bytes(line.data(), line.size());
  return crc.checksum();
}

std::uint64_t digest_of(std::uint64_t before, std::uint64_t hash) {
  Crc64 crc;
  for (const std::uint64_t number : {before, hash}) {
    for (unsigned shift = 0; shift < 64; shift += 8) crc.process_byte(static_cast<unsigned char>(number >> shift));
  }
  return crc.checksum();
}

// ---- lines in a file ----

LineReader::LineReader(OnLine on_line, OnDamage on_damage)
    : on_line_{std::move(on_line)}, on_damage_{std::move(on_damage)} {}

void LineReader::read(std::string_view block) {
  while (!block.empty()) {
    const std::size_t end = block.find('\n');
    if (end == std::string_view::npos) {
      rest_ += block;
      return;
    }
    if (rest_.empty()) {
      read_line(block.substr(0, end));
    } else {
      rest_ += block.substr(0, end);
      read_line(rest_);
      rest_.clear();
    }
    block.remove_prefix(end + 1);
  }
}

void LineReader::end() {
  if (rest_.empty()) return;
  const std::string_view text = rest_;
  ++lines_;
  // Whole but for its newline, which is not there or damaged.
  for (const std::size_t size : {text.size(), text.size() - 1}) {
    if (!take(position_, text.substr(0, size))) continue;
    whole_bytes_ = position_ + size;
    newline_is_missing_ = true;
    break;
  }
  position_ += text.size();
}

bool LineReader::take(std::uint64_t at, std::string_view text) {
  const auto line = parse(text);
  if (!line) return false;
  for (const Place& place : unsettled_) on_damage_(place);
  unsettled_.clear();
  on_line_({at, text.size() + 1, lines_}, *line);
  whole_bytes_ = at + text.size() + 1;
  return true;
}

void LineReader::read_line(std::string_view text) {
  ++lines_;
  if (!take(position_, text) && !read_two(text)) unsettled_.push_back({position_, text.size() + 1, lines_});
  position_ += text.size() + 1;
}

/// Where the newline between two lines is damaged, both are there; where the first is too, the second is.
bool LineReader::read_two(std::string_view text) {
  for (std::size_t tab = text.find('\t', checksum_digits + 1); tab != std::string_view::npos;
       tab = text.find('\t', tab + 1)) {
    const std::size_t begin = tab - checksum_digits;
    if (!parse(text.substr(begin))) continue;
    if (!take(position_, text.substr(0, begin - 1))) unsettled_.push_back({position_, begin, lines_});
    return take(position_ + begin, text.substr(begin));
  }
  return false;
}

}  // namespace echelon::farm::journal
