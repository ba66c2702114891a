#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <echelon/farm/delivery.hpp>
#include <echelon/pool/async_result.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/options.hpp>
#include <echelon/pool/task_type.hpp>

/// The jobs behind Pool's functions: where their input comes from and where results go.

namespace echelon::pool {

/// What became of one task: a value, or the error that stands for it.
template <typename R>
class Outcome {
 public:
  Outcome(R value) : outcome_{std::in_place_index<0>, std::move(value)} {}          // NOLINT: as expected<> does
  Outcome(TaskError error) : outcome_{std::in_place_index<1>, std::move(error)} {}  // NOLINT

  [[nodiscard]] bool ok() const noexcept { return outcome_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  /// Throws the error where there is one.
  [[nodiscard]] R& value() {
    if (!ok()) throw TaskError{error()};
    return std::get<0>(outcome_);
  }
  [[nodiscard]] const R& value() const {
    if (!ok()) throw TaskError{error()};
    return std::get<0>(outcome_);
  }
  /// @pre not ok()
  [[nodiscard]] const TaskError& error() const { return std::get<1>(outcome_); }

 private:
  std::variant<R, TaskError> outcome_;
};

namespace detail {

template <Call call, typename F, typename A>
void set_type(Job& job, const F& function) {
  job.type = &task_type<call, F, A>;
  pack_function(job.function, function);
  job.argument_size = FixedSize<A>::value;
  job.options.kind = reinterpret_cast<std::uintptr_t>(job.type);
}

/// A range of which the caller knows that it outlives this. std::ranges::ref_view is more than clang 14 understands of
/// Debian 12's standard library.
template <typename Range>
class Borrowed {
 public:
  explicit Borrowed(Range& range) : range_{&range} {}

  [[nodiscard]] auto begin() const { return std::ranges::begin(*range_); }
  [[nodiscard]] auto end() const { return std::ranges::end(*range_); }
  [[nodiscard]] auto size() const requires std::ranges::sized_range<Range> { return std::ranges::size(*range_); }

 private:
  Range* range_;
};

/// Reads a range, once, from its beginning to its end.
template <typename Range, typename A>
class Input {
 public:
  explicit Input(Range range) : range_{std::move(range)} {}

  [[nodiscard]] std::optional<std::uint64_t> size() {
    if constexpr (std::ranges::sized_range<Range>) return static_cast<std::uint64_t>(std::ranges::size(range_));
    return std::nullopt;
  }

  /// As Job::read. What the range throws ends it, and is kept.
  bool read(comm::Packer& to, std::uint64_t count, const std::function<void()>& task) {
    const std::size_t whole = to.size();
    std::size_t mark = whole;
    try {
      if (!at_) at_ = std::ranges::begin(range_);
      if constexpr (std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
                    comm::detail::as_it_lies<A> && !std::is_empty_v<A> &&
                    std::is_same_v<A, std::ranges::range_value_t<Range>>) {
        const auto left = static_cast<std::uint64_t>(std::ranges::end(range_) - *at_);
        const std::uint64_t taken = std::min(left, count);
        if (taken > 0) to.bytes(std::to_address(*at_), taken * sizeof(A));
        *at_ += static_cast<std::ranges::range_difference_t<Range>>(taken);
        return taken == left;
      } else {
        for (std::uint64_t i = 0; i < count; ++i) {
          if (*at_ == std::ranges::end(range_)) return true;
          mark = to.size();
          pack_sized<A>(to, **at_);
          task();
          mark = to.size();
          ++*at_;
        }
        return *at_ == std::ranges::end(range_);
      }
    } catch (...) {
      to.cut(mark);  // the one that could not be read
      error = std::current_exception();
      return true;
    }
  }

  std::exception_ptr error;

 private:
  Range range_;
  std::optional<std::ranges::iterator_t<Range>> at_;
};

/// Collects all results, in the order of the input.
template <typename R>
class Collector {
 public:
  using Value = Kept<R>;

  void expect(std::optional<std::uint64_t> tasks) {
    if (!tasks) return;
    values_.reserve(*tasks);
    there_.reserve(*tasks);
  }

