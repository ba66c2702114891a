#include "last_act.hpp"

#include <cstdlib>

#include <unistd.h>

namespace echelon::app {
namespace {

void (*last_act)(int status) = nullptr;
pid_t actor = 0;

void act(int status, void* /*unused*/) {
  if (last_act != nullptr && actor == getpid()) last_act(status);
}

// The C library calls such functions in the reverse order of their registration: so before any static object is made
// (those of the program have the default priority, 65535). on_exit() is glibc's, and gives the status.
[[gnu::constructor(101)]] void register_first() { (void)on_exit(act, nullptr); }

}  // namespace

void set_last_act(void (*to_do)(int status)) noexcept {
  last_act = to_do;
  actor = getpid();
}

}  // namespace echelon::app
