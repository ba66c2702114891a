#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace echelon::schedule {

/// How large the next chunk of a loop is. With R items left over P workers:
enum class Schedule {
  fixed,      ///< `static`: one chunk a worker, all alike but for one item
  dynamic,    ///< chunks of one size
  guided,     ///< ceil(R / P): Polychronopoulos and Kuck, IEEE Trans. Comput. C-36 (1987)
  factoring,  ///< P chunks of ceil(R / 2P), then anew: Hummel, Schonberg and Flynn, Commun. ACM 35 (1992), as FAC2
  trapezoid,  ///< from ceil(N / 2P) down to the least in equal steps: Tzen and Ni, IEEE Trans. Parallel Distrib. Syst.
              ///< 4 (1993)
};

[[nodiscard]] std::span<const Schedule> all_schedules() noexcept;
/// As on the command line.
[[nodiscard]] std::string_view name(Schedule schedule) noexcept;

/// Items [first, first + count).
struct Chunk {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// The chunks of a loop over `items`, numbered from 0 in the order in which they are to be given out. A chunk depends
/// on its number alone, so workers that draw numbers from one shared counter need no other agreement.
class Chunks {
 public:
  /// `chunk`: the size of dynamic, the least size of guided, factoring and trapezoid; of no effect on static.
  /// @pre workers >= 1, chunk >= 1
  Chunks(Schedule schedule, std::uint64_t items, std::uint64_t workers, std::uint64_t chunk);

  /// Chunk `number`; nothing past the last one. Takes constant time for static and dynamic, and otherwise a step for
  /// each chunk since the last call. @pre number is not below that of the last call
  [[nodiscard]] std::optional<Chunk> at(std::uint64_t number);

 private:
  [[nodiscard]] std::uint64_t next_size() const;

  Schedule schedule_;
  std::uint64_t items_;
  std::uint64_t workers_;
  std::uint64_t chunk_;
  // The cursor of guided, factoring and trapezoid.
  std::uint64_t number_ = 0;
  std::uint64_t first_ = 0;
  std::uint64_t batch_size_ = 0;  // factoring: the size within the present batch of P
};

/// Sized so that a rank gets about 128 chunks: the last one then costs at most 1 % of balance.
[[nodiscard]] std::uint64_t default_dynamic_chunk(std::uint64_t items, std::uint64_t workers) noexcept;

}  // namespace echelon::schedule
