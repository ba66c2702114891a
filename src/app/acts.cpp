#include "acts.hpp"

#include <cstdlib>

#include <unistd.h>

namespace echelon::app {
namespace {

void (*first_act)() = nullptr;
void (*last_act)(int status) = nullptr;
pid_t actor = 0;

void act_first() {
  if (actor == getpid()) first_act();
}

void act_last(int status, void* /*unused*/) {
  if (last_act != nullptr && actor == getpid()) last_act(status);
}

// The C library calls such functions in the reverse order of their registration: so before any static object is made
// (those of the program have the default priority, 65535). on_exit() is glibc's, and gives the status.
[[gnu::constructor(101)]] void register_last_act() { (void)on_exit(act_last, nullptr); }

}  // namespace

void set_first_act(void (*act)()) {
  first_act = act;
  actor = getpid();
  (void)std::atexit(act_first);
}

void set_last_act(void (*act)(int status)) noexcept {
  last_act = act;
  actor = getpid();
}

}  // namespace echelon::app
