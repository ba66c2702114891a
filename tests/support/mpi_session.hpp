#pragma once

#include <echelon/comm/session.hpp>

namespace echelon::test {

/// The session of the test binary, made by mpi_main.cpp.
comm::Session& session();

}  // namespace echelon::test
