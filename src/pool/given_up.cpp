#include <cstring>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <echelon/pool/nursery.hpp>

namespace echelon::pool::detail {
namespace {

std::string how(const Ended& end) {
  if (end.signal != 0) return fmt::format("was killed by signal {} ({})", end.signal, strsignal(end.signal));
  if (end.status < 0) return "could not be run";
  return fmt::format("ended with status {} and without a result", end.status);
}

}  // namespace

std::string why_given_up(unsigned crashes, const OwnProcesses& own, std::string_view death, bool nobody_is_left) {
  const unsigned workers = crashes - own.crashes;
  std::string text;
  if (workers > 0) text = fmt::format("{} worker{} died over it", workers, workers == 1 ? "" : "s");
  if (workers > 0 && !death.empty())
    text += fmt::format("{} {}", workers == 1 ? ", which" : ", of which the last", death);
  const auto add = [&](std::string_view joint, const std::string& what) {
    text += text.empty() ? what : fmt::format("{}{}", joint, what);
  };
  if (own.crashes == 1) add("; then ", "a process of its own " + how(own.last));
  if (own.crashes > 1) {
    add("; then ", fmt::format("{} processes of its own died, of which the last {}", own.crashes, how(own.last)));
  }
  if (own.undecided) add("; ", "a process of its own " + how(*own.undecided));
  if (nobody_is_left) add("; ", "no worker is left to run it");
  return text;
}

}  // namespace echelon::pool::detail
