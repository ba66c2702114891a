#pragma once

/// All of Echelon's library for programs; what users need stands in namespace echelon.

#include <echelon/app/parallel.hpp>
#include <echelon/app/run.hpp>
#include <echelon/base/error.hpp>
#include <echelon/base/version.hpp>
#include <echelon/comm/attach.hpp>
#include <echelon/comm/roster.hpp>
#include <echelon/comm/session.hpp>
#include <echelon/measure/machine.hpp>
#include <echelon/measure/record.hpp>
#include <echelon/pool/pool.hpp>
#include <echelon/schedule/chunks.hpp>
#include <echelon/shared/array.hpp>
#include <echelon/shared/lock.hpp>
#include <echelon/shared/pipe.hpp>
#include <echelon/shared/queue.hpp>
#include <echelon/shared/value.hpp>

namespace echelon {

using app::parallel;
using app::run;
using base::UsageError;
using comm::attach;
using comm::placement;
using comm::RankLost;
using comm::Session;
using measure::host_name;
using measure::Record;
using measure::usable_cpus;
using pool::AsyncResult;
using pool::Outcome;
using pool::Pool;
using pool::PoolOptions;
using pool::Results;
using pool::Stopped;
using pool::TaskError;
using pool::TaskOptions;
using pool::TimeoutError;
using pool::WorkersLost;
using schedule::Schedule;
using shared::Array;
using shared::Closed;
using shared::Lock;
using shared::Pipe;
using shared::PipeOptions;
using shared::Queue;
using shared::QueueOptions;
using shared::Role;
using shared::Value;

}  // namespace echelon
