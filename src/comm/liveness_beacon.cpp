#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include <poll.h>
#include <unistd.h>

#include <echelon/base/error.hpp>
#include <echelon/comm/liveness.hpp>

#include "crash_report.hpp"
#include "liveness_channel.hpp"

namespace echelon::comm {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How long the end of a connection is waited for, after a goodbye.
constexpr milliseconds longest_farewell{500};
constexpr milliseconds pause_between_rounds{50};

/// Until there is one of `events`, or trouble, which the next call of the system will tell; false at the end.
bool wait_for(int fd, short events, Clock::time_point end) {
  for (;;) {
    pollfd one{fd, events, 0};
    const Clock::duration left = end - Clock::now();
    if (left <= Clock::duration::zero()) return false;
    if (poll(&one, 1, poll_timeout(left)) > 0) return true;
  }
}

struct MasterPlace {
  LivenessInvitation::Address address{};
  std::string failure;
};

std::vector<MasterPlace> places_of(const LivenessInvitation& invitation) {
  std::vector<MasterPlace> places;
  if (loopback_name().substr(0, invitation.host.size() - 1) == invitation.host.data())
    places.push_back({loopback(), ""});
  for (std::size_t i = 0; i < invitation.address_count; ++i) places.push_back({invitation.addresses.at(i), ""});
  return places;
}

/// Nothing where this is not the master, or it does not answer in time; `place.failure` says why.
std::optional<Channel> meet(int rank, const LivenessInvitation& invitation, MasterPlace& place, Clock::time_point end) {
  const auto fail = [&](const char* why) {
    place.failure = why;
    return std::nullopt;
  };
  Descriptor socket = start_connecting(place.address, static_cast<std::uint16_t>(invitation.port));
  if (!socket.is_open()) return fail(std::strerror(errno));
  if (!wait_for(socket.get(), POLLOUT, end)) return fail("no answer");
  if (const int error = connect_error(socket); error != 0) return fail(std::strerror(error));

  Channel channel{std::move(socket)};
  (void)channel.send({.kind = Frame::Kind::hello, .rank = rank, .content = invitation.shown_by_worker});
  std::optional<Frame> answer;
  while (!answer) {
    if (!wait_for(channel.fd(), POLLIN, end)) return fail("it connects, but does not answer");
    // One frame: the master says no more before it has heard that this rank is ready.
    const bool is_open = channel.receive([&](const Frame& frame) { return !std::exchange(answer, frame); });
    if (!is_open) return fail("it connects, but refuses this rank or is another program");
  }
  if (answer->kind != Frame::Kind::welcome || !same_secret(answer->content, invitation.shown_by_master)) {
    return fail("another program answers there");
  }
  (void)channel.send({.kind = Frame::Kind::ready});
  return channel;
}

/// Tries one address after the other, first for a short time each, then for longer.
Channel find_master(int rank, const LivenessInvitation& invitation, milliseconds limit) {
  std::vector<MasterPlace> places = places_of(invitation);
  const Clock::time_point end = Clock::now() + limit;
  const auto count = static_cast<int>(std::max<std::size_t>(places.size(), 1));
  for (Clock::duration a_place =
           std::clamp<Clock::duration>(limit / (2 * count), milliseconds{10}, std::chrono::seconds{1});
       ; a_place *= 2) {
    for (MasterPlace& place : places) {
      const Clock::time_point now = Clock::now();
      if (now >= end) break;
      if (auto channel = meet(rank, invitation, place, std::min(now + a_place, end))) return std::move(*channel);
    }
    const Clock::duration left = end - Clock::now();
    if (places.empty() || left <= Clock::duration::zero()) break;
    poll(nullptr, 0, poll_timeout(std::min<Clock::duration>(left, pause_between_rounds)));
  }
  std::string text =
      "rank " + std::to_string(rank) + " cannot reach the master, port " + std::to_string(invitation.port) + ":";
  if (places.empty()) text += " its host has no address";
  for (const MasterPlace& place : places) {
    text += (&place == places.data() ? " " : "; ") + to_string(place.address) + ": " + place.failure;
  }
  throw std::runtime_error(text);
}

}  // namespace

struct LivenessBeacon::Impl {
  Impl(Channel to_master, LivenessOptions with, Handlers handled_by)
      : options{with}, handlers{std::move(handled_by)}, channel{std::move(to_master)}, clock{longest_gap(with)} {
    thread = start_thread(
        "echelon-beacon", [](void* impl) { static_cast<Impl*>(impl)->run(); }, this);
  }