  /// As Job::results.
  void results(std::uint64_t first, std::uint64_t count, std::uint64_t& done, comm::Unpacker& from) {
    if (values_.size() < first + count) resize(first + count);
    std::fill_n(there_.begin() + static_cast<std::ptrdiff_t>(first), count, true);
    if constexpr (bulk) {
      const auto bytes = from.bytes(count * sizeof(Value));
      std::memcpy(values_.data() + first, bytes.data(), bytes.size());
    } else if constexpr (!std::is_void_v<R>) {
      for (; done < count; ++done) values_[first + done] = unpack_sized<Value>(from);
    }
  }
  void error(TaskError error) {
    if (values_.size() <= error.index) resize(error.index + 1);
    errors_.insert_or_assign(error.index, std::move(error));
  }

  /// The values, or the exception of the lowest task that failed.
  [[nodiscard]] std::vector<Value> values() {
    if (!errors_.empty()) throw TaskError{errors_.begin()->second};
    if constexpr (direct) {
      return std::move(values_);
    } else {
      std::vector<Value> all;
      all.reserve(values_.size());
      for (auto& value : values_) all.push_back(std::move(*value));
      return all;
    }
  }
  [[nodiscard]] std::vector<Outcome<Value>> outcomes() {
    std::vector<Outcome<Value>> all;
    all.reserve(values_.size());
    for (std::uint64_t i = 0; i < values_.size(); ++i) {
      if (const auto found = errors_.find(i); found != errors_.end()) {
        all.emplace_back(found->second);
      } else if constexpr (direct) {
        all.emplace_back(Value(std::move(values_[i])));
      } else {
        all.emplace_back(std::move(*values_[i]));
      }
    }
    return all;
  }

  /// What there is; the rest is not to be had any more.
  [[nodiscard]] Stopped stopped(const StoppedAt& at) {
    std::vector<std::optional<Value>> all;
    all.resize(std::max<std::uint64_t>(values_.size(), at.tasks.value_or(0)));
    for (std::uint64_t i = 0; i < values_.size(); ++i) {
      if (!there_[i] || errors_.contains(i)) continue;
      if constexpr (direct) {
        all[i].emplace(std::move(values_[i]));
      } else {
        all[i] = std::move(values_[i]);
      }
    }
    std::vector<TaskError> errors;
    for (auto& [index, error] : errors_) errors.push_back(std::move(error));
    return {at, std::move(all), std::move(errors)};
  }

 private:
  void resize(std::uint64_t tasks) {
    values_.resize(tasks);
    there_.resize(tasks);
  }

  static constexpr bool direct = std::is_default_constructible_v<Value>;
  static constexpr bool bulk = !std::is_void_v<R> && direct && comm::detail::as_it_lies<Value> &&
                               !std::is_empty_v<Value> && !std::is_same_v<Value, bool>;
  std::vector<std::conditional_t<direct, Value, std::optional<Value>>> values_;
  std::vector<bool> there_;  // but for what stands in errors_
  std::map<std::uint64_t, TaskError> errors_;
};

/// All of a range, into a collector.
template <typename Range, typename A, typename R>
class MapJob : public Job {
 public:
  explicit MapJob(Range range) : input{std::move(range)} {
    options.tasks = input.size();
    collector.expect(options.tasks);
  }
  bool read(comm::Packer& to, std::uint64_t count, const std::function<void()>& task) override {
    return input.read(to, count, task);
  }
  void results(std::uint64_t first, std::uint64_t count, std::uint64_t& done, comm::Unpacker& from) override {
    collector.results(first, count, done, from);
  }
  void error(TaskError error) override { collector.error(std::move(error)); }
  void finished() override { is_finished = true; }
  void stopped(const StoppedAt& at) override {
    is_finished = true;
    stopped_at = at;
  }

