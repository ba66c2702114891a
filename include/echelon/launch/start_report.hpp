#pragma once

namespace echelon::launch {

/// Set in the ranks that launch() started; its value is where it waits for them (RankWatch).
inline constexpr const char* watch_variable = "ECHELON_WATCH";

/// Tells the launch() that started this rank that it has begun, over a connection that the kernel closes when this
/// process ends, however it does: that is how launch() sees it die while MPI starts, when nobody else could say so. To
/// be called before MPI starts, and after processes are forked that are to outlive a rank. Without effect where
/// launch() did not start this rank, or cannot be reached.
void tell_begun(int rank) noexcept;

/// Tells launch() that all ranks have come through the start, and that from here on the ranks themselves, or their
/// launcher, see who dies. For rank 0 alone.
void tell_started() noexcept;

}  // namespace echelon::launch
