#include "last_words.hpp"

#include <algorithm>

#include <echelon/launch/chatter.hpp>

#include "files.hpp"

namespace echelon::study {
namespace {

std::string without_chatter(const std::string& text) {
  launch::Chatter chatter;
  std::string left = chatter.feed(text);
  return left + chatter.finish();
}

/// Without mpirun's lines of dashes and without empty ones.
std::string without_rules(const std::string& text) {
  std::string left;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string line = text.substr(at, end - at);
    if (line.find_first_not_of("- \t\r\n") != std::string::npos) left += line;
    at = end;
  }
  return left;
}

std::string tail(std::string text) {
  constexpr std::size_t most_bytes = 2000;
  constexpr std::size_t most_lines = 10;
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  if (text.size() > most_bytes) {
    const std::size_t cut = text.size() - most_bytes;
    const std::size_t line = text.find('\n', cut);  // not the end of a line, where there is a whole one
    text.erase(0, line == std::string::npos ? cut : line + 1);
  }
  std::size_t begin = text.size();
  for (std::size_t lines = 0; lines < most_lines && begin != std::string::npos && begin > 0; ++lines) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace

std::string last_words(const std::string& err_file) {
  constexpr std::size_t read_bytes = 65536;
  const std::string all = read_tail(err_file, read_bytes);
  const std::string words = tail(without_rules(without_chatter(all)));
  return words.empty() ? tail(without_rules(all)) : words;
}

}  // namespace echelon::study
