#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/nodes.hpp>

#include "support/mpi_session.hpp"

namespace echelon::comm {
namespace {

using base::Traffic;
using test::session;

/// What this rank sent to other nodes meanwhile.
Traffic sent_in(const std::function<void()>& what) {
  const Traffic before = session().between_nodes();
  what();
  const Traffic after = session().between_nodes();
  return {after.messages - before.messages, after.bytes - before.bytes};
}

void expect_sent(std::uint64_t messages, std::uint64_t bytes_each, const Traffic& sent) {
  EXPECT_EQ(sent.messages, messages);
  EXPECT_EQ(sent.bytes, messages * bytes_each);
}

std::uint64_t ranks_elsewhere() {
  std::uint64_t count = 0;
  for (int rank = 0; rank < session().size(); ++rank) count += Nodes::of(session()).is_here(rank) ? 0U : 1U;
  return count;
}

bool master_is_elsewhere() { return !Nodes::of(session()).is_here(0); }

TEST(between_nodes, what_is_for_all_counts_once_for_each_other_node) {
  const auto others = static_cast<std::uint64_t>(Nodes::of(session()).count() - 1);
  const std::array<double, 3> three{};
  expect_sent(session().is_master() ? others : 0, 24, sent_in([&] { (void)broadcast(session(), three); }));
  expect_sent(others, 24, sent_in([&] { (void)all_gather(session(), three); }));
}

TEST(between_nodes, what_the_master_has_for_each_counts_once_for_each_rank_elsewhere) {
  const std::vector<std::int64_t> all(static_cast<std::size_t>(session().size()));
  expect_sent(session().is_master() ? ranks_elsewhere() : 0, 8,
              sent_in([&] { (void)scatter<std::int64_t>(session(), all); }));
}

TEST(between_nodes, what_the_master_gets_from_all_counts_once_for_each_rank_elsewhere) {
  const std::uint64_t mine = master_is_elsewhere() ? 1 : 0;
  expect_sent(mine, 4, sent_in([] { (void)gather(session(), std::int32_t{1}); }));
  expect_sent(mine, 5, sent_in([] { (void)gather(session(), std::string{"abcde"}); }));
  std::array<std::int64_t, 10> sums{};
  expect_sent(mine, 80, sent_in([&] { reduce_sum(session(), sums); }));
  std::array<double, 2> most{};
  expect_sent(mine, 16, sent_in([&] { reduce_max(session(), most); }));
}

TEST(between_nodes, barriers_and_progress_are_nothing) {
  expect_sent(0, 0, sent_in([] {
                session().barrier();
                session().progress();
              }));
}

/// Each rank sends `bytes` to the next one, and gets as many.
void pass_on(Mailbox& mailbox, std::size_t bytes) {
  const std::vector<std::byte> body(bytes);
  Packer message;
  message.bytes(body.data(), body.size());
  mailbox.send((session().rank() + 1) % session().size(), message);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{40};
  bool has_come = false;
  for (Backoff backoff; !has_come || !mailbox.has_sent_all(); backoff.pause()) {
    if (const auto come = mailbox.receive()) {
      EXPECT_EQ(come->body.size(), bytes);
      has_come = true;
    }
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited too long";
  }
}

TEST(between_nodes, message_counts_with_its_head_of_eight_bytes) {
  if (session().size() == 1) return;  // a rank sends itself nothing
  Mailbox mailbox{session()};
  session().barrier();
  const int next = (session().rank() + 1) % session().size();
  const std::uint64_t mine = Nodes::of(session()).is_here(next) ? 0 : 1;
  expect_sent(mine, 108, sent_in([&] { pass_on(mailbox, 100); }));
  session().barrier();
}

TEST(between_nodes, long_message_counts_as_its_pieces) {
  if (session().size() == 1) return;
  Mailbox mailbox{session()};
  session().barrier();
  const int size = session().size();
  const Nodes& nodes = Nodes::of(session());
  const std::uint64_t to_next = nodes.is_here((session().rank() + 1) % size) ? 0 : 1;
  const Traffic sent = sent_in([&] {
    // In three pieces of at most 4000 bytes, of which 8 are its head; they are too few to be acknowledged yet.
    pass_on(mailbox, 10'000);
    session().barrier();
  });
  EXPECT_EQ(sent.messages, 3 * to_next);
  EXPECT_EQ(sent.bytes, (10'000 + 3 * 8) * to_next);
}

}  // namespace
}  // namespace echelon::comm
