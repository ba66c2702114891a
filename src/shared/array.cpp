#include <algorithm>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include <echelon/base/error.hpp>
#include <echelon/comm/collective.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>
#include <echelon/comm/requests.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/shared/array.hpp>

namespace echelon::shared::detail {

std::vector<std::uint64_t> block_starts(const comm::Session& session, std::uint64_t size, std::uint64_t element_bytes) {
  const comm::Collective call{session, comm::Call::array};
  const std::vector<std::uint64_t> sizes = comm::all_gather(session, size);
  if (std::ranges::count(sizes, size) != static_cast<std::ptrdiff_t>(sizes.size())) {
    throw base::UsageError("the ranks do not agree on the size of an array");
  }
  constexpr std::uint64_t most_bytes = std::uint64_t{1} << 48;  // what processors address
  if (size > most_bytes / element_bytes) {
    throw base::UsageError("an array of " + std::to_string(size) + " elements of " + std::to_string(element_bytes) +
                           " bytes is beyond any memory");
  }
  const auto ranks = static_cast<std::uint64_t>(session.size());
  std::vector<std::uint64_t> starts;
  for (std::uint64_t rank = 0; rank <= ranks; ++rank) starts.push_back(block_start(size, ranks, rank) * element_bytes);
  return starts;
}

void check_range(std::uint64_t first, std::uint64_t count, std::uint64_t size) {
  if (first <= size && count <= size - first) return;
  throw std::out_of_range("elements " + std::to_string(first) + " to " + std::to_string(first + count) +
                          " of an array of " + std::to_string(size));
}

namespace {

/// What is asked of the leader of another node.
struct Part {
  enum class Kind : std::uint64_t { get, put };
  Kind kind;
  std::uint64_t rank;
  std::uint64_t at;  // bytes
  std::uint64_t bytes;
};
/// More goes in several requests: a message takes as much memory again at both ends.
constexpr std::uint64_t most_bytes_a_request = 8 << 20;

}  // namespace

struct Blocks::Impl {
  Impl(const comm::Session& of, std::vector<std::uint64_t> with)
      : session{of},
        nodes{comm::Nodes::of(session)},
        starts{std::move(with)},
        offsets(static_cast<std::size_t>(session.size()) + 1),
        memory{session, lay_out()} {
    if (!nodes.is_one()) {
      object.emplace(session, [this](int /*from*/, comm::Unpacker request, comm::Packer& answer, bool /*last*/) {
        const auto part = request.get<Part>();
        std::byte* at = block(part.rank) + part.at;
        if (part.kind == Part::Kind::get) {
          answer.bytes(at, part.bytes);
        } else {
          std::memcpy(at, request.bytes(part.bytes).data(), part.bytes);
        }
        return true;
      });
    }
    session.barrier();
  }

  /// Where the blocks of this node's ranks are in its memory, each from the edge of a page: a page lies near the rank
  /// that writes to it first.
  std::uint64_t lay_out() {
    constexpr std::uint64_t page = 4096;
    std::uint64_t end = 0;
    for (std::size_t rank = 0; rank + 1 < starts.size(); ++rank) {
      offsets[rank] = end;
      if (nodes.is_here(static_cast<int>(rank))) end += (starts[rank + 1] - starts[rank] + page - 1) / page * page;
    }
    return end;
  }

  /// Calls `each(rank, first byte of its block, part)` for the parts that lie with one rank each.
  template <typename Bytes, typename Each>
  void by_rank(std::uint64_t first, Bytes bytes, Each each) const {
    while (!bytes.empty()) {
      const auto next = std::ranges::upper_bound(starts, first);
      const auto rank = static_cast<std::size_t>(next - starts.begin()) - 1;
      auto count = std::min<std::uint64_t>(bytes.size(), *next - first);
      if (!nodes.is_here(static_cast<int>(rank))) count = std::min(count, most_bytes_a_request);
      each(rank, first - starts[rank], bytes.first(count));
      first += count;
      bytes = bytes.subspan(count);
    }
  }
  [[nodiscard]] std::byte* block(std::size_t rank) const { return memory.data() + offsets[rank]; }

  const comm::Session& session;
  comm::Nodes& nodes;
  const std::vector<std::uint64_t> starts;
  std::vector<std::uint64_t> offsets;
  comm::SharedMemory memory;
  std::optional<comm::Requests::Object> object;
};

Blocks::Blocks(const comm::Session& session, std::vector<std::uint64_t> starts) {
  const comm::Collective call{session, comm::Call::array};
  comm::Roster::of(session);
  impl_ = std::make_unique<Impl>(session, std::move(starts));
}

Blocks::~Blocks() {
  if (impl_ && impl_->object) impl_->object->retire(std::move(impl_));
}

std::byte* Blocks::local() const noexcept { return impl_->block(static_cast<std::size_t>(impl_->session.rank())); }

void Blocks::get(std::uint64_t first, std::span<std::byte> to) {
  impl_->by_rank(first, to, [&](std::size_t rank, std::uint64_t at, std::span<std::byte> part) {
    if (impl_->nodes.is_here(static_cast<int>(rank))) {
      std::memcpy(part.data(), impl_->block(rank) + at, part.size());
      return;
    }
    comm::Packer request = impl_->object->request();
    request.put(Part{Part::Kind::get, rank, at, part.size()});
    const auto answer = impl_->object->ask(impl_->nodes.leader(static_cast<int>(rank)), request);
    std::memcpy(part.data(), answer->data(), part.size());
  });
}

void Blocks::put(std::uint64_t first, std::span<const std::byte> from) {
  impl_->by_rank(first, from, [&](std::size_t rank, std::uint64_t at, std::span<const std::byte> part) {
    if (impl_->nodes.is_here(static_cast<int>(rank))) {
      std::memcpy(impl_->block(rank) + at, part.data(), part.size());
      return;
    }
    comm::Packer request = impl_->object->request();
    request.put(Part{Part::Kind::put, rank, at, part.size()});
    request.bytes(part.data(), part.size());
    (void)impl_->object->ask(impl_->nodes.leader(static_cast<int>(rank)), request);
  });
}

}  // namespace echelon::shared::detail
