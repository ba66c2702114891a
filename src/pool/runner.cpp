#include "runner.hpp"

#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <typeinfo>

#include <cxxabi.h>

#include <echelon/base/error.hpp>
#include <echelon/base/forked_child.hpp>

namespace echelon::pool::detail {
namespace {

std::string type_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name{abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                         &std::free};
  return status == 0 ? name.get() : type.name();
}

}  // namespace

Failure failure_in_flight() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  Failure failure{type == nullptr ? "unknown" : type_name(*type), ""};
  try {
    throw;
  } catch (const std::exception& e) {
    failure.message = base::what_of(e);
  } catch (const std::string& text) {
    failure.message = text;
  } catch (const char* text) {
    if (text != nullptr) failure.message = text;
  } catch (int number) {
    failure.message = std::to_string(number);
  } catch (...) {
  }
  return failure;
}

Function::Function(const TaskType& type, std::span<const std::byte> bytes) : type_{type} {
  if (type.magic != TaskType::right_magic) {
    throw std::runtime_error("the master runs another build of this program: start one on all ranks");
  }
  comm::Unpacker from{bytes};
  try {
    function_ = type.load(from);
  } catch (...) {
    error_ = std::current_exception();
  }
}

void Runner::begin() {
  out_.clear();
  out_.put(ToMaster::results);
  part_at_ = 0;
}

void Runner::open_part(const farm::Tasks& tasks) {
  if (part_at_ != 0 && part_.tasks.job == tasks.job && part_.tasks.end() == tasks.first) return;
  part_ = {{tasks.job, tasks.first, 0}, 0, 0, false};
  part_at_ = out_.size();
  out_.put(part_);
}

void Runner::add_failure(const farm::Tasks& task, const Failure& failure, std::int64_t ns) {
  ResultsHead head{{task.job, task.first, 1}, ns, 0, true};
  const std::size_t at = out_.size();
  out_.put(head);
  out_.put(failure.type);
  out_.put(failure.message);
  head.bytes = out_.size() - at - sizeof(head);
  out_.patch(at, head);
  part_at_ = 0;
}

std::span<const std::byte> Runner::run(const Function& function, const farm::Tasks& tasks, std::uint64_t argument_size,
                                       std::span<const std::byte> arguments, measure::PhaseClock& clock) {
  const auto begin_time = measure::Clock::now();
  clock.enter(measure::Phase::compute, begin_time);
  if (is_empty()) oldest_ = begin_time;
  auto since = begin_time;
  const TaskType& type = function.type();
  for (farm::Tasks left = tasks; left.count > 0;) {
    open_part(left);
    std::uint64_t done = 0;
    std::size_t mark = out_.size();
    std::optional<Failure> failure;
    try {
      if (argument_size != varies) {
        type.run_all(function.get(), arguments.data(), argument_size, left.count, out_, done, mark);
      } else {
        for (auto rest = arguments; done < left.count; ++done) {
          mark = out_.size();
          comm::Unpacker from{rest};
          const auto size = from.get<std::uint64_t>();
          type.run(function.get(), from.bytes(size), out_);
          rest = from.rest();
        }
      }
    } catch (...) {
      base::end_forked_child();
      failure = failure_in_flight();
      out_.cut(mark);  // what it had written of a result
    }
    last_ = measure::Clock::now();
    const std::int64_t ns = std::chrono::nanoseconds{last_ - since}.count();
    since = last_;
    const std::uint64_t passed = done + (failure ? 1 : 0);
    if (argument_size != varies) {
      arguments = arguments.subspan(argument_size * passed);
    } else {
      for (std::uint64_t i = 0; i < passed; ++i) {
        comm::Unpacker from{arguments};
        (void)from.bytes(from.get<std::uint64_t>());
        arguments = from.rest();
      }
    }
    part_.tasks.count += done;
    if (!failure) part_.ns += ns;
    part_.bytes = out_.size() - part_at_ - sizeof(part_);
    out_.patch(part_at_, part_);
    if (failure) {
      if (part_.tasks.count == 0) out_.cut(part_at_);
      add_failure({left.job, left.first + done, 1}, *failure, ns);
    }
    left.first += passed;
    left.count -= passed;
  }
  clock.enter(measure::Phase::communicate, last_);
  return arguments;
}

}  // namespace echelon::pool::detail
