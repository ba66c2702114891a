#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace echelon::workloads {

inline constexpr std::size_t npy_header_bytes = 128;  ///< whatever the count

/// What stands before the numbers of a .npy file of `count` little-endian doubles in one dimension: NumPy's format,
/// version 1.0.
[[nodiscard]] std::string npy_header(std::uint64_t count);

}  // namespace echelon::workloads
