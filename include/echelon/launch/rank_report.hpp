#pragma once

#include <string_view>

namespace echelon::launch {

/// Set in the ranks that launch() started: the token by which it knows them.
inline constexpr const char* launched_variable = "ECHELON_LAUNCHED";
/// Set there as well; its value is where launch() waits for them (RankWatch).
inline constexpr const char* watch_variable = "ECHELON_WATCH";

/// "1" in ranks of a launch that outlives_ranks (LaunchRequest).
inline constexpr const char* outlives_variable = "ECHELON_OUTLIVES_RANKS";

/// "1" in ranks that are children of their launcher, all on the host of launch(): they print past it.
inline constexpr const char* direct_variable = "ECHELON_DIRECT";

// What a rank tells the launch() that started it, over a connection of its own: no launcher stands between them, whose
// version or language could matter. The kernel closes the connection when the process ends, however it does, so that
// launch() sees deaths which nobody else could report. All of these are without effect if launch() did not start this
// rank or cannot be reached.

/// From here on this rank prints to what its launcher prints to, which is launch(), if direct_variable says so: Open
/// MPI 5.0.7 loses and mixes up what ranks print, and 4.1 took 20 s for 1 GB (0.2 s directly). To be called once MPI
/// has started: what MPI prints before goes with a launcher that is killed, as nobody needs it.
void print_past_launcher() noexcept;

/// This rank has begun: opens the connection.
/// To be called before MPI starts, and after processes are forked that are to outlive a rank.
void tell_begun(int rank) noexcept;

/// All ranks have come through MPI's start, and from here on the ranks themselves, or their launcher, see who dies. For
/// rank 0 alone.
void tell_started() noexcept;

/// The status with which the run ends: launch() returns it, whatever the launcher's status is. The one told last
/// counts.
void tell_outcome(int status) noexcept;

/// Why the run ends: launch() prints "echelon: WHY" once the run is over, when nothing can cut it off. False if it
/// could not be told, so that the caller has to print it.
[[nodiscard]] bool tell_reason(std::string_view why) noexcept;

/// All ranks are to be ended, as this one calls MPI_Abort. `is_explained`: it has printed why.
void tell_abort(int status, bool is_explained) noexcept;

}  // namespace echelon::launch
