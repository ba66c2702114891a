#pragma once

namespace echelon::comm {

/// Every tag of point-to-point messages. Each channel has a communicator of its own besides.
enum class Tag : int { claim = 1, claimed = 2, piece = 3 };

}  // namespace echelon::comm
