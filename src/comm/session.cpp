#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

#include <echelon/base/forked_child.hpp>
#include <echelon/comm/backoff.hpp>
#include <echelon/comm/collectives.hpp>
#include <echelon/comm/liveness.hpp>
#include <echelon/comm/nodes.hpp>

#include "pieces.hpp"
#include "session_impl.hpp"
#include "socket.hpp"

namespace echelon::comm {
namespace {

/// UCX, which Open MPI 5 loads, would print a stack of its own over a rank that crashes, and takes SIGHUP to print what
/// it does: a request to stop.
void keep_ucx_from_signals() {
  setenv("UCX_HANDLE_ERRORS", "none", 0);
  setenv("UCX_DEBUG_SIGNO", "0", 0);
}

/// Open MPI 4 would start a daemon for a process without a launcher, and look for networks that one rank has no use for
/// (0.41 s against 0.04 s on a workstation). What the user has set stays.
void set_up_single_rank() {
  setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
  if (std::getenv("OMPI_MCA_pml") == nullptr) {
    setenv("OMPI_MCA_pml", "ob1", 0);
    setenv("OMPI_MCA_btl", "self", 0);
  }
  // Its own I/O would keep the shared pointer of an open file, which is not used here, in a folder that all single
  // ranks of a user have, and that the first of them to end takes away; ROMIO does without.
  setenv("OMPI_MCA_io_romio321_priority", "100", 0);
}

/// The number of the step, by which Open MPI takes the only task of one for a rank that SLURM has started, and ends it
/// where it cannot ask SLURM who the others are: not in the environment as long as this is.
class HiddenStep {
 public:
  HiddenStep() {
    const char* const number = std::getenv(variable);
    const char* const tasks = std::getenv("SLURM_STEP_NUM_TASKS");
    if (number == nullptr || tasks == nullptr || tasks != std::string_view{"1"}) return;
    number_ = number;
    unsetenv(variable);
  }
  ~HiddenStep() {
    if (number_) setenv(variable, number_->c_str(), 1);
  }
  HiddenStep(const HiddenStep&) = delete;
  HiddenStep& operator=(const HiddenStep&) = delete;

 private:
  static constexpr const char* variable = "SLURM_STEP_ID";
  std::optional<std::string> number_;
};

/// Of each rank, the lowest of those that MPI says share memory with it.
std::vector<int> node_leaders(MPI_Comm world) {
  int self = 0;
  int size = 0;
  MPI_Comm_rank(world, &self);
  MPI_Comm_size(world, &size);
  std::vector<int> leaders(static_cast<std::size_t>(size), 0);
  if (size == 1) return leaders;
  MPI_Comm here = MPI_COMM_NULL;
  check(MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here), "MPI_Comm_split_type");
  if (const char* text = std::getenv(ranks_a_node_variable)) {
    const int ranks = std::max(1, std::atoi(text));
    int place = 0;
    MPI_Comm_rank(here, &place);
    MPI_Comm part = MPI_COMM_NULL;
    check(MPI_Comm_split(here, place / ranks, 0, &part), "MPI_Comm_split");
    MPI_Comm_free(&here);
    here = part;
  }
  int leader = self;
  check(MPI_Bcast(&leader, 1, MPI_INT, 0, here), "MPI_Bcast");
  MPI_Comm_free(&here);
  check(MPI_Allgather(&leader, 1, MPI_INT, leaders.data(), 1, MPI_INT, world), "MPI_Allgather");
  return leaders;
}

/// At the end of a session: whether all ranks have made the calls that this one has begun and not waited for.
bool await_open_calls(const Session::Impl& session) noexcept {
  constexpr std::chrono::seconds longest{5};
  const auto until = std::chrono::steady_clock::now() + longest;
  try {
    for (Backoff backoff; !settle(session) && std::chrono::steady_clock::now() < until; backoff.pause()) {
      session.serve();
      if (session.check_ranks) session.check_ranks();
    }
  } catch (const std::exception&) {  // which was told, or will be
  }
  return session.calls.open.empty();
}

bool mpi_has_started() {
  int started = 0;
  MPI_Initialized(&started);
  return started != 0;
}

/// Set by Echelon's starter, and by mpirun of Open MPI 4.
std::optional<bool> outlives_ranks(std::string_view launcher) {
  for (const char* const variable : {"ECHELON_OUTLIVES_RANKS", "OMPI_MCA_orte_enable_recovery"}) {
    if (const char* const value = std::getenv(variable)) return value == std::string_view{"1"};
  }
  const bool is_open_mpi_5 = launcher == "mpirun" && std::getenv("PRTE_LAUNCHED") != nullptr;
  if (is_open_mpi_5 && std::getenv("ECHELON_LAUNCHED") == nullptr) return std::nullopt;
  return false;
}

}  // namespace

