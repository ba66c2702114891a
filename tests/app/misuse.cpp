// A program that calls Echelon wrongly, or leaves out what it should call: PROGRAM -n RANKS WHAT. misuse_test.cpp
// starts it.
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include <echelon/echelon.hpp>

namespace {

using echelon::Pool;
using echelon::Session;

int square(int x) { return x * x; }

void say(int x) {
  std::printf("%d\n", x);
  std::fflush(stdout);
}

using Part = void (*)(Session&);

// ---- in the body of echelon::run ----

const std::map<std::string, Part> of_run{
    {"run_queue",
     [](Session& s) {
       echelon::Queue<int>{s, echelon::Role::both}.put(1);
     }},
    {"run_pipe",
     [](Session& s) {
       echelon::Pipe<int>{s, 0, 1}.send(1);
     }},
    {"run_lock", [](Session& s) { echelon::Lock{s}.lock(); }},
    {"run_value", [](Session& s) { echelon::Value<int>{s}.store(1); }},
    {"run_array",
     [](Session& s) {
       echelon::Array<int>{s, 10}.put(0, 1);
     }},
    {"run_barrier", [](Session& s) { s.barrier(); }},
};

// ---- in the body of echelon::parallel ----

void pool_of_master(Session& s) {
  if (s.is_master()) say(Pool{s}.apply(square, 3));
  s.barrier();
}

void pool_of_some(Session& s) {
  if (s.rank() == 2) return;
  Pool pool{s};
  if (s.is_master()) say(pool.apply(square, 3));
}

void second_pool_of_master(Session& s) {
  Pool pool{s};
  if (!s.is_master()) {
    pool.serve();
    s.barrier();
    return;
  }
  Pool second{s};
  say(second.apply(square, 3));
}

void second_pool_of_workers(Session& s) {
  {
    Pool pool{s};
    if (s.is_master()) say(pool.apply(square, 3));
  }
  if (!s.is_master()) Pool{s}.serve();
}

void workers_call(Session& s) {
  Pool pool{s};
  say(pool.apply(square, 3));
}

/// All of it is as it should be, but that nobody calls serve(): the ends of the pools do.
void without_serve(Session& s) {
  Pool first{s};
  {
    Pool second{s};
    if (s.is_master()) say(second.apply(square, 3) + first.apply(square, 1));
  }
  if (s.is_master()) say(first.apply(square, 4));
}

void serve_twice(Session& s) {
  Pool pool{s};
  if (s.is_master()) {
    say(pool.apply(square, 3));
  } else {
    pool.serve();
    pool.serve();
  }
}

/// Workers make the second pool after they have served the first, the master before.
void overlapping(Session& s) {
  Pool first{s};
  if (s.is_master()) {
    Pool second{s};
    say(second.apply(square, 3) + first.apply(square, 1));
  } else {
    first.serve();
    Pool second{s};
    second.serve();
  }
}

Session* the_session = nullptr;

void barrier_in_task(Session& s) {
  the_session = &s;
  Pool pool{s};
  if (!s.is_master()) return;
  say(pool.apply([] {
    the_session->barrier();
    return 1;
  }));
}

void other_order(Session& s) {
  if (s.rank() == 1) {
    const echelon::Lock lock{s};
    const echelon::Value<int> value{s};
  } else {
    const echelon::Value<int> value{s};
    const echelon::Lock lock{s};
  }
}

void worker_leaves(Session& s) {
  s.barrier();
  if (s.rank() == 2) return;
  s.barrier();
}

void master_leaves(Session& s) {
  if (!s.is_master()) echelon::Queue<int>{s, echelon::Role::both}.put(1);
}

/// What was wrong once stays so.
void goes_on(Session& s) {
  if (s.rank() == 2) return;
  for (int i = 0; i < 2; ++i) {
    try {
      s.barrier();
    } catch (const std::logic_error&) {
    }
  }
}

/// Ranks leave at different times, and a call that some have not come out of yet is none that a rank has left out.
void leaves_early(Session& s) {
  for (int i = 0; i < 200; ++i) {
    echelon::Value<int> value{s};
    value.fetch_add(1);
    s.barrier();
  }
}

const std::map<std::string, Part> of_parallel{
    {"pool_of_master", pool_of_master},
    {"pool_of_some", pool_of_some},
    {"second_pool_of_master", second_pool_of_master},
    {"second_pool_of_workers", second_pool_of_workers},
    {"workers_call", workers_call},
    {"without_serve", without_serve},
    {"serve_twice", serve_twice},
    {"overlapping", overlapping},
    {"barrier_in_task", barrier_in_task},
    {"other_order", other_order},
    {"worker_leaves", worker_leaves},
    {"master_leaves", master_leaves},
    {"goes_on", goes_on},
    {"leaves_early", leaves_early},
};

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[argc - 1] : "";
  if (const auto found = of_run.find(what); found != of_run.end()) return echelon::run(argc, argv, found->second);
  return echelon::parallel(argc, argv, of_parallel.at(what));
}
