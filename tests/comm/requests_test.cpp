// Run as if ranks had nodes of their own: then a thread answers for a rank that computes.
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;
using namespace std::chrono_literals;

constexpr auto limit = 30s;  // for what takes milliseconds, on a machine where everything is slow

/// The next rank, round and round.
int neighbour() { return (session().rank() + 1) % session().size(); }

bool is_alone() { return session().size() == 1; }  // with nobody to ask

/// As long as others may ask.
class Answering : public Requests::Object {
 public:
  explicit Answering(Requests::Handler handler) : Requests::Object{session(), std::move(handler)} {}
  ~Answering() { session().barrier(); }
};

std::string ask_for_text(Requests::Object& object, int to, const std::string& text) {
  Packer request = object.request();
  request.put(text);
  const auto answer = object.ask(to, request, std::chrono::steady_clock::now() + limit);
  return answer ? Unpacker{*answer}.get<std::string>() : "no answer";
}

TEST(requests, are_answered_by_who_is_asked_with_what_was_asked) {
  if (is_alone()) return;
  Answering object{[](int from, Unpacker request, Packer& answer, bool /*last*/) {
    answer.put(request.get<std::string>() + " of " + std::to_string(from) + " to " + std::to_string(session().rank()));
    return true;
  }};
  for (const std::size_t length : {0U, 1U, 5000U, 3'000'000U}) {
    const std::string text(length, 'x');
    EXPECT_EQ(ask_for_text(object, neighbour(), text),
              text + " of " + std::to_string(session().rank()) + " to " + std::to_string(neighbour()));
  }
}

TEST(requests, of_several_objects_do_not_meet) {
  if (is_alone()) return;
  const auto answers = [](const char* name) {
    return [name](int /*from*/, Unpacker request, Packer& answer, bool /*last*/) {
      answer.put(name + request.get<std::string>());
      return true;
    };
  };
  Answering one{answers("one ")};
  Answering other{answers("other ")};
  EXPECT_EQ(ask_for_text(one, neighbour(), "a"), "one a");
  EXPECT_EQ(ask_for_text(other, neighbour(), "b"), "other b");
}

TEST(requests, wait_until_there_is_an_answer) {
  if (is_alone()) return;
  std::atomic<bool> may_answer = false;
  std::atomic<int> times = 0;
  Answering object{[&](int /*from*/, Unpacker request, Packer& answer, bool /*last*/) {
    if (request.get<std::string>() == "go") may_answer = true;
    ++times;
    if (!may_answer) return false;
    answer.put(std::string{"yes"});
    return true;
  }};
  // In a chain: the last rank's answer comes first, and lets it tell the one before to go.
  const bool is_last = session().rank() == session().size() - 1;
  if (is_last) {
    may_answer = true;
  } else {
    EXPECT_EQ(ask_for_text(object, neighbour(), "may I"), "yes");
  }
  if (!session().is_master()) {
    EXPECT_EQ(ask_for_text(object, session().rank() - 1, "go"), "yes");
    session().barrier();
    EXPECT_GT(times, 0);
  } else {
    session().barrier();
  }
}

TEST(requests, that_are_given_up_are_asked_a_last_time_and_no_more) {
  if (is_alone()) return;
  std::atomic<int> last_times = 0;
  Answering object{[&](int /*from*/, Unpacker request, Packer& answer, bool last) {
    if (last) ++last_times;
    if (!last || !request.get<bool>()) return false;
    answer.put(std::string{"at last"});
    return true;
  }};
  for (const bool answered_at_last : {false, true}) {
    Packer request = object.request();
    request.put(answered_at_last);
    const auto answer = object.ask(neighbour(), request, std::chrono::steady_clock::now() + 20ms);
    EXPECT_EQ(answer.has_value(), answered_at_last);
  }
  session().barrier();
  EXPECT_EQ(last_times, 2);
}

TEST(requests, what_a_handler_throws_is_thrown_to_who_asked) {
  if (is_alone()) return;
  Answering object{[&](int /*from*/, Unpacker request, Packer& /*answer*/, bool /*last*/) -> bool {
    const auto kind = request.get<std::string>();
    if (kind == "usage") throw base::UsageError{"a wrong option"};
    if (kind == "logic") throw std::logic_error{"a wrong call"};
    if (kind == "lost") throw RankLost{17, "rank 17 was lost"};
    throw std::range_error{"too far"};
  }};
  const auto ask = [&](const char* kind) { (void)ask_for_text(object, neighbour(), kind); };
  EXPECT_THROW(ask("usage"), base::UsageError);
  EXPECT_THROW(ask("logic"), std::logic_error);
  try {
    ask("lost");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const RankLost& e) {
    EXPECT_EQ(e.rank, 17);
    EXPECT_STREQ(e.what(), "rank 17 was lost");
  }
  try {
    ask("else");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "too far");
  }
}

TEST(requests, are_answered_while_the_rank_computes) {
  if (Nodes::of(session()).is_one()) return;  // no thread
  std::atomic<int> answered = 0;
  Answering object{[&](int /*from*/, Unpacker /*request*/, Packer& answer, bool /*last*/) {
    answer.put(std::string{"here"});
    ++answered;
    return true;
  }};
  const int others = session().size() - 1;
  if (session().is_master()) {
    // It calls nothing of Echelon's until all have had their answers.
    const auto end = std::chrono::steady_clock::now() + limit;
    while (answered < others && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(answered, others);
  } else {
    EXPECT_EQ(ask_for_text(object, 0, "are you there"), "here");
  }
}

TEST(requests, are_for_others) {
  Answering object{[](auto&&...) { return true; }};
  Packer request = object.request();
  EXPECT_THROW((void)object.ask(session().rank(), request), std::logic_error);
}

}  // namespace
}  // namespace echelon::comm
