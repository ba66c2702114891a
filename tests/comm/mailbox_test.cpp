#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/mailbox.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using test::session;
using Sizes = std::vector<std::size_t>;

constexpr std::size_t piece_body = 3992;  // that goes in one piece; a longer message goes in several
constexpr std::size_t MiB = 1 << 20;

bool is_even(int rank) { return rank % 2 == 0; }

/// Until it holds; fails the test where that takes too long. Every wait here is one of these, on every rank, so that a
/// hang ends in a failure on all of them.
bool wait_for(const char* what, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{120};  // 2 GiB on a busy machine
  Backoff backoff;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "rank " << session().rank() << " has waited too long for " << what;
      return false;
    }
    backoff.pause();
  }
  return true;
}

/// Bytes that no other message has.
Bytes content(int from, int to, std::size_t number, std::size_t size) {
  Bytes bytes((size + 7) / 8 * 8);
  std::uint64_t word = static_cast<std::uint64_t>(from * 1000 + to) << 32 | number;
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    word = word * 6364136223846793005U + 1442695040888963407U;
    std::memcpy(bytes.data() + at, &word, 8);
  }
  bytes.resize(size);
  return bytes;
}

void send_bytes(Mailbox& box, int to, const Bytes& bytes) {
  Packer packer;
  packer.bytes(bytes.data(), bytes.size());
  box.send(to, packer);
  EXPECT_EQ(packer.size(), 0U);
}

/// Whether the messages that come from each rank are those that it sends, whole and in order.
class Conversation {
 public:
  /// The sizes of what one rank sends another.
  using Plan = std::function<Sizes(int from, int to)>;

  Conversation(Mailbox& box, Plan plan) : box_{box} {
    for (int other = 0; other < session().size(); ++other) {
      to_.push_back(other == session().rank() ? Sizes{} : plan(session().rank(), other));
      from_.push_back(other == session().rank() ? Sizes{} : plan(other, session().rank()));
      left_ += from_.back().size();
    }
    came_.resize(from_.size());
  }

  void send(int to) {
    const Sizes& sizes = to_[static_cast<std::size_t>(to)];
    for (std::size_t i = 0; i < sizes.size(); ++i) send_bytes(box_, to, content(session().rank(), to, i, sizes[i]));
  }
  void send() {
    for (int to = 0; to < session().size(); ++to) send(to);
  }

  /// One message or none.
  bool receive() {
    const auto message = box_.receive();
    if (!message) return false;
    const auto from = static_cast<std::size_t>(message->from);
    const std::size_t number = came_[from]++;
    if (number >= from_[from].size()) {
      ADD_FAILURE() << "rank " << session().rank() << ": one more than expected from " << from;
      return true;
    }
    const Bytes expected = content(message->from, session().rank(), number, from_[from][number]);
    EXPECT_TRUE(std::ranges::equal(message->body, expected))
        << "message " << number << " from " << from << " to " << session().rank() << ": " << message->body.size()
        << " bytes for " << expected.size();
    --left_;
    return true;
  }

  [[nodiscard]] bool has_all() const { return left_ == 0; }
  [[nodiscard]] std::size_t came_from(int rank) const { return came_[static_cast<std::size_t>(rank)]; }

  /// Until all is there and gone, on all ranks.
  void finish() {
    wait_for("messages", [&] {
      while (receive()) {
      }
      return has_all() && box_.has_sent_all();
    });
    session().barrier();
    EXPECT_FALSE(receive());
  }

 private:
  Mailbox& box_;
  std::vector<Sizes> to_;
  std::vector<Sizes> from_;
  Sizes came_;
  std::size_t left_ = 0;
};

/// All ranks send all others messages of these sizes at once.
void exchange(const Conversation::Plan& plan) {
  Mailbox box{session()};
  Conversation all{box, plan};
  all.send();
  all.finish();
}

/// A way for ranks to wait for each other that has nothing to do with mailboxes.
void tell(int rank) { MPI_Send(nullptr, 0, MPI_BYTE, rank, 0, MPI_COMM_WORLD); }
MPI_Request listen(int rank) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Irecv(nullptr, 0, MPI_BYTE, rank, 0, MPI_COMM_WORLD, &request);
  return request;
}
bool is_told(MPI_Request& request) {
  int done = 0;
  MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  return done != 0;
}

TEST(mailbox, nothing_comes_where_nothing_was_sent) {
  Mailbox box{session()};
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(box.receive());
  EXPECT_TRUE(box.has_sent_all());
  session().barrier();
}

TEST(mailbox, sizes_about_a_piece) {
  Sizes sizes{0, 1, 7, 8, 9, 4090, 4096, 4104};
  for (std::size_t size = 3980; size <= 4010; ++size) sizes.push_back(size);
  exchange([&](int, int) { return sizes; });
}

