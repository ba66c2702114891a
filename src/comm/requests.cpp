#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <echelon/base/error.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/mailbox.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>

#include "session_impl.hpp"
#include "socket.hpp"

namespace echelon::comm {
namespace {

enum class Kind : std::uint8_t { request, cancel, answer };
/// What an answer is.
enum class Result : std::uint8_t { done, cancelled, rank_lost, logic_error, usage_error, error };

struct Head {
  Kind kind;
  Result result;
  std::uint32_t object;
  std::uint64_t token;
};

}  // namespace

struct Requests::Impl {
  struct Pending {
    int from;
    Head head;
    Bytes request;  // head included
  };
  struct Asked {
    int to;
    std::optional<Bytes> answer;  // head included
    std::function<void()> answered;
  };
  struct Retired {
    std::uint32_t object;
    std::shared_ptr<void> owner;
    std::array<std::int64_t, 2> mine{std::int64_t{object}, -std::int64_t{object}};
    std::array<std::int64_t, 2> most{};
    MPI_Request all_have = MPI_REQUEST_NULL;  // retired one, and `most` says which
  };

  explicit Impl(const Session& of)
      : session{of},
        roster{Roster::of(session)},
        nodes{Nodes::of(session)},
        mailbox{session},
        retirements{duplicate(session.impl())} {
    if (session.impl().concurrent) {
      thread = start_thread(
          "echelon-requests", [](void* impl) { static_cast<Impl*>(impl)->run(); }, this);
    } else {
      service = [this] {
        const std::lock_guard lock{mutex};
        return poll();
      };
      session.impl().services.push_back(&service);
    }
  }

