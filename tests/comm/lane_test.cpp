#include "comm/lane.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace echelon::comm {
namespace {

using Bytes = std::vector<std::byte>;

/// The memory of a lane, on a page's edge.
class Memory {
 public:
  Memory() : bytes_{static_cast<std::byte*>(std::aligned_alloc(4096, Lane::memory_bytes)), &std::free} {
    std::memset(bytes_.get(), 0, Lane::memory_bytes);
  }
  [[nodiscard]] std::byte* data() const { return bytes_.get(); }

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> bytes_;
};

Bytes content(std::size_t size, unsigned seed) {
  std::mt19937_64 random{seed};
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

/// A message of this size out of the lane; fewer bytes if not all of it has come.
Bytes read(Lane& lane, std::size_t size) {
  Bytes got;
  while (got.size() < size) {
    const auto bytes = lane.readable();
    if (bytes.empty()) break;
    const std::size_t count = std::min(bytes.size(), size - got.size());
    got.insert(got.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    lane.consume(count);
  }
  return got;
}

TEST(lane, is_empty_at_first) {
  const Memory memory;
  Lane to{memory.data()};
  Lane from{memory.data()};
  EXPECT_TRUE(from.readable().empty());
}

TEST(lane, messages_of_all_sizes_come_out_as_they_went_in) {
  const Memory memory;
  Lane to{memory.data()};
  Lane from{memory.data()};
  for (unsigned i = 0; i < 2000; ++i) {  // goes round the ring some times, and meets its end in all places
    const Bytes message = content(1 + i * 37 % 3000, i);
    ASSERT_EQ(to.write(message), message.size());
    ASSERT_EQ(read(from, message.size()), message) << i;
    EXPECT_TRUE(from.readable().empty());
  }
}

TEST(lane, takes_what_it_has_room_for) {
  const Memory memory;
  Lane to{memory.data()};
  Lane from{memory.data()};
  const Bytes message = content(Lane::ring_bytes + 100, 1);
  const std::size_t written = to.write(message);
  EXPECT_EQ(written, Lane::ring_bytes);
  EXPECT_EQ(to.write(std::span{message}.subspan(written)), 0U);
  Bytes got = read(from, written);
  EXPECT_EQ(to.write(std::span{message}.subspan(written)), 100U);
  const Bytes rest = read(from, 100);
  got.insert(got.end(), rest.begin(), rest.end());
  EXPECT_EQ(got, message);
}

TEST(lane, receiver_that_has_died_in_the_middle_leaves_the_sender_whole) {
  const Memory memory;
  Lane to{memory.data()};
  {
    Lane from{memory.data()};
    ASSERT_EQ(to.write(content(1000, 1)), 1000U);
    ASSERT_FALSE(from.readable().empty());  // and never consumed
  }
  std::size_t written = 0;
  while (to.write(content(1000, 2)) == 1000) written += 1000;
  EXPECT_GT(written, Lane::ring_bytes / 2);
}

TEST(lane, two_threads_at_once) {
  const Memory memory;
  constexpr unsigned messages = 20'000;
  const auto size = [](unsigned i) { return std::size_t{1} + (i * 7919U) % (i % 100 == 0 ? 400'000U : 200U); };
  std::thread sender{[&] {
    Lane to{memory.data()};
    for (unsigned i = 0; i < messages; ++i) {
      const Bytes message = content(size(i), i);
      for (std::size_t done = 0; done < message.size();) {
        done += to.write(std::span{message}.subspan(done));
        std::this_thread::yield();
      }
    }
  }};
  Lane from{memory.data()};
  unsigned wrong = 0;
  for (unsigned i = 0; i < messages; ++i) {
    Bytes got;
    while (got.size() < size(i)) {
      const Bytes more = read(from, size(i) - got.size());
      got.insert(got.end(), more.begin(), more.end());
      if (more.empty()) std::this_thread::yield();
    }
    wrong += got == content(size(i), i) ? 0 : 1;
  }
  sender.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace echelon::comm