TEST(mailbox, sizes_about_multiples_of_pieces) {
  Sizes sizes;
  // An acknowledgement goes after 16 pieces, and 64 may be under way.
  for (const std::size_t pieces : {2, 3, 15, 16, 17, 48, 63, 64, 65, 80, 128, 129}) {
    for (const std::size_t more : {-9, -8, -1, 0, 1, 8, 9}) sizes.push_back(pieces * piece_body + more);
  }
  exchange([&](int, int) { return session().size() <= 4 ? sizes : Sizes(sizes.begin(), sizes.begin() + 40); });
}

TEST(mailbox, many_small_messages_keep_their_order) {
  exchange([](int from, int to) {
    Sizes sizes;
    for (int i = 0; i < 3000; ++i) sizes.push_back(static_cast<std::size_t>((i * 37 + from * 11 + to) % 300));
    return sizes;
  });
}

TEST(mailbox, small_messages_do_not_overtake_a_large_one) {
  Sizes sizes;
  for (int round = 0; round < 3; ++round) {
    sizes.push_back(MiB + static_cast<std::size_t>(round));
    sizes.insert(sizes.end(), 300, 5);
  }
  exchange([&](int, int) { return sizes; });
}

TEST(mailbox, large_message_does_not_overtake_small_ones) {
  Sizes sizes(1000, 0);
  sizes.insert(sizes.end(), {MiB, MiB, 1, 5000, 0, 5000, 1});
  exchange([&](int, int) { return sizes; });
}

