#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include <echelon/farm/journal.hpp>

namespace echelon::farm::journal {

/// What a journal knows of its work, once it was told all its lines in their order. 24 bytes a task.
class Tasks {
 public:
  enum class State : unsigned { open, good, failed };
  struct Known {
    std::uint64_t hash = 0;  ///< of its line
    std::uint64_t offset = 0;
    std::uint64_t size : 58 = 0;
    std::uint64_t state : 2 = 0;
    std::uint64_t has_line : 1 = 0;  ///< else its line is damaged, and nothing is known of it but a fold
    std::uint64_t has_piece : 1 = 0;
    std::uint64_t is_listed : 1 = 0;  ///< in the list of this run; kept by whoever goes by content
    [[nodiscard]] State how() const noexcept { return static_cast<State>(state); }
    void set(State how) noexcept { state = static_cast<unsigned>(how) & 3U; }
    [[nodiscard]] bool is_finished() const noexcept { return how() != State::open; }
    [[nodiscard]] Piece piece() const noexcept { return {offset, size}; }
  };
  static_assert(sizeof(Known) == 24);

  void read(const Place& place, const Line& line);

  /// By their number in the journal.
  [[nodiscard]] const std::deque<Known>& all() const noexcept { return all_; }
  [[nodiscard]] std::deque<Known>& all() noexcept { return all_; }
  [[nodiscard]] const std::optional<Header>& header() const noexcept { return header_; }
  [[nodiscard]] const std::optional<Run>& last_run() const noexcept { return last_run_; }
  [[nodiscard]] const std::optional<std::uint64_t>& list_end() const noexcept { return list_end_; }
  [[nodiscard]] const Folded& folded() const noexcept { return folded_; }
  [[nodiscard]] bool is_by_content() const noexcept { return by_content_; }
  [[nodiscard]] bool has_output() const noexcept { return has_output_; }

  [[nodiscard]] std::uint64_t count(State state) const;
  /// As journal::Again does.
  void open_failed();
  /// Frees what is known of the single tasks.
  void forget() { all_.clear(); }

 private:
  std::deque<Known> all_;
  std::optional<Header> header_;
  std::optional<Run> last_run_;
  std::optional<std::uint64_t> list_end_;
  Folded folded_;
  bool by_content_ = false;
  bool has_output_ = false;

  Known& at(std::uint64_t task);
};

}  // namespace echelon::farm::journal
