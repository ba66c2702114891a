#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>

#include <echelon/measure/phase_clock.hpp>

#include "wire.hpp"

namespace echelon::pool::detail {

/// Of the exception that is being handled.
[[nodiscard]] Failure failure_in_flight();

/// A function on the rank that runs it. Where it could not be unpacked, get() throws that: its tasks fail.
class Function {
 public:
  Function(const TaskType& type, std::span<const std::byte> bytes);
  ~Function() {
    if (function_ != nullptr) type_.drop(function_);
  }
  Function(const Function&) = delete;
  Function& operator=(const Function&) = delete;

  [[nodiscard]] const TaskType& type() const noexcept { return type_; }
  [[nodiscard]] void* get() const {
    if (error_) std::rethrow_exception(error_);
    return function_;
  }

 private:
  const TaskType& type_;
  void* function_ = nullptr;
  std::exception_ptr error_;
};

/// Runs tasks and writes their results, in parts, into a message to the master.
class Runner {
 public:
  Runner() { begin(); }

  /// Runs all of these; `arguments` begins with theirs, and what follows is returned. The part is stretched where it
  /// goes on where the last one ended.
  std::span<const std::byte> run(const Function& function, const farm::Tasks& tasks, std::uint64_t argument_size,
                                 std::span<const std::byte> arguments, measure::PhaseClock& clock);

  [[nodiscard]] bool is_empty() const noexcept { return out_.size() == sizeof(ToMaster); }
  /// The time since the oldest result in it.
  [[nodiscard]] std::chrono::nanoseconds waited() const noexcept {
    return is_empty() ? std::chrono::nanoseconds{0} : last_ - oldest_;
  }
  [[nodiscard]] measure::Clock::time_point last_end() const noexcept { return last_; }
  [[nodiscard]] comm::Packer& message() noexcept { return out_; }
  /// After the message was sent.
  void begin();

 private:
  void open_part(const farm::Tasks& tasks);
  void add_failure(const farm::Tasks& task, const Failure& failure, std::int64_t ns);

  comm::Packer out_;
  ResultsHead part_{};
  std::size_t part_at_ = 0;  // 0: none is open
  measure::Clock::time_point oldest_;
  measure::Clock::time_point last_;
};

}  // namespace echelon::pool::detail
