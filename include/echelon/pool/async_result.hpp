#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <variant>
#include <vector>

#include <echelon/base/deadline.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/task_type.hpp>

namespace echelon::pool {

namespace detail {

[[nodiscard]] inline std::runtime_error terminated() {
  return std::runtime_error("the pool was terminated before this task ended");
}

/// What an AsyncResult and the job that fills it share.
template <typename T>
struct Promise {
  std::weak_ptr<Crew> crew;
  std::optional<Kept<T>> value;
  std::exception_ptr error;
  std::vector<std::function<void(const Kept<T>&)>> on_result;
  std::vector<std::function<void(std::exception_ptr)>> on_error;

  bool had_callbacks = false;

  [[nodiscard]] bool is_ready() const noexcept { return value.has_value() || error != nullptr; }

  static void cancel(const std::shared_ptr<Promise>& self) {
    self->error = std::make_exception_ptr(terminated());
    tell(self);
  }

  /// Tells those that wait; with the crew's lock held, so that callbacks run a little later.
  static void tell(const std::shared_ptr<Promise>& self) {
    const auto crew = self->crew.lock();
    if (!crew) return;
    for (auto& callback : std::exchange(self->on_result, {})) {
      if (self->value) crew->defer([self, callback] { callback(*self->value); });
    }
    for (auto& callback : std::exchange(self->on_error, {})) {
      if (self->error) crew->defer([self, callback] { callback(self->error); });
    }
  }
};

}  // namespace detail

/// A result that comes later. Copies stand for the same one.
template <typename T>
class AsyncResult {
 public:
  /// Waits for the result; throws TaskError where the task failed, WorkersLost where nobody is left to run it. May be
  /// called again. std::move(result).get() gives the value without a copy, once.
  decltype(auto) get() const& {
    wait();
    rethrow();
    if constexpr (!std::is_void_v<T>) return detail::Kept<T>(*promise_->value);
  }
  decltype(auto) get() && {
    wait();
    rethrow();
    if (const auto last = promise_->crew.lock(); promise_->had_callbacks && last && !last->is_over()) {
      last->finish_callbacks();  // they look at the value
    }
    if constexpr (!std::is_void_v<T>) return detail::Kept<T>(std::move(*promise_->value));
  }
  /// The same, but throws TimeoutError where the result does not come in time; the task goes on.
  template <typename Rep, typename Period>
  decltype(auto) get(std::chrono::duration<Rep, Period> limit) const& {
    if (!wait_for(limit)) throw TimeoutError("no result within the time that was given for it");
    return get();
  }

  /// Returns when the result is there, good or bad.
  void wait() const { (void)wait_until(std::nullopt); }
  /// The same; false after `limit`.
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> limit) const {
    return wait_until(base::deadline(limit));
  }
  /// Looks for it once.
  [[nodiscard]] bool ready() const { return wait_until(detail::Clock::time_point::min()); }
  /// Whether the task ended well; throws std::logic_error before it has ended.
  [[nodiscard]] bool successful() const {
    if (!ready()) throw std::logic_error("successful() was called before the result was ready");
    return promise_->error == nullptr;
  }

  /// Calls back with the result, or with what get() would throw: once, by whoever keeps the pool going at that moment,
  /// the caller's thread while it is in a pool's function and the pool's own while it is not. What a callback throws,
  /// Pool::join() throws. At once where the result is there already.
  AsyncResult& then(std::function<void(const detail::Kept<T>&)> callback) {
    attach([&](auto& promise) { promise.on_result.push_back(std::move(callback)); });
    return *this;
  }
  AsyncResult& on_error(std::function<void(std::exception_ptr)> callback) {
    attach([&](auto& promise) { promise.on_error.push_back(std::move(callback)); });
    return *this;
  }

  explicit AsyncResult(std::shared_ptr<detail::Promise<T>> promise) : promise_{std::move(promise)} {}

 private:
  [[nodiscard]] std::shared_ptr<detail::Crew> crew() const {
    auto crew = promise_->crew.lock();
    if (!crew) throw std::logic_error("the session of this result has ended");
    return crew;
  }
  [[nodiscard]] bool wait_until(std::optional<detail::Clock::time_point> limit) const {
    const auto last = promise_->crew.lock();
    if ((!last || last->is_over()) && promise_->is_ready()) return true;
    return crew()->wait([&] { return promise_->is_ready(); }, limit);
  }
  void rethrow() const {
    if (promise_->error) std::rethrow_exception(promise_->error);
  }
  template <typename F>
  void attach(F add) {
    crew()->locked([&] {
      add(*promise_);
      promise_->had_callbacks = true;
      if (promise_->is_ready()) detail::Promise<T>::tell(promise_);
    });
  }

  std::shared_ptr<detail::Promise<T>> promise_;
};

}  // namespace echelon::pool
