#include "printer.hpp"

#include <algorithm>
#include <vector>

#include <unistd.h>

#include "tagger.hpp"

namespace echelon::map {

void Printer::put(Stream to, std::span<const std::byte> bytes) const {
  const int descriptor = to == Stream::output ? options_.output : options_.errors;
  if (descriptor < 0) return;
  if (options_.make_way && isatty(descriptor) != 0) options_.make_way();
  write_all(descriptor, bytes, to == Stream::output ? "cannot write standard output" : "cannot write standard error");
}

void Printer::print(std::uint64_t task, const Output& output, const std::string* tag) {
  const bool now = !options_.in_order || task == next_;
  Waiting waiting{spooled_, 0, 0};
  for (const Stream stream : {Stream::output, Stream::errors}) {
    if ((stream == Stream::output ? options_.output : options_.errors) < 0) continue;
    Tagger tagger{tag};
    output.read(stream, [&](std::span<const std::byte> piece) {
      const auto bytes = tagger(piece);
      if (now) return put(stream, bytes);
      if (!spool_) spool_.emplace();
      spool_->append(bytes);
      (stream == Stream::output ? waiting.output_bytes : waiting.errors_bytes) += bytes.size();
    });
  }
  if (now && options_.printed) options_.printed(task);
  if (!options_.in_order) return;
  if (now) {
    ++next_;
    print_waiting();
  } else {
    spooled_ += waiting.output_bytes + waiting.errors_bytes;
    waiting_.emplace(task, waiting);
  }
}

void Printer::skip(std::uint64_t task) {
  if (!options_.in_order) return;
  waiting_.emplace(task, Waiting{spooled_, 0, 0});
  print_waiting();
}

void Printer::print_one(std::uint64_t task, const Waiting& one) {
  constexpr std::uint64_t piece = 1 << 18;
  std::vector<std::byte> bytes;
  std::uint64_t at = one.offset;
  for (const Stream stream : {Stream::output, Stream::errors}) {
    const std::uint64_t end = at + (stream == Stream::output ? one.output_bytes : one.errors_bytes);
    while (at < end) {
      bytes.resize(std::min(piece, end - at));
      spool_->read(at, bytes);
      put(stream, bytes);
      at += bytes.size();
    }
  }
  if (at > one.offset) room_.give_back(spool_->descriptor(), one.offset, at - one.offset);
  if (options_.printed) options_.printed(task);
}

void Printer::print_waiting() {
  while (!waiting_.empty() && waiting_.begin()->first == next_) {
    print_one(next_, waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    ++next_;
  }
  if (waiting_.empty() && spooled_ > 0) {
    spool_->clear();
    room_ = {};
    spooled_ = 0;
  }
}

void Printer::finish() {
  for (const auto& [task, one] : waiting_) print_one(task, one);
  waiting_.clear();
}

}  // namespace echelon::map