  ~Impl() {
    report_crashes_to(-1);
    stopping = true;
    wakeup.signal();
    thread.join();
    if (goodbye_is_said) part();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  const LivenessOptions options;
  const Handlers handlers;
  Wakeup wakeup;
  std::atomic<bool> stopping = false;
  std::atomic<bool> goodbye_is_said = false;
  std::mutex sending;  // of what the channel sends; goodbye() does so on the caller's thread
  Channel channel;
  RunningClock clock;
  RunningClock::Duration last_heard{0};
  bool master_has_left = false;

  std::thread thread;  // the last, as it uses all the others

  bool send(const Frame& frame) {
    const std::lock_guard lock{sending};
    return channel.send(frame);
  }

  /// False: some is left.
  bool send_all() {
    const std::lock_guard lock{sending};
    channel.flush();
    return !channel.has_unsent();
  }

  void run() {
    while (!stopping) {
      const bool is_all_sent = send_all();
      std::array<pollfd, 2> sources{
          {{channel.fd(), static_cast<short>(is_all_sent ? POLLIN : POLLIN | POLLOUT), 0}, {wakeup.fd(), POLLIN, 0}}};
      // The master's heartbeats come more often than this ends.
      poll(sources.data(), sources.size(), poll_timeout(longest_gap(options)));
      clock.look();
      if (stopping) return;
      if (sources[1].revents != 0) wakeup.clear();
      bool is_told_to_end = false;
      const bool is_open = channel.receive([&](const Frame& frame) {
        is_told_to_end = frame.kind == Frame::Kind::end;
        return !is_told_to_end && take(frame);
      });
      if (is_told_to_end) return leave(handlers.ended);
      const bool is_silent = clock.now() - last_heard > options.silence;
      if (is_open && (master_has_left || !is_silent)) continue;
      if (!master_has_left) return leave(handlers.master_lost);
      channel.shut_down();
      return;
    }
  }

  bool take(const Frame& frame) {
    last_heard = clock.now();
    switch (frame.kind) {
      case Frame::Kind::heartbeat: return send({.kind = Frame::Kind::heartbeat});
      case Frame::Kind::request: {
        const std::uint64_t value = frame.content[0];
        const std::uint64_t answer = handlers.answer ? handlers.answer(value) : 0;
        return send({.kind = Frame::Kind::answer, .content = {value, answer}});
      }
      case Frame::Kind::word:
        if (handlers.told) handlers.told(frame.content[0]);
        return true;
      case Frame::Kind::goodbye: master_has_left = true; return true;
      default: return false;
    }
  }

  static void leave(const std::function<void()>& handler) {
    if (!handler) _exit(static_cast<int>(base::ExitCode::broken));
    handler();
  }

  /// The master reads the goodbye and closes. To close first, with something unread, could take the goodbye back.
  void part() {
    const Clock::time_point end = Clock::now() + longest_farewell;
    while (!send_all() && wait_for(channel.fd(), POLLOUT, end)) {
    }
    channel.finish_sending();
    while (wait_for(channel.fd(), POLLIN, end) && channel.receive([](const Frame&) { return true; })) {
    }
  }
};

LivenessBeacon::LivenessBeacon(int rank, const LivenessInvitation& invitation, LivenessOptions options,
                               Handlers handlers, milliseconds limit)
    : impl_{std::make_unique<Impl>(find_master(rank, invitation, limit), options, std::move(handlers))} {}

LivenessBeacon::~LivenessBeacon() = default;

void LivenessBeacon::tell(std::uint64_t word) {
  (void)impl_->send({.kind = Frame::Kind::word, .content = {word, 0}});
  impl_->wakeup.signal();  // for the thread to send what could not be sent yet
}

void LivenessBeacon::goodbye() {
  impl_->goodbye_is_said = true;
  (void)impl_->send({.kind = Frame::Kind::goodbye});
  impl_->wakeup.signal();  // for the thread to send what could not be sent yet
}

void LivenessBeacon::report_crashes() noexcept { report_crashes_to(impl_->channel.fd()); }

void LivenessBeacon::give_up(std::uint64_t code) {
  impl_->goodbye_is_said = true;  // and this takes its place
  (void)impl_->send({.kind = Frame::Kind::gave_up, .content = {code, 0}});
  impl_->wakeup.signal();
}

}  // namespace echelon::comm
