#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include <echelon/comm/packing.hpp>
#include <echelon/comm/session.hpp>

namespace echelon::comm {

/// What a rank asks of another that does not share its memory, and that may be computing: a thread of Echelon's own
/// answers there, where the session spans several nodes. It sleeps for up to 2 ms while nobody asks, and takes about
/// 1 % of a core. In a program of one's own that started MPI without MPI_THREAD_MULTIPLE there is no such thread, and
/// requests are answered when that rank waits inside Echelon or calls Session::progress().
///
/// One a session: shared objects register, in the same order on all ranks.
class Requests {
 public:
  /// Collective when it is called first.
  static Requests& of(const Session& session);

  explicit Requests(const Session& session);
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  /// True: the answer is packed. False: not yet; it is called again with the same request, and the last time, where the
  /// asker waits no longer, with `last`. What it throws is thrown to who asked: RankLost, std::logic_error and
  /// base::UsageError as such, else a std::runtime_error. On any thread, with lock() held.
  using Handler = std::function<bool(int from, Unpacker request, Packer& answer, bool last)>;
  using Until = std::optional<std::chrono::steady_clock::time_point>;
  struct Call {
    std::uint64_t token = 0;  // 0: none
    int to = 0;
  };

  /// An object of this rank as the others know it.
  class Object {
   public:
    /// Collective.
    Object(const Session& session, Handler handler);
    /// Nothing is answered any more. Where others may still ask, retire() comes first.
    ~Object();
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;

    /// This rank has no more to ask. `owner`, of which this is a part, is destroyed when that is so of all ranks, or
    /// with the session. All ranks retire in the same order, and none waits for another.
    void retire(std::shared_ptr<void> owner);

    /// A message to be filled with what is asked.
    [[nodiscard]] Packer request() const;
    /// Asks another rank, and waits for the answer; nothing where it took longer, and is not to come any more.
    [[nodiscard]] std::optional<Bytes> ask(int to, Packer& request, Until until = std::nullopt);

    /// For who waits for something else: answers what others ask of this rank, as its thread would, but at once.
    void help();

    // ---- for who does something else meanwhile; with lock() held ----

    /// `answered` is called on any thread, with the lock held, when answer() would return it.
    Call send(int to, Packer& request, std::function<void()> answered = {});
    [[nodiscard]] std::optional<Bytes> answer(Call call);
    void forget(Call call);
    /// Lets the others' messages in, and returns; to be called in turn with a pause, while something is waited for.
    void poll();
    [[nodiscard]] std::unique_lock<std::mutex> lock();

   private:
    Requests& requests_;
    std::uint32_t id_;
    bool retired_ = false;
  };

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace echelon::comm
