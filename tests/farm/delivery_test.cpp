#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <echelon/farm/delivery.hpp>

namespace echelon::farm {
namespace {

using Strings = Delivery<std::string>;

TEST(delivery, in_the_inputs_order_waits_for_the_next_one) {
  Strings delivery{Order::of_input};
  delivery.put(1, "b");
  delivery.put(2, "c");
  EXPECT_FALSE(delivery.has_next());
  EXPECT_EQ(delivery.take(), std::nullopt);
  delivery.put(0, "a");
  EXPECT_TRUE(delivery.has_next());
  for (const char* expected : {"a", "b", "c"}) EXPECT_EQ(delivery.take(), expected);
  EXPECT_EQ(delivery.take(), std::nullopt);
}

TEST(delivery, in_the_inputs_order_goes_on_after_some_were_taken) {
  Strings delivery{Order::of_input};
  delivery.put(0, "a");
  EXPECT_EQ(delivery.take(), "a");
  delivery.put(2, "c");
  EXPECT_EQ(delivery.take(), std::nullopt);
  delivery.put(1, "b");
  EXPECT_EQ(delivery.take(), "b");
  EXPECT_EQ(delivery.take(), "c");
}

TEST(delivery, as_they_come_is_just_that) {
  Strings delivery{Order::as_they_come};
  EXPECT_FALSE(delivery.has_next());
  delivery.put(7, "h");
  delivery.put(0, "a");
  EXPECT_TRUE(delivery.has_next());
  EXPECT_EQ(delivery.take(), "h");
  EXPECT_EQ(delivery.take(), "a");
  EXPECT_EQ(delivery.take(), std::nullopt);
}

TEST(delivery, hands_over_what_cannot_be_copied) {
  Delivery<std::unique_ptr<int>> delivery{Order::of_input};
  delivery.put(0, std::make_unique<int>(5));
  EXPECT_EQ(**delivery.take(), 5);
}

}  // namespace
}  // namespace echelon::farm