  Input<Range, A> input;
  Collector<R> collector;
  bool is_finished = false;
  std::optional<StoppedAt> stopped_at;
};

/// The same for map_async: the input was packed beforehand, and the end is told to a promise.
template <typename A, typename R>
class AsyncMapJob : public Job {
 public:
  explicit AsyncMapJob(std::shared_ptr<Promise<std::vector<Kept<R>>>> promise) : promise_{std::move(promise)} {
    reads_anywhere = true;
  }
  template <typename Range>
  void take(Range&& range) {
    for (auto&& argument : range) {
      pack_sized<A>(packed_, argument);
      ++tasks_;
    }
    options.tasks = tasks_;
    collector_.expect(tasks_);
  }
  bool read(comm::Packer& to, std::uint64_t count, const std::function<void()>& task) override {
    count = std::min(count, tasks_ - read_);
    const auto rest = packed_.view().subspan(at_);
    if (argument_size) {
      to.bytes(rest.data(), count * *argument_size);
      for (std::uint64_t i = 0; i < count; ++i) task();
      at_ += count * *argument_size;
    } else {
      comm::Unpacker from{rest};
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto size = from.get<std::uint64_t>();
        to.put(size);
        to.bytes(from.bytes(size).data(), size);
        task();
        at_ += sizeof(size) + size;
      }
    }
    read_ += count;
    return read_ == tasks_;
  }
  void results(std::uint64_t first, std::uint64_t count, std::uint64_t& done, comm::Unpacker& from) override {
    collector_.results(first, count, done, from);
  }
  void error(TaskError error) override { collector_.error(std::move(error)); }
  void finished() override {
    try {
      promise_->value = collector_.values();
    } catch (...) {
      promise_->error = std::current_exception();
    }
    Promise<std::vector<Kept<R>>>::tell(promise_);
  }
  void stopped(const StoppedAt& at) override {
    promise_->error = std::make_exception_ptr(collector_.stopped(at));
    Promise<std::vector<Kept<R>>>::tell(promise_);
  }
  void cancelled() override { Promise<std::vector<Kept<R>>>::cancel(promise_); }

 private:
  std::shared_ptr<Promise<std::vector<Kept<R>>>> promise_;
  comm::Packer packed_;
  std::uint64_t tasks_ = 0;
  std::uint64_t read_ = 0;
  std::size_t at_ = 0;
  Collector<R> collector_;
};

/// One task.
template <typename A, typename R>
class ApplyJob : public Job {
 public:
  ApplyJob(std::shared_ptr<Promise<R>> promise, A argument) : promise_{std::move(promise)} {
    reads_anywhere = true;
    options.tasks = 1;
    pack_sized<A>(packed_, std::move(argument));
  }
  bool read(comm::Packer& to, std::uint64_t, const std::function<void()>& task) override {
    to = std::move(packed_);
    task();
    return true;
  }
  void results(std::uint64_t, std::uint64_t, std::uint64_t&, comm::Unpacker& from) override {
    if constexpr (std::is_void_v<R>) {
      promise_->value.emplace();
    } else {
      promise_->value = unpack_sized<Kept<R>>(from);
    }
  }
  void error(TaskError error) override { promise_->error = std::make_exception_ptr(std::move(error)); }
  void finished() override { Promise<R>::tell(promise_); }
  void stopped(const StoppedAt& at) override {
    promise_->error = std::make_exception_ptr(Stopped{at, std::vector<std::optional<Kept<R>>>(1), {}});
    Promise<R>::tell(promise_);
  }
  void cancelled() override { Promise<R>::cancel(promise_); }

 private:
  std::shared_ptr<Promise<R>> promise_;
  comm::Packer packed_;
};

/// All of a range, taken out one by one.
template <typename Range, typename A, typename R>
class ImapJob : public Job {
 public:
  using Value = Kept<R>;

  ImapJob(Range range, farm::Order order) : input{std::move(range)}, delivery{order} { options.tasks = input.size(); }

  bool read(comm::Packer& to, std::uint64_t count, const std::function<void()>& task) override {
    return input.read(to, count, task);
  }
  void results(std::uint64_t first, std::uint64_t count, std::uint64_t& done, comm::Unpacker& from) override {
    for (; done < count; ++done) {
      if constexpr (std::is_void_v<R>) {
        delivery.put(first + done, Value{});
      } else {
        delivery.put(first + done, unpack_sized<Value>(from));
      }
    }
  }
  void error(TaskError error) override {
    const std::uint64_t index = error.index;
    delivery.put(index, std::move(error));
  }
  void finished() override { is_finished = true; }
  /// What stands behind a task that is missing cannot be given in its place: the exception has it.
  void stopped(const StoppedAt& at) override {
    is_finished = true;
    std::vector<std::optional<Value>> behind;
    std::vector<TaskError> errors;
    for (auto& [task, outcome] : delivery.take_behind_gap()) {
      if (!outcome) {
        errors.push_back(outcome.error());
        continue;
      }
      behind.resize(task + 1);
      behind[task].emplace(std::move(outcome.value()));
    }
    if (!input.error) input.error = std::make_exception_ptr(Stopped{at, std::move(behind), std::move(errors)});
  }
  void cancelled() override {
    is_finished = true;
    input.error = std::make_exception_ptr(terminated());
  }

  Input<Range, A> input;
  farm::Delivery<Outcome<Value>> delivery;
  bool is_finished = false;
};

}  // namespace detail
}  // namespace echelon::pool
