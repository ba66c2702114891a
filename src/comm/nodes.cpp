#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <echelon/comm/collectives.hpp>
#include <echelon/comm/nodes.hpp>

#include "session_impl.hpp"
#include "socket.hpp"

namespace echelon::comm {
namespace {

using Token = std::array<std::uint64_t, 2>;

/// How a rank's memory is found by others of its host: as a file that the process holds open, without a name anywhere,
/// so that nothing is left behind whoever is killed.
struct Handle {
  pid_t process = 0;
  int descriptor = -1;
};

struct Place {
  Handle store;
  Token token{};  // stands at its beginning: proves that it is this memory, and not that of a process elsewhere
  std::array<char, HOST_NAME_MAX + 1> host{};
  cpu_set_t cpus{};
};

Descriptor new_memory(const char* name) {
  Descriptor memory{memfd_create(name, MFD_CLOEXEC)};
  if (!memory.is_open()) throw_errno("memfd_create");
  return memory;
}

Descriptor open_memory(const Handle& handle) {
  const std::string path = "/proc/" + std::to_string(handle.process) + "/fd/" + std::to_string(handle.descriptor);
  return Descriptor{open(path.c_str(), O_RDWR | O_CLOEXEC)};
}

bool has_token(const Descriptor& memory, const Token& token) {
  Token found{};
  return memory.is_open() && pread(memory.get(), found.data(), sizeof found, 0) == ssize_t{sizeof found} &&
         found == token;
}

/// What this host could still give, as the kernel estimates it; 0 where it does not say.
std::uint64_t available_bytes() {
  std::ifstream file{"/proc/meminfo"};
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "MemAvailable:" && file >> kib) return kib * 1024;
  }
  return 0;
}

constexpr std::uint64_t page_bytes = 4096;

std::uint64_t whole_pages(std::uint64_t bytes) { return (bytes + page_bytes - 1) / page_bytes * page_bytes; }

}  // namespace

struct Nodes::Impl {
  std::vector<Place> places;
  Descriptor store;                             // this rank's
  std::atomic<std::uint64_t> end = page_bytes;  // of what was ever stored; what was taken is a hole
  std::vector<Descriptor> stores;               // of the others of this node
};

std::shared_ptr<Nodes> Nodes::shared(const Session& session) {
  auto& kept = session.kept(typeid(Nodes));
  if (!kept) {
    auto nodes = std::make_shared<Nodes>(session);
    session.impl().nodes = nodes.get();
    kept = nodes;
  }
  return std::static_pointer_cast<Nodes>(kept);
}

Nodes::Nodes(const Session& session) : self_{session.rank()}, impl_{std::make_unique<Impl>()} {
  const auto ranks = static_cast<std::size_t>(session.size());
  Place mine;
  impl_->store = new_memory("echelon-store");
  impl_->stores.resize(ranks);
  mine.store = {getpid(), impl_->store.get()};
  while (getrandom(mine.token.data(), sizeof mine.token, 0) != ssize_t{sizeof mine.token}) {
    if (errno != EINTR) throw_errno("getrandom");
  }
  if (pwrite(impl_->store.get(), mine.token.data(), sizeof mine.token, 0) != ssize_t{sizeof mine.token}) {
    throw_errno("writing to memory");
  }
  gethostname(mine.host.data(), mine.host.size() - 1);
  sched_getaffinity(0, sizeof mine.cpus, &mine.cpus);
  impl_->places = all_gather(session, mine);

  // The others' stores are opened now, while their processes are there: what a rank left behind can then be read, and
  // no other process is ever taken for one of them.
  const std::vector<int>& leaders = session.impl().traffic->leaders();
  bool works = true;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (leaders[rank] != leaders[static_cast<std::size_t>(self_)] || static_cast<int>(rank) == self_) continue;
    impl_->stores[rank] = open_memory(impl_->places[rank].store);
    works = works && has_token(impl_->stores[rank], impl_->places[rank].token);
  }
  const std::vector<std::uint8_t> all_work = all_gather(session, std::uint8_t{works});
  std::vector<bool> node_works(ranks, true);
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (all_work[rank] == 0) node_works[static_cast<std::size_t>(leaders[rank])] = false;
  }
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const int leader = leaders[rank];
    leaders_.push_back(node_works[static_cast<std::size_t>(leader)] ? leader : static_cast<int>(rank));
    hosts_.emplace_back(impl_->places[rank].host.data());
  }
  std::vector<int> different = leaders_;
  std::ranges::sort(different);
  count_ = static_cast<int>(std::unique(different.begin(), different.end()) - different.begin());

  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  int ranks_here = 0;
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    if (hosts_[rank] != hosts_[static_cast<std::size_t>(self_)]) continue;
    ++ranks_here;
    CPU_OR(&cpus, &cpus, &impl_->places[rank].cpus);
  }
  crowded_ = ranks_here > CPU_COUNT(&cpus);
}

