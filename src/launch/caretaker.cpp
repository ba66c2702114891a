#include "caretaker.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <echelon/base/processes.hpp>

namespace echelon::launch {
namespace {

/// Away from what the starter has: its terminal, its files, its folder.
void stand_apart(int line) {
  setsid();
  prctl(PR_SET_NAME, "echelon-caretaker");
  (void)!chdir("/");
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  dup2(line, STDIN_FILENO);
  std::vector<int> others;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", ignored}) {
    const int descriptor = std::stoi(entry.path().filename());
    if (descriptor != STDIN_FILENO) others.push_back(descriptor);
  }
  for (const int descriptor : others) close(descriptor);
}

/// False: it was dismissed.
bool starter_is_lost() {
  char byte = 0;
  ssize_t size = 0;
  while ((size = read(STDIN_FILENO, &byte, 1)) < 0 && errno == EINTR) {
  }
  return size <= 0;
}

void see_to_the_end(const std::string& folder, const std::string& entry) {
  constexpr std::chrono::milliseconds pause{50};
  constexpr int patient_tries = 60;  // the launcher has lost its parent too, and ends its ranks
  constexpr int most_tries = 400;    // what is stuck in the kernel does not end
  for (int i = 0; i < most_tries; ++i) {
    const std::vector<pid_t> left = base::processes_with(entry);
    if (left.empty()) break;
    for (const pid_t process : left) {
      if (i >= patient_tries) kill(process, SIGKILL);
    }
    poll(nullptr, 0, static_cast<int>(pause.count()));
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

}  // namespace

Caretaker::Caretaker(std::string folder, std::string entry) {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return;
  const base::Descriptor mine{ends[0]};
  starter_lives_.reset(ends[1]);
  process_ = fork();
  if (process_ != 0) return;
  stand_apart(mine.get());
  if (starter_is_lost()) see_to_the_end(folder, entry);
  _exit(0);
}

void Caretaker::dismiss() noexcept {
  if (process_ < 0) return;
  const char byte = 0;
  (void)send(starter_lives_.get(), &byte, 1, MSG_NOSIGNAL);
  starter_lives_.reset();
  while (waitpid(std::exchange(process_, -1), nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace echelon::launch
