#pragma once

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/temporary_folder.hpp"

namespace echelon::test {

/// What `shell` writes on standard output when it runs `script`, which may hold any bytes but NUL.
[[nodiscard]] inline std::string output_of_shell(std::string_view script, const std::string& shell = "/bin/sh") {
  const TemporaryFolder folder;
  folder.write("script", script);
  const std::string command = shell + " '" + (folder.path() / "script").string() + "' </dev/null";
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + shell);
  std::string output;
  std::array<char, 65536> buffer;
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  pclose(pipe);
  return output;
}

/// The parts of `text` that `end` ends.
[[nodiscard]] inline std::vector<std::string> split(std::string_view text, char end = '\n') {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t length = std::min(text.find(end), text.size());
    parts.emplace_back(text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  return parts;
}

}  // namespace echelon::test
