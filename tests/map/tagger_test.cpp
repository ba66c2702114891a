#include "map/tagger.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace echelon::map {
namespace {

using std::string_literals::operator""s;

std::string tagged(Tagger& tagger, std::string_view piece) {
  const auto bytes = tagger(std::as_bytes(std::span{piece}));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// With the tag "t\t", in one piece.
std::string tagged(std::string_view text) {
  const std::string tag = "t\t";
  Tagger tagger{&tag};
  return tagged(tagger, text);
}

TEST(tagger, each_line_has_the_tag) {
  EXPECT_EQ(tagged("a\nb\n"), "t\ta\nt\tb\n");
  EXPECT_EQ(tagged("\n\n"), "t\t\nt\t\n");
  EXPECT_EQ(tagged("a\r\nb\r\n"), "t\ta\r\nt\tb\r\n");
}

TEST(tagger, a_last_line_without_its_end_has_the_tag_and_no_end_is_added) {
  EXPECT_EQ(tagged("a"), "t\ta");
  EXPECT_EQ(tagged("a\nb"), "t\ta\nt\tb");
}

TEST(tagger, nothing_stays_nothing) { EXPECT_EQ(tagged(""), ""); }

TEST(tagger, bytes_are_kept) {
  EXPECT_EQ(tagged("a\0b\n\xff\0"s), "t\ta\0b\nt\t\xff\0"s);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(tagged(all), "t\t" + all.substr(0, 11) + "t\t" + all.substr(11));
}

TEST(tagger, pieces_are_one_stream_wherever_they_are_cut) {
  const std::string tag = "t\t";
  const std::string text = "ab\n\ncd\0ef\ng"s;
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      Tagger tagger{&tag};
      std::string all = tagged(tagger, text.substr(0, first));
      all += tagged(tagger, text.substr(first, second - first));
      all += tagged(tagger, text.substr(second));
      EXPECT_EQ(all, "t\tab\nt\t\nt\tcd\0ef\nt\tg"s) << first << " " << second;
    }
  }
}

TEST(tagger, without_a_tag_bytes_are_handed_through) {
  Tagger none{nullptr};
  const std::string text = "a\nb";
  const auto bytes = std::as_bytes(std::span{text});
  EXPECT_EQ(none(bytes).data(), bytes.data());
  EXPECT_EQ(none(bytes).size(), bytes.size());
  EXPECT_EQ(tagged(none, "a\nb"), "a\nb");
}

TEST(tagger, a_tag_may_have_any_bytes) {
  const std::string tag = "new\nline \0\xff\t"s;
  Tagger tagger{&tag};
  EXPECT_EQ(tagged(tagger, "a\nb"), tag + "a\n" + tag + "b");
}

}  // namespace
}  // namespace echelon::map