TEST(mailbox, storm_of_all_sizes_with_looks_between) {
  Mailbox box{session()};
  constexpr int rounds = 200;
  const Conversation::Plan plan = [](int from, int to) {
    Sizes sizes;
    for (std::size_t i = 0; i < rounds; ++i) {
      const std::size_t word = (i * 2654435761U) ^ static_cast<std::size_t>(from * 7919 + to);
      sizes.push_back(word % 8 == 0 ? word % 100'000 : word % 8 == 1 ? word % 9000 : word % 100);
    }
    return sizes;
  };
  Conversation all{box, plan};
  for (std::size_t i = 0; i < rounds; ++i) {
    for (int to = 0; to < session().size(); ++to) {
      if (to == session().rank()) continue;
      const std::size_t size = plan(session().rank(), to)[i];
      send_bytes(box, to, content(session().rank(), to, i, size));
      if ((i + static_cast<std::size_t>(to)) % 3 == 0) (void)all.receive();
    }
  }
  all.finish();
}

TEST(mailbox, large_messages_both_ways_at_once) {
  exchange([](int from, int to) { return from / 2 == to / 2 ? Sizes{8 * MiB, 1, 8 * MiB} : Sizes{}; });
}

TEST(mailbox, messages_of_64_MiB) {
  if (session().size() > 3) return;  // of memory
  exchange([](int from, int to) { return (from + 1) % session().size() == to ? Sizes{64 * MiB} : Sizes{}; });
}

// More than a signed and more than half of an unsigned 32-bit number can say.
TEST(mailbox, message_beyond_2_GiB) {
  constexpr std::uint64_t size = (std::uint64_t{1} << 31) + 12345;
  std::ifstream meminfo{"/proc/meminfo"};
  std::uint64_t available_kib = 0;
  for (std::string word; meminfo >> word;) {
    if (word == "MemAvailable:") meminfo >> available_kib;
  }
  if (session().size() != 2) GTEST_SKIP() << "for two ranks";
  // One value for both: they look at the same moment, but may not see the same.
  std::uint64_t least = available_kib;
  MPI_Allreduce(&available_kib, &least, 1, MPI_UINT64_T, MPI_MIN, MPI_COMM_WORLD);
  if (least < 6 * MiB) GTEST_SKIP() << "needs 6 GiB of memory";
  Mailbox box{session()};
  if (session().rank() == 0) {
    Packer packer;
    const Bytes begin(1000, std::byte{1});
    const Bytes rest(size - 2000, std::byte{2});
    packer.reserve(size);
    packer.bytes(begin.data(), begin.size());
    packer.bytes(rest.data(), rest.size());
    packer.bytes(begin.data(), begin.size());
    box.send(1, packer);
    wait_for("the message to go", [&] {
      EXPECT_FALSE(box.receive());
      return box.has_sent_all();
    });
  } else {
    std::optional<Mailbox::Message> message;
    wait_for("the message", [&] { return (message = box.receive()).has_value(); });
    if (message) {
      const auto body = message->body;
      EXPECT_EQ(body.size(), size);
      const auto is = [](int value) { return [value](std::byte b) { return b == std::byte(value); }; };
      EXPECT_TRUE(std::ranges::all_of(body.first(1000), is(1)));
      EXPECT_TRUE(std::ranges::all_of(body.subspan(1000, size - 2000), is(2)));
      EXPECT_TRUE(std::ranges::all_of(body.last(1000), is(1)));
    }
  }
  session().barrier();
}

TEST(mailbox, all_to_one_and_back) {
  exchange([](int from, int to) {
    if (to == 0) return Sizes{MiB, 10, 100'000};
    return from == 0 ? Sizes{10, MiB, 0} : Sizes{};
  });
}

TEST(mailbox, ping_pong) {
  const int partner = session().rank() ^ 1;
  Mailbox box{session()};
  if (partner < session().size()) {
    constexpr std::size_t rounds = 300;
    const auto send = [&](std::size_t i) {
      send_bytes(box, partner, content(session().rank(), partner, i, i % 20 == 0 ? 300'000 : 50));
    };
    std::size_t come = 0;
    if (is_even(session().rank())) send(0);
    wait_for("ping-pong", [&] {
      while (auto message = box.receive()) {
        const Bytes expected = content(partner, session().rank(), come, come % 20 == 0 ? 300'000 : 50);
        EXPECT_TRUE(std::ranges::equal(message->body, expected)) << come;
        ++come;
        if (is_even(session().rank()) ? come < rounds : true) send(is_even(session().rank()) ? come : come - 1);
      }
      return come == rounds && box.has_sent_all();
    });
  }
  session().barrier();
}

// Ranks that do not look hold up no others: not the sender, who has a large message for each, nor those behind them in
// its list.
TEST(mailbox, receiver_that_does_not_look_holds_up_no_one) {
  if (session().size() < 3) return;
  Mailbox box{session()};
  Conversation all{box, [](int from, int to) {
                     return from == 0 ? Sizes{1, 4 * MiB, 1} : to == 0 ? Sizes{7} : Sizes{};
                   }};
  const int last = session().size() - 1;
  all.send();
  if (session().rank() == last) {
    wait_for("the message to the last rank", [&] {
      (void)all.receive();
      return all.has_all();
    });
    for (int rank = 1; rank < last; ++rank) tell(rank);
  } else if (!session().is_master()) {
    MPI_Request told = listen(last);
    wait_for("the last rank", [&] { return is_told(told); });
  }
  all.finish();
}

TEST(mailbox, has_sent_all_only_when_a_large_message_has_gone) {
  Mailbox box{session()};
  Conversation all{box, [](int, int) { return Sizes{MiB}; }};
  all.send();
  session().barrier();
  EXPECT_EQ(box.has_sent_all(), session().size() == 1) << "nobody has looked yet";
  all.finish();
  EXPECT_TRUE(box.has_sent_all());
}

std::size_t resident_bytes() {
  std::ifstream in{"/proc/self/statm"};
  std::size_t pages = 0;
  in >> pages >> pages;
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// MPI takes in what it is sent, whether anyone looks or not.
TEST(mailbox, large_message_waits_at_its_sender_and_not_in_the_memory_of_who_does_not_look) {
  if (session().size() == 1 || session().size() > 3) return;
  Mailbox box{session()};
  Conversation all{box, [](int from, int to) { return from == 0 && to == 1 ? Sizes{64 * MiB} : Sizes{}; }};
  session().barrier();
  if (session().rank() == 1) {
    const std::size_t before = resident_bytes();
    for (int i = 0; i < 20'000; ++i) session().progress();
    MPI_Request told = listen(0);
    wait_for("the sender", [&] { return is_told(told); });
    for (int i = 0; i < 20'000; ++i) session().progress();
    EXPECT_LT(resident_bytes(), before + 16 * MiB);
  }
  all.send();
  if (session().is_master()) {
    for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(all.receive());
    tell(1);
  }
  all.finish();
}

TEST(mailbox, body_stays_until_the_next_look) {
  Mailbox box{session()};
  constexpr std::size_t count = 300;  // more than there are receives posted
  Conversation all{box, [](int, int) { return Sizes(count, 1000); }};
  const int next = (session().rank() + 1) % session().size();
  const int before = (session().rank() + session().size() - 1) % session().size();
  if (session().size() == 1) return;
  for (std::size_t i = 0; i < count; ++i) send_bytes(box, next, content(session().rank(), next, i, 1000));
  session().barrier();
  std::size_t come = 0;
  wait_for("messages", [&] {
    if (const auto message = box.receive()) {
      if (come % 50 == 0) {
        for (int i = 0; i < 100; ++i) session().progress();
      }
      EXPECT_TRUE(std::ranges::equal(message->body, content(before, session().rank(), come, 1000))) << come;
      ++come;
    }
    return come == count;
  });
  wait_for("sends", [&] { return !box.receive() && box.has_sent_all(); });
  session().barrier();
}

TEST(mailbox, taken_bytes_stay) {
  Mailbox box{session()};
  const Sizes sizes{0, 10, 100'000, 3992, 3993, 10, 100'000};
  if (session().rank() == 1) {
    for (std::size_t i = 0; i < sizes.size(); ++i) send_bytes(box, 0, content(1, 0, i, sizes[i]));
  }
  if (session().is_master() && session().size() > 1) {
    std::deque<Bytes> taken;
    wait_for("messages", [&] {
      if (auto message = box.receive()) {
        const std::byte* at = message->body.data();
        const std::size_t size = message->body.size();
        taken.push_back(message->take());
        EXPECT_EQ(taken.back().data() == at, size > piece_body) << "a large message is not copied";
      }
      return taken.size() == sizes.size();
    });
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(box.receive());
    for (std::size_t i = 0; i < taken.size(); ++i) EXPECT_TRUE(taken[i] == content(1, 0, i, sizes[i])) << i;
  }
  wait_for("sends", [&] { return !box.receive() && box.has_sent_all(); });
  session().barrier();
}

TEST(mailbox, packed_values_arrive_and_the_packer_goes_on) {
  Mailbox box{session()};
  Packer packer;
  for (int to = 0; to < session().size(); ++to) {
    if (to == session().rank()) continue;
    packer.put(std::string{"to"});
    packer.put(to);
    packer.put(std::vector<double>(to % 2 == 0 ? 10 : 10'000, 0.5));
    box.send(to, packer);
  }
  int left = session().size() - 1;
  wait_for("values", [&] {
    if (const auto message = box.receive()) {
      Unpacker from{message->body};
      EXPECT_EQ(from.get<std::string>(), "to");
      EXPECT_EQ(from.get<int>(), session().rank());
      EXPECT_EQ(from.get<std::vector<double>>().size(), is_even(session().rank()) ? 10U : 10'000U);
      EXPECT_TRUE(from.rest().empty());
      --left;
    }
    return left == 0 && box.has_sent_all();
  });
  session().barrier();
}

TEST(mailbox, two_at_once_do_not_mix) {
  Mailbox one{session()};
  Mailbox other{session()};
  Conversation first{one, [](int, int) { return Sizes{1, 300'000, 2}; }};
  Conversation second{other, [](int, int) { return Sizes{300'000, 3, 4}; }};
  first.send();
  second.send();
  second.finish();
  first.finish();
}

// ---- forgotten ranks ----

TEST(mailbox, nothing_comes_from_a_forgotten_rank) {
  Mailbox box{session()};
  const int last = session().size() - 1;
  if (session().rank() == last) {
    for (int to = 0; to < last; ++to) {
      for (std::size_t i = 0; i < 100; ++i) send_bytes(box, to, content(last, to, i, 100));
      send_bytes(box, to, content(last, to, 0, MiB));
    }
    for (int to = 0; to < last; ++to) box.forget(to);
    EXPECT_TRUE(box.has_sent_all()) << "what went to forgotten ranks does not count";
  }
  session().barrier();  // all of it is on its way
  if (session().rank() != last) box.forget(last);
  Conversation others{box, [&](int from, int to) { return from == last || to == last ? Sizes{} : Sizes{5, MiB, 5}; }};
  others.send();
  others.finish();
}

TEST(mailbox, message_of_which_a_part_has_come_is_forgotten) {
  Mailbox box{session()};
  const int last = session().size() - 1;
  if (session().rank() == last && last > 0) send_bytes(box, 0, content(last, 0, 0, 4 * MiB));
  session().barrier();
  if (session().is_master() && last > 0) {
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(box.receive());  // its first pieces
    box.forget(last);
  }
  session().barrier();
  if (session().rank() == last && last > 0) {
    for (int i = 0; i < 10; ++i) EXPECT_FALSE(box.receive());
    EXPECT_FALSE(box.has_sent_all());
    box.forget(0);
    EXPECT_TRUE(box.has_sent_all());
  }
  session().barrier();
  Conversation others{box, [&](int from, int to) { return from + to == last ? Sizes{} : Sizes{5, 300'000, 5}; }};
  others.send();
  others.finish();
}

TEST(mailbox, nothing_goes_to_a_forgotten_rank) {
  Mailbox box{session()};
  const int last = session().size() - 1;
  if (session().rank() != last) {
    send_bytes(box, last, content(session().rank(), last, 0, MiB));  // in the middle of it
    box.forget(last);
    EXPECT_TRUE(box.has_sent_all());
    send_bytes(box, last, content(session().rank(), last, 1, 10));
    send_bytes(box, last, content(session().rank(), last, 2, MiB));
    EXPECT_TRUE(box.has_sent_all());
  }
  session().barrier();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(box.receive());
  session().barrier();
  Conversation others{box, [&](int from, int to) { return from == last || to == last ? Sizes{} : Sizes{5, MiB, 5}; }};
  others.send();
  others.finish();
}

}  // namespace
}  // namespace echelon::comm
