#include <optional>

#include <echelon/comm/collective.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/value.hpp>

namespace echelon::shared::detail {
namespace {

constexpr int home = 0;

template <typename T>
T as(std::uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

/// Floating point is added to by its own type, all else is bits.
template <typename T>
std::uint64_t change(void* at, Cell::Operation operation, std::uint64_t operand, std::uint64_t expected) {
  using enum Cell::Operation;
  const std::atomic_ref<T> cell{*static_cast<T*>(at)};
  T before = as<T>(expected);
  switch (operation) {
    case load: before = cell.load(); break;
    case store: cell.store(as<T>(operand)); break;
    case exchange: before = cell.exchange(as<T>(operand)); break;
    case compare_exchange: cell.compare_exchange_strong(before, as<T>(operand)); break;
    case add_int:
    case add_float:
    case add_double: before = cell.fetch_add(as<T>(operand)); break;
  }
  std::uint64_t word = 0;
  std::memcpy(&word, &before, sizeof before);
  return word;
}

}  // namespace

struct Cell::Impl {
  Impl(const comm::Session& session, std::uint8_t with_bytes)
      : bytes{with_bytes}, nodes{comm::Nodes::of(session)}, memory{session, sizeof(std::uint64_t)} {}

  std::uint64_t change_here(Operation operation, std::uint64_t operand, std::uint64_t expected) const {
    void* at = memory.data();
    if (operation == Operation::add_float) return change<float>(at, operation, operand, expected);
    if (operation == Operation::add_double) return change<double>(at, operation, operand, expected);
    switch (bytes) {
      case 1: return change<std::uint8_t>(at, operation, operand, expected);
      case 2: return change<std::uint16_t>(at, operation, operand, expected);
      case 4: return change<std::uint32_t>(at, operation, operand, expected);
      default: return change<std::uint64_t>(at, operation, operand, expected);
    }
  }

  const std::uint8_t bytes;
  comm::Nodes& nodes;
  comm::SharedMemory memory;
  std::optional<comm::Requests::Object> object;
};

Cell::Cell(const comm::Session& session, std::uint8_t bytes, std::uint64_t initial) {
  const comm::Collective call{session, comm::Call::value};
  comm::Roster::of(session);
  impl_ = std::make_unique<Impl>(session, bytes);
  if (session.rank() == home) std::memcpy(impl_->memory.data(), &initial, bytes);
  if (impl_->nodes.is_here(home)) here_ = impl_->memory.data();
  if (!impl_->nodes.is_one()) {
    impl_->object.emplace(session,
                          [&its = *impl_](int /*from*/, comm::Unpacker request, comm::Packer& answer, bool /*last*/) {
                            const auto operation = request.get<Operation>();
                            const auto operand = request.get<std::uint64_t>();
                            answer.put(its.change_here(operation, operand, request.get<std::uint64_t>()));
                            return true;
                          });
  }
  session.barrier();
}

Cell::~Cell() {
  if (impl_ && impl_->object) impl_->object->retire(std::move(impl_));
}

std::uint64_t Cell::ask(Operation operation, std::uint64_t operand, std::uint64_t expected) {
  comm::Packer request = impl_->object->request();
  request.put(operation);
  request.put(operand);
  request.put(expected);
  const auto answer = impl_->object->ask(home, request);
  return comm::Unpacker{*answer}.get<std::uint64_t>();
}

}  // namespace echelon::shared::detail
