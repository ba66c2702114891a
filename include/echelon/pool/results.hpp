#pragma once

#include <chrono>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include <echelon/base/deadline.hpp>
#include <echelon/pool/crew.hpp>
#include <echelon/pool/error.hpp>
#include <echelon/pool/jobs.hpp>

namespace echelon::pool {

namespace detail {

/// What Results does, whatever its types.
template <typename Value>
class Stream {
 public:
  Stream() = default;
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  /// The next outcome; nothing at the end, or where the limit was over first, which sets `late`.
  virtual std::optional<Outcome<Value>> next(std::optional<Clock::time_point> limit, bool& late) = 0;
};

template <typename Range, typename A, typename R>
class ImapStream : public Stream<Kept<R>> {
 public:
  ImapStream(std::shared_ptr<Crew> crew, std::shared_ptr<ImapJob<Range, A, R>> job)
      : crew_{std::move(crew)}, job_{std::move(job)}, id_{crew_->submit(job_)} {}
  ~ImapStream() override {
    try {
      crew_->cancel(id_);
    } catch (...) {  // the crew is broken, and says so elsewhere
    }
  }
  ImapStream(const ImapStream&) = delete;
  ImapStream& operator=(const ImapStream&) = delete;

  [[nodiscard]] farm::JobId id() const noexcept { return id_; }

  std::optional<Outcome<Kept<R>>> next(std::optional<Clock::time_point> limit, bool& late) override {
    std::optional<Outcome<Kept<R>>> taken;
    const auto take = [&] {
      taken = job_->delivery.take();
      return taken.has_value() || job_->is_finished;
    };
    late = !crew_->wait(take, limit, id_);
    if (!taken && !late && job_->input.error) std::rethrow_exception(std::exchange(job_->input.error, nullptr));
    return taken;
  }

 private:
  std::shared_ptr<Crew> crew_;
  std::shared_ptr<ImapJob<Range, A, R>> job_;
  farm::JobId id_;
};

}  // namespace detail

/// The results of imap() and imap_unordered(), which come while one takes them. Leaving early cancels what has not
/// begun. A failed task is thrown as a TaskError where its result would stand, and one can go on after it:
///
///     for (auto at = results.begin(); at != results.end(); ++at) { try { use(*at); } catch (const TaskError& e) {...}
///     }
template <typename R>
class Results {
 public:
  using Value = detail::Kept<R>;

  class iterator {
   public:
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() = default;
    /// Throws TaskError where the task failed.
    Value& operator*() const { return results_->current_->value(); }
    iterator& operator++() {
      results_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) { return at.is_at_end(); }

   private:
    friend class Results;
    [[nodiscard]] bool is_at_end() const { return !results_->current_; }
    explicit iterator(Results* results) : results_{results} {}
    Results* results_ = nullptr;
  };

  explicit Results(std::unique_ptr<detail::Stream<Value>> stream) : stream_{std::move(stream)} {}

  /// Waits for the first result.
  [[nodiscard]] iterator begin() {
    if (!begun_) advance();
    return iterator{this};
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  /// The next value; nothing at the end. Throws TaskError for a failed task, and what the input threw at its end.
  [[nodiscard]] std::optional<Value> next() {
    bool late = false;
    return value_of(stream_->next(std::nullopt, late));
  }
  /// The same; throws TimeoutError where it does not come in time.
  template <typename Rep, typename Period>
  [[nodiscard]] std::optional<Value> next_for(std::chrono::duration<Rep, Period> limit) {
    bool late = false;
    auto outcome = stream_->next(base::deadline(limit), late);
    if (late) throw TimeoutError("no result within the time that was given for it");
    return value_of(std::move(outcome));
  }
  /// The next one, good or bad; nothing at the end.
  [[nodiscard]] std::optional<Outcome<Value>> next_outcome() {
    bool late = false;
    return stream_->next(std::nullopt, late);
  }

 private:
  void advance() {
    begun_ = true;
    bool late = false;
    current_.reset();
    current_ = stream_->next(std::nullopt, late);
  }
  static std::optional<Value> value_of(std::optional<Outcome<Value>> outcome) {
    if (!outcome) return std::nullopt;
    return std::move(outcome->value());
  }

  std::unique_ptr<detail::Stream<Value>> stream_;
  std::optional<Outcome<Value>> current_;
  bool begun_ = false;
};

}  // namespace echelon::pool