Nodes::~Nodes() = default;

pid_t Nodes::process(int rank) const { return impl_->places[static_cast<std::size_t>(rank)].store.process; }

std::uint64_t Nodes::store(std::span<const std::byte> bytes) {
  const std::uint64_t where = impl_->end.fetch_add(whole_pages(bytes.size()));
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t written =
        pwrite(impl_->store.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(where + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw_errno("no memory for an item of " + std::to_string(bytes.size()) + " bytes");
    done += static_cast<std::size_t>(written);
  }
  return where;
}

void Nodes::take(int from, std::uint64_t where, std::span<std::byte> bytes) {
  const Descriptor& memory = from == self_ ? impl_->store : impl_->stores[static_cast<std::size_t>(from)];
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t read =
        pread(memory.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(where + done));
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) throw_errno("cannot read the memory of rank " + std::to_string(from));
    done += static_cast<std::size_t>(read);
  }
  // What fails to be given back now goes with its process.
  (void)fallocate(memory.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(where),
                  static_cast<off_t>(whole_pages(bytes.size())));
}

SharedMemory::SharedMemory(const Session& session, std::uint64_t bytes) : bytes_{std::max<std::uint64_t>(bytes, 1)} {
  Nodes& nodes = Nodes::of(session);
  const int self = session.rank();
  const int leader = nodes.leader(self);
  struct Made {
    Handle memory;
    int error = 0;
  };
  Made mine;
  Descriptor memory;
  if (leader == self) {
    memory = Descriptor{memfd_create("echelon-shared", MFD_CLOEXEC)};
    if (!memory.is_open() || ftruncate(memory.get(), static_cast<off_t>(bytes_)) != 0) mine.error = errno;
    // Pages are taken when they are written to, and a process is killed over one that is not there.
    if (const std::uint64_t available = available_bytes(); available > 0 && bytes_ > available) mine.error = ENOMEM;
    mine.memory = {getpid(), memory.get()};
  }
  const std::vector<Made> made = all_gather(session, mine);
  const Made& of_leader = made[static_cast<std::size_t>(leader)];
  int error = of_leader.error;
  if (leader != self && error == 0) {
    memory = open_memory(of_leader.memory);
    if (!memory.is_open()) error = errno;
  }
  void* mapped = MAP_FAILED;
  if (error == 0) {
    mapped = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
    if (mapped == MAP_FAILED) error = errno;
  }
  // The leader's descriptor stays until all have opened it, and all fail where one does.
  const std::vector<int> errors = all_gather(session, error);
  const auto failed = std::ranges::find_if(errors, [](int one) { return one != 0; });
  if (failed == errors.end()) {
    data_ = static_cast<std::byte*>(mapped);
    return;
  }
  if (mapped != MAP_FAILED) munmap(mapped, bytes_);
  const auto rank = static_cast<int>(failed - errors.begin());
  throw std::runtime_error("rank " + std::to_string(rank) + " on " + nodes.host(rank) + " cannot share " +
                           std::to_string(bytes_) + " bytes of memory: " + std::strerror(*failed));
}

SharedMemory::~SharedMemory() { munmap(data_, bytes_); }

}  // namespace echelon::comm
