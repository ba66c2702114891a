#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <echelon/launch/outcome.hpp>

namespace echelon::launch {
namespace {

constexpr std::string_view opening = "<echelon ";
constexpr char closing = '>';
constexpr std::size_t token_bytes = 16;
constexpr std::size_t code_digits = 3;
constexpr int out_of_reach_code = 256;  // no exit status

bool is_token(std::string_view text) {
  return text.size() == 2 * token_bytes && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// mpirun reads a rank's text in pieces of 4096 bytes, and other ranks' may come between two of them: what is written
/// to an empty pipe is read as one.
void wait_until_read(int pipe) noexcept {
  constexpr int tries = 1000;  // of 1 ms
  int unread = 0;
  for (int i = 0; i < tries && ioctl(pipe, FIONREAD, &unread) == 0 && unread > 0; ++i) poll(nullptr, 0, 1);
}

/// To the launch() that started this rank; the marker is made of its token.
template <typename MakeMarker>
void tell(const MakeMarker& make_marker) noexcept {
  const char* token = std::getenv(launched_variable);
  if (token == nullptr || !is_token(token)) return;
  try {
    const std::string marker = make_marker(token);
    const auto before = signal(SIGPIPE, SIG_IGN);  // where nobody reads any more, nobody needs to know
    wait_until_read(STDERR_FILENO);
    while (write(STDERR_FILENO, marker.data(), marker.size()) < 0 && errno == EINTR) {
    }
    signal(SIGPIPE, before);
  } catch (const std::exception&) {
    // Without memory for a line: launch() says that no outcome was told.
  }
}

}  // namespace

void tell_outcome(int code) noexcept {
  tell([code](const char* token) { return outcome_marker(token, code); });
}

void tell_out_of_reach() noexcept {
  tell([](const char* token) { return out_of_reach_marker(token); });
}

std::string new_token() {
  std::array<unsigned char, token_bytes> random{};
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    throw std::runtime_error("the system has no random numbers");
  }
  std::string token;
  for (const unsigned char byte : random) token += fmt::format("{:02x}", byte);
  return token;
}

std::string outcome_marker(std::string_view token, int code) {
  return fmt::format("{}{} {}{}", opening, token, code & 0xff, closing);  // as of an exit status
}

std::string out_of_reach_marker(std::string_view token) {
  return fmt::format("{}{} {}{}", opening, token, out_of_reach_code, closing);
}

OutcomeReader::OutcomeReader(std::string_view token) : opening_{fmt::format("{}{} ", opening, token)} {}

std::string OutcomeReader::feed(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  for (;;) {
    const std::size_t at = held_.find(opening_);
    if (at == std::string::npos) break;
    out += held_.substr(0, at);
    held_.erase(0, at);
    const std::size_t end = std::min(held_.find_first_not_of("0123456789", opening_.size()), held_.size());
    const std::size_t digits = end - opening_.size();
    if (end == held_.size() && digits <= code_digits) return out;  // it is still coming
    if (digits == 0 || digits > code_digits || held_[end] != closing) {
      out += held_.front();  // not what tell_outcome() writes
      held_.erase(0, 1);
      continue;
    }
    int code = 0;
    std::from_chars(held_.data() + opening_.size(), held_.data() + end, code);
    if (code == out_of_reach_code) {
      out_of_reach_ = true;
    } else {
      outcome_ = code;
    }
    held_.erase(0, end + 1);
  }
  std::size_t begun = std::min(held_.size(), opening_.size() - 1);
  while (!held_.ends_with(std::string_view{opening_}.substr(0, begun))) --begun;
  out += held_.substr(0, held_.size() - begun);
  held_.erase(0, held_.size() - begun);
  return out;
}

std::string OutcomeReader::finish() { return std::exchange(held_, {}); }

}  // namespace echelon::launch
