#include <cstdint>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <echelon/workloads/npy.hpp>

namespace echelon::workloads {
namespace {

/// As numpy.save of NumPy 1.24.2 begins a file of `count` doubles.
std::string numpy_header(const std::string& count) {
  std::string header{"\x93NUMPY\x01\x00v\x00", 10};
  header += "{'descr': '<f8', 'fortran_order': False, 'shape': (" + count + ",), }";
  return header + std::string(127 - header.size(), ' ') + '\n';
}

TEST(npy_header, is_numpys_byte_by_byte) {
  EXPECT_EQ(npy_header(5), numpy_header("5"));
  EXPECT_EQ(npy_header(1'000'000'000), numpy_header("1000000000"));
}

TEST(npy_header, length_is_the_same_for_every_count) {
  for (const std::uint64_t count :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 60, std::numeric_limits<std::uint64_t>::max()}) {
    EXPECT_EQ(npy_header(count).size(), npy_header_bytes);
    EXPECT_EQ(npy_header(count).back(), '\n');
    EXPECT_THAT(npy_header(count), testing::HasSubstr(std::to_string(count) + ",)"));
  }
  EXPECT_EQ(npy_header_bytes % 64, 0U) << "NumPy maps such files into memory as they stand";
}

}  // namespace
}  // namespace echelon::workloads
