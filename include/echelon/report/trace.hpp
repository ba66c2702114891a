#pragma once

#include <string>

#include <echelon/measure/record.hpp>

namespace echelon::report {

/// Chrome trace events (JSON, for Perfetto and chrome://tracing) of one run: a process a host, a thread a rank. A
/// record has each rank's total of a phase, not when it was in it: the phases stand one after another from the rank's
/// own start, startup, compute, communicate, wait, which the trace says of itself.
[[nodiscard]] std::string chrome_trace(const measure::Record& record);

}  // namespace echelon::report