  ~Impl() {
    // All ranks end their sessions, so all retire what is left: MPI must not end before that is known.
    try {
      for (Backoff backoff; !retired.empty() && !roster.has_losses(); backoff.pause()) {
        const std::lock_guard lock{mutex};
        poll();
      }
    } catch (const std::exception& e) {
      session.abort(base::ExitCode::broken, e.what());
    }
    for (const int rank : roster.lost()) session.lose(rank);  // whose communicators are not freed
    if (thread.joinable()) {
      stopping.store(true, std::memory_order_relaxed);
      thread.join();
    }
    std::erase(session.impl().services, &service);
    if (roster.has_losses()) new boost::mpi::communicator{retirements};  // to free it would wait for the lost ones
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// The thread: who waits inside Echelon polls as well, and faster.
  void run() {
    Backoff backoff{true};
    while (!stopping.load(std::memory_order_relaxed)) {
      bool any = false;
      if (const std::unique_lock lock{mutex, std::try_to_lock}; lock) {
        try {
          any = poll();
        } catch (const std::exception& e) {
          session.abort(base::ExitCode::broken, e.what());  // others may wait for this rank's answers for ever
        }
      }
      if (any) {
        backoff = {true};
      } else {
        backoff.pause();
      }
    }
  }

  // ---- with the mutex held ----

  bool poll() {
    bool any = false;
    while (auto message = mailbox.receive()) {
      any = true;
      take(*message);
    }
    any = any || mailbox.has_moved();
    free_retired();
    if (roster.has_losses()) forget_lost();
    for (std::size_t left = pending.size(); left > 0; --left) {
      Pending one = std::move(pending.front());
      pending.pop_front();
      if (try_to_answer(one, false)) {
        any = true;
      } else {
        pending.push_back(std::move(one));
      }
    }
    return any;
  }

  void take(Mailbox::Message& message) {
    Head head{};
    std::memcpy(&head, message.body.data(), sizeof head);
    switch (head.kind) {
      case Kind::request: {
        Pending one{message.from, head, message.take()};
        // Behind those that wait already.
        if (!pending.empty() || !try_to_answer(one, false)) pending.push_back(std::move(one));
        break;
      }
      case Kind::cancel: {
        const auto found = std::ranges::find_if(
            pending, [&](const Pending& one) { return one.from == message.from && one.head.token == head.token; });
        if (found == pending.end()) return;  // the answer is on its way
        Pending one = std::move(*found);
        pending.erase(found);
        if (!try_to_answer(one, true)) answer(one, Result::cancelled, {});
        break;
      }
      case Kind::answer: {
        const auto found = asked.find(head.token);
        if (found == asked.end()) return;
        found->second.answer = message.take();
        if (const auto answered = std::move(found->second.answered)) answered();
        break;
      }
    }
  }

  bool try_to_answer(const Pending& one, bool last) {
    const auto found = handlers.find(one.head.object);
    if (found == handlers.end()) {
      // Where its object is not there yet, this rank is still to make it.
      if (one.head.object >= next_object) return false;
      answer(one, Result::error, "what is asked is destroyed on rank " + std::to_string(session.rank()) + " already");
      return true;
    }
    scratch.clear();
    scratch.put(Head{Kind::answer, Result::done, one.head.object, one.head.token});
    Result result = Result::error;
    std::string what;
    int lost = -1;
    try {
      if (!found->second(one.from, Unpacker{std::span{one.request}.subspan(sizeof(Head))}, scratch, last)) return false;
      result = Result::done;
    } catch (const RankLost& e) {
      result = Result::rank_lost;
      lost = e.rank;
      what = e.what();
    } catch (const base::UsageError& e) {
      result = Result::usage_error;
      what = e.what();
    } catch (const std::logic_error& e) {
      result = Result::logic_error;
      what = e.what();
    } catch (const std::exception& e) {
      what = e.what();
    }
    if (result == Result::done) {
      mailbox.send(one.from, scratch);  // where this fails, what was taken for the answer is lost: so is this rank
    } else {
      answer(one, result, what, lost);
    }
    return true;
  }

  void answer(const Pending& one, Result result, const std::string& what, int lost = -1) {
    scratch.clear();
    scratch.put(Head{Kind::answer, result, one.head.object, one.head.token});
    scratch.put(lost);
    scratch.put(what);
    mailbox.send(one.from, scratch);
  }

  /// In order, as all ranks retire their objects in the same.
  void free_retired() {
    while (!retired.empty()) {
      int done = 0;
      Retired& first = retired.front();
      check(MPI_Test(&first.all_have, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done == 0) return;
      handlers.erase(first.object);
      // Where ranks have not the same order, who asks is told; that memory is not taken from them either.
      if (first.most != first.mine) kept_on.push_back(std::move(first.owner));
      retired.pop_front();
    }
  }

  void forget_lost() {
    if (roster.lost().size() == forgotten) return;
    const std::vector<int> lost = roster.lost();
    forgotten = lost.size();
    for (const int rank : lost) {
      mailbox.forget(rank);
      std::erase_if(pending, [&](const Pending& one) { return one.from == rank; });
    }
  }

  Call send(int to, Packer& request, std::uint32_t object, std::function<void()> answered) {
    if (to == session.rank()) throw std::logic_error{"a rank does not ask itself"};
    if (roster.is_lost(to)) throw roster.error(to, "it kept what this rank wants");
    const std::uint64_t token = ++last_token;
    request.patch(0, Head{Kind::request, Result::done, object, token});
    mailbox.send(to, request);
    asked.emplace(token, Asked{to, std::nullopt, std::move(answered)});
    return {token, to};
  }

  std::optional<Bytes> take_answer(Call call) {
    const auto found = asked.find(call.token);
    if (!found->second.answer) {
      if (!roster.has_losses()) return std::nullopt;
      for (const int rank : {call.to, 0}) {
        if (!roster.is_lost(rank)) continue;
        asked.erase(found);
        throw roster.error(rank, rank == call.to ? "it kept what this rank waits for" : "the run ends with it");
      }
      return std::nullopt;
    }
    const Bytes bytes = std::move(*found->second.answer);
    asked.erase(found);
    Unpacker from{bytes};
    const Head head = from.get<Head>();
    if (head.result == Result::done) {
      const auto rest = from.rest();
      return Bytes(rest.begin(), rest.end());
    }
    const int lost = from.get<int>();
    const std::string what = from.get<std::string>();
    switch (head.result) {
      case Result::done:
      case Result::cancelled: break;
      case Result::rank_lost: throw RankLost{lost, what};
      case Result::logic_error: throw std::logic_error{what};
      case Result::usage_error: throw base::UsageError{what};
      case Result::error: throw std::runtime_error{what};
    }
    throw Cancelled{};
  }

  struct Cancelled {};

  const Session& session;
  Roster& roster;
  Nodes& nodes;
  Mailbox mailbox;
  std::mutex mutex;  // of all that follows, and of the mailbox
  std::map<std::uint32_t, Handler> handlers;
  std::uint32_t next_object = 0;
  std::deque<Pending> pending;
  std::map<std::uint64_t, Asked> asked;
  std::uint64_t last_token = 0;
  boost::mpi::communicator retirements;
  std::deque<Retired> retired;  // its elements stay where they are: MPI writes to them
  std::vector<std::shared_ptr<void>> kept_on;
  std::size_t forgotten = 0;
  Packer scratch;
  Service service;
  std::atomic<bool> stopping = false;
  std::thread thread;
};

Requests& Requests::of(const Session& session) {
  Roster::of(session);  // first, so that it goes after this one when the session ends
  auto& kept = session.kept(typeid(Requests));
  if (!kept) kept = std::make_shared<Requests>(session);
  return *static_cast<Requests*>(kept.get());
}

Requests::Requests(const Session& session) : impl_{std::make_unique<Impl>(session)} {}

Requests::~Requests() = default;

Requests::Object::Object(const Session& session, Handler handler) : requests_{Requests::of(session)} {
  Impl& impl = *requests_.impl_;
  const std::lock_guard lock{impl.mutex};
  id_ = impl.next_object++;
  impl.handlers.emplace(id_, std::move(handler));
}

Requests::Object::~Object() {
  if (retired_) return;  // with the lock held
  const std::lock_guard lock{requests_.impl_->mutex};
  requests_.impl_->handlers.erase(id_);
}

void Requests::Object::retire(std::shared_ptr<void> owner) {
  Impl& impl = *requests_.impl_;
  const std::lock_guard lock{impl.mutex};
  retired_ = true;
  auto& one = impl.retired.emplace_back(Impl::Retired{.object = id_, .owner = std::move(owner)});
  check(MPI_Iallreduce(one.mine.data(), one.most.data(), static_cast<int>(one.mine.size()), MPI_INT64_T, MPI_MAX,
                       impl.retirements, &one.all_have),
        "MPI_Iallreduce");
}

Packer Requests::Object::request() const {
  Packer packer;
  packer.put(Head{});
  return packer;
}

std::optional<Bytes> Requests::Object::ask(int to, Packer& request, Until until) {
  Impl& impl = *requests_.impl_;
  Call call;
  {
    const std::lock_guard mine{impl.mutex};
    call = impl.send(to, request, id_, {});
  }
  Backoff backoff{impl.nodes.is_crowded()};
  for (bool is_cancelled = false;;) {
    {
      const std::lock_guard mine{impl.mutex};
      if (impl.poll()) backoff = {impl.nodes.is_crowded()};
      try {
        if (auto bytes = impl.take_answer(call)) return bytes;
      } catch (const Impl::Cancelled&) {
        return std::nullopt;
      }
      if (!is_cancelled && until && std::chrono::steady_clock::now() >= *until) {
        is_cancelled = true;
        impl.scratch.clear();
        impl.scratch.put(Head{Kind::cancel, Result::done, id_, call.token});
        impl.mailbox.send(to, impl.scratch);
      }
    }
    backoff.pause();
  }
}

void Requests::Object::help() {
  if (const std::unique_lock lock{requests_.impl_->mutex, std::try_to_lock}; lock) requests_.impl_->poll();
}

Requests::Call Requests::Object::send(int to, Packer& request, std::function<void()> answered) {
  return requests_.impl_->send(to, request, id_, std::move(answered));
}

std::optional<Bytes> Requests::Object::answer(Call call) { return requests_.impl_->take_answer(call); }

void Requests::Object::forget(Call call) { requests_.impl_->asked.erase(call.token); }

void Requests::Object::poll() { requests_.impl_->poll(); }

std::unique_lock<std::mutex> Requests::Object::lock() { return std::unique_lock{requests_.impl_->mutex}; }

}  // namespace echelon::comm
