#include "output_view.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "files.hpp"

namespace echelon::map {
namespace {

/// What gathers while nothing is copied is copied at once.
constexpr std::chrono::milliseconds gather_time{10};

}  // namespace

OutputView::OutputView(int store, Target target, bool gives_room)
    : store_{store},
      target_{std::move(target)},
      gives_room_{gives_room},
      end_{target_.begin},
      thread_{start_without_signals([this] { run(); })} {}

OutputView::~OutputView() {
  {
    const std::lock_guard guard{mutex_};
    stop_ = true;
  }
  work_.notify_one();
  thread_.join();
}

void OutputView::add(const farm::journal::Piece& piece) {
  bool wake = false;
  {
    const std::lock_guard guard{mutex_};
    if (!failure_.empty()) throw std::runtime_error(failure_);
    if (piece.size == 0) return;
    // One copy for those that stand behind each other.
    if (!queue_.empty() && queue_.back().end() == piece.offset) {
      queue_.back().size += piece.size;
    } else {
      queue_.push_back(piece);
    }
    wake = std::exchange(idle_, false);
  }
  if (wake) work_.notify_one();
}

std::uint64_t OutputView::drain() {
  std::unique_lock lock{mutex_};
  hurry_ = true;
  work_.notify_one();
  done_.wait(lock, [&] { return (queue_.empty() && !at_work_) || !failure_.empty(); });
  hurry_ = false;
  if (!failure_.empty()) throw std::runtime_error(failure_);
  return end_;
}

void OutputView::run() {
  // So that whoever ends the view need not wait for a piece of many GiB.
  constexpr std::uint64_t at_once = std::uint64_t{16} << 20U;
  std::unique_lock lock{mutex_};
  std::chrono::steady_clock::time_point last{};
  while (true) {
    if (queue_.empty()) {
      idle_ = true;
      work_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      idle_ = false;
      work_.wait_until(lock, last + gather_time, [&] { return stop_ || hurry_; });
    }
    if (stop_) return;
    last = std::chrono::steady_clock::now();
    farm::journal::Piece& front = queue_.front();
    const farm::journal::Piece piece{front.offset, std::min(front.size, at_once)};
    front.offset += piece.size;
    front.size -= piece.size;
    if (front.size == 0) queue_.pop_front();
    at_work_ = true;
    lock.unlock();
    std::string failure = show(piece);
    lock.lock();
    at_work_ = false;
    failure_ = std::move(failure);
    if (failure_.empty()) end_ += piece.size;
    if (queue_.empty() || !failure_.empty()) done_.notify_all();
    if (!failure_.empty()) return;
  }
}

std::string OutputView::show(const farm::journal::Piece& piece) {
  const std::uint64_t at = end_;
  const std::uint64_t count = map::copy(store_, &piece.offset, target_.file, &at, piece.size);
  if (count < piece.size) {
    return fmt::format("cannot write {}: {}", target_.name, errno == 0 ? "what tasks wrote is not there" : reason());
  }
  if (gives_room_) room_.give_back(store_, piece.offset, piece.size);
  return {};
}

}  // namespace echelon::map
