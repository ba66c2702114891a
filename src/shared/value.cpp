#include <echelon/comm/nodes.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/value.hpp>

namespace echelon::shared::detail {
namespace {

constexpr int home = 0;

}  // namespace

struct Cell::Impl {
  explicit Impl(const comm::Session& session)
      : memory{session, sizeof(std::uint64_t)}, nodes{comm::Nodes::of(session)} {}

  comm::SharedMemory memory;
  comm::Nodes& nodes;
};

Cell::Cell(const comm::Session& session, std::uint8_t bytes, std::uint64_t initial) {
  comm::Roster::of(session);
  impl_ = std::make_unique<Impl>(session);
  if (session.rank() == home) std::memcpy(impl_->memory.data(), &initial, bytes);
  session.barrier();
  if (impl_->nodes.is_here(home)) here_ = impl_->memory.data();
}

Cell::~Cell() = default;

std::uint64_t Cell::ask(Operation /*operation*/, std::uint64_t /*operand*/, std::uint64_t /*expected*/) { return 0; }

}  // namespace echelon::shared::detail