bool spans_nodes() {
  const auto number = [](const char* variable) {
    const char* text = std::getenv(variable);
    return text == nullptr ? 1 : std::atoi(text);
  };
  return number("OMPI_COMM_WORLD_LOCAL_SIZE") < number("OMPI_COMM_WORLD_SIZE") || number("SLURM_STEP_NUM_NODES") > 1 ||
         std::getenv(ranks_a_node_variable) != nullptr;
}

Placement placement() {
  for (const auto& [variable, launcher] :
       {std::pair{"OMPI_COMM_WORLD_RANK", "mpirun"}, {"SLURM_PROCID", "srun"}, {"PMIX_RANK", "mpirun"}}) {
    const char* rank = std::getenv(variable);
    if (rank == nullptr) continue;
    // A batch script has SLURM_PROCID too, though no step was launched for MPI there.
    if (launcher == std::string_view{"srun"} && std::getenv("PMIX_RANK") == nullptr) continue;
    return {true, std::atoi(rank), launcher, outlives_ranks(launcher)};
  }
  return {};
}

std::string launcher() { return std::getenv("ECHELON_LAUNCHED") != nullptr ? "echelon" : placement().launcher; }

void check(int mpi_result, const char* call) {
  if (mpi_result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(mpi_result, text.data(), &length);
  throw std::runtime_error(std::string{call} + ": " + text.data());
}

void wait_until(const Session::Impl& session, std::uint64_t number, const std::function<bool()>& done) {
  base::end_forked_child();
  for (Backoff backoff; !done(); backoff.pause()) {
    if (session.serve()) backoff = {};  // who has asked will soon ask again
    if (session.check_ranks) session.check_ranks();
    (void)settle(session);
    if (session.check_left) session.check_left(number);
  }
}

void wait(const Session::Impl& session, MPI_Request& request, std::uint64_t number) {
  wait_until(session, number, [&] {
    int done = 0;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    return done != 0;
  });
}

boost::mpi::communicator duplicate(const Session::Impl& session) {
  // What a rank that throws leaves behind is written to when the others come.
  const std::uint64_t number = enter(session);
  auto* copy = new MPI_Comm{MPI_COMM_NULL};
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Comm_idup(session.world, copy, &request), "MPI_Comm_idup");
  wait(session, request, number);
  const boost::mpi::communicator taken{*copy, boost::mpi::comm_take_ownership};
  delete copy;
  return taken;
}

bool share_loopback(const Session& session) {
  decltype(LivenessInvitation::host) name{};
  loopback_name().copy(name.data(), name.size() - 1);
  const auto names = all_gather(session, name);
  return std::ranges::all_of(names, [&](const auto& other) { return other == name; });
}

Session::Session(int& argc, char**& argv) {
  base::know_forked_children();
  // MPI would end the program, with less to say.
  if (mpi_has_started()) {
    throw std::logic_error("this program has started MPI itself: make the session by echelon::comm::attach");
  }
  std::optional<HiddenStep> hidden;
  if (!placement().launched) {
    set_up_single_rank();
    hidden.emplace();
  }
  set_pieces_in_shared_memory();
  keep_ucx_from_signals();
  int provided = MPI_THREAD_SINGLE;
  // Between nodes a thread of Echelon's answers for shared objects. On one node there is none, and messages are faster.
  const int wanted = spans_nodes() ? MPI_THREAD_MULTIPLE : MPI_THREAD_SERIALIZED;
  if (MPI_Init_thread(&argc, &argv, wanted, &provided) != MPI_SUCCESS) {
    throw std::runtime_error("MPI_Init_thread failed");
  }
  hidden.reset();
  if (provided < MPI_THREAD_FUNNELED)
    throw std::runtime_error("this MPI does not support threads (MPI_THREAD_FUNNELED)");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);  // inherited by what is duplicated from it
  impl_ = std::make_unique<Impl>(Impl{.world = {MPI_COMM_WORLD, boost::mpi::comm_duplicate},
                                      .services = {},
                                      .check_ranks = {},
                                      .check_left = {},
                                      .attached = false,
                                      .serialized = provided >= MPI_THREAD_SERIALIZED,
                                      .concurrent = provided >= MPI_THREAD_MULTIPLE});
  impl_->traffic = std::make_unique<TrafficCounter>(node_leaders(impl_->world), rank());
}

Session::Session(const boost::mpi::communicator& ranks) {
  base::know_forked_children();
  if (!mpi_has_started()) throw std::logic_error("echelon::comm::attach comes after MPI_Init");
  if (static_cast<MPI_Comm>(ranks) == MPI_COMM_NULL) {
    throw std::invalid_argument("echelon::comm::attach: MPI_COMM_NULL has no ranks");
  }
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Query_thread(&provided), "MPI_Query_thread");
  impl_ =
      std::make_unique<Impl>(Impl{.world = {ranks, boost::mpi::comm_duplicate},
                                  .services = {},
                                  .check_ranks = {},
                                  .check_left = {},
                                  .attached = true,
                                  // Nobody keeps the program's own calls of MPI apart from those of a second thread.
                                  .serialized = provided >= MPI_THREAD_MULTIPLE,
                                  .concurrent = provided >= MPI_THREAD_MULTIPLE});
  MPI_Comm_set_errhandler(impl_->world, MPI_ERRORS_RETURN);
  impl_->traffic = std::make_unique<TrafficCounter>(node_leaders(impl_->world), rank());
}

Session::~Session() {
  on_stop_.clear();  // waits for one that runs
  const bool all_agree = await_open_calls(*impl_);
  while (!kept_.empty()) kept_.pop_back();  // the last one may need the ones before
  const bool finalize = lost_.empty() && !impl_->attached;
  // To free it would wait for the lost ones too, and takes from MPI what open calls still need.
  if (!lost_.empty() || !all_agree) new boost::mpi::communicator{impl_->world};
  impl_.reset();  // a communicator must be freed before MPI ends
  if (finalize) MPI_Finalize();
}

void Session::lose(int rank) const {
  if (std::ranges::find(lost_, rank) == lost_.end()) lost_.push_back(rank);
}

void Session::on_stop(std::function<void()> callback) const {
  on_stop_.emplace_back(stop_.get_token(), std::move(callback));
}

void Session::request_stop(int signal) const {
  if (is_master() && !stop_requested()) {
    stop_signal_.store(signal, std::memory_order_relaxed);
    stop_.request_stop();
  }
}

bool Session::is_attached() const noexcept { return impl_->attached; }

bool Session::is_serialized() const noexcept { return impl_->serialized; }

std::shared_ptr<void>& Session::kept(std::type_index type) const {
  for (auto& [key, value] : kept_) {
    if (key == type) return value;
  }
  return kept_.emplace_back(type, nullptr).second;
}

int Session::rank() const noexcept { return impl_->world.rank(); }

int Session::size() const noexcept { return impl_->world.size(); }

base::Traffic Session::between_nodes() const noexcept { return impl_->traffic->total(); }

void Session::barrier() const {
  const Call outermost = impl_->calls.outermost;
  agree(*impl_, outermost == Call::none ? Call::barrier : outermost);
}

void Session::check_calls() const {
  if (impl_->calls.open.empty() || settle(*impl_)) return;
  if (impl_->check_left) impl_->check_left(impl_->calls.open.front()->number);
}

std::string Session::refuse_collectives(std::string why) const {
  return std::exchange(impl_->calls.forbidden, std::move(why));
}

bool Session::has_collectives() const noexcept { return impl_->calls.forbidden.empty(); }

void Session::progress() const {
  int ignored = 0;
  check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, impl_->world, &ignored, MPI_STATUS_IGNORE), "MPI_Iprobe");
  impl_->serve();  // what has come: MPI takes it in when it is called, and shows it the next time
}

void Session::abort(base::ExitCode code, std::string_view why) const noexcept {
  std::array<char, HOST_NAME_MAX + 1> host{};
  gethostname(host.data(), host.size() - 1);
  std::fprintf(stderr, "echelon: rank %d on %s: %.*s\n", rank(), host.data(), static_cast<int>(why.size()), why.data());
  std::fflush(nullptr);
  // Alone there is no one to end, and MPI_Abort has much to say.
  if (size() > 1) {
    tell_abort(static_cast<int>(code), true);
    PMPI_Abort(impl_->world, static_cast<int>(code));
  }
  std::_Exit(static_cast<int>(code));
}

void Session::leave(base::ExitCode code) const noexcept {
  std::fflush(nullptr);
  std::_Exit(static_cast<int>(code));
}

std::string Session::library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  // "Open MPI v4.1.4, package: ...": up to the first comma, and without the v
  std::string name{text.data()};
  name = name.substr(0, name.find_first_of(",\n"));
  if (const auto v = name.find(" v"); v != std::string::npos) name.erase(v + 1, 1);
  return name;
}

}  // namespace echelon::comm
