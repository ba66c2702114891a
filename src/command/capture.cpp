#include "capture.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace echelon::command::detail {
namespace {

constexpr std::size_t block_bytes = 64 << 10;
/// The largest pipe that Linux gives to anyone: for who prints much, fewer turns of the two.
constexpr int large_pipe_bytes = 1 << 20;
/// What is taken at a time, so that limits and requests are looked at in between.
constexpr std::uint64_t bytes_a_turn = 4 << 20;

/// Files of which write() may be good, and the bytes refused later, as when a server keeps them: it is fsync() that
/// tells.
bool is_told_late(int file) {
  struct statfs system {};
  if (fstatfs(file, &system) != 0) return false;
  constexpr std::array<std::uint32_t, 9> remote{
      0x6969,      // NFS
      0xff534d42,  // CIFS
      0xfe534d42,  // SMB 2
      0x65735546,  // FUSE
      0x0bd00bd0,  // Lustre
      0x47504653,  // GPFS
      0x19830326,  // BeeGFS
      0x00c36400,  // Ceph
      0x5346414f,  // AFS
  };
  return std::ranges::find(remote, static_cast<std::uint32_t>(system.f_type)) != remote.end();
}

}  // namespace

Capture::Capture(std::array<base::Descriptor, 2> files) {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
      error_ = errno;
      return;
    }
    streams_[i].out.reset(ends[0]);
    streams_[i].in.reset(ends[1]);
    streams_[i].file = std::move(files[i]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);  // the command's end is not: it is another open file
  }
}

std::array<pollfd, 2> Capture::waits_for() const noexcept {
  return {{{streams_[0].out.get(), POLLIN, 0}, {streams_[1].out.get(), POLLIN, 0}}};
}

void Capture::take() {
  for (Stream& stream : streams_) take(stream, bytes_a_turn);
}

void Capture::finish() {
  // What the last process has left is in the pipes; who was given their ends by it, and lives, is none of the command.
  for (Stream& stream : streams_) take(stream, static_cast<std::uint64_t>(fcntl(stream.out.get(), F_GETPIPE_SZ)));
  if (!in_files_ || error_ != 0) return;
  for (const Stream& stream : streams_) {
    if (stream.bytes > 0 && is_told_late(stream.file.get()) && fdatasync(stream.file.get()) != 0) return fail(errno);
  }
}

void Capture::say(std::string_view text) { keep(streams_[1], text); }

void Capture::take(Stream& stream, std::uint64_t most) {
  std::array<char, block_bytes> block;
  for (std::uint64_t taken = 0; taken < most;) {
    const bool splices = stream.is_spliced && error_ == 0;
    const std::int64_t count = splices ? splice_some(stream) : read(stream.out.get(), block.data(), block.size());
    if (count < 0 && (errno == EINTR || splices != (stream.is_spliced && error_ == 0))) continue;
    if (count <= 0) return;
    taken += static_cast<std::uint64_t>(count);
    if (!splices) keep(stream, {block.data(), static_cast<std::size_t>(count)});
  }
}

/// Within the kernel, which saves a copy. Negative where there is nothing, or where the rest is to be read instead.
std::int64_t Capture::splice_some(Stream& stream) {
  auto at = static_cast<off64_t>(stream.bytes);
  const ssize_t count =
      splice(stream.out.get(), nullptr, stream.file.get(), &at, large_pipe_bytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (count > 0) stream.bytes += static_cast<std::uint64_t>(count);
  if (count >= 0 || errno == EINTR || errno == EAGAIN) return count;
  stream.is_spliced = false;
  if (errno != EINVAL && errno != ENOSYS) fail(errno);  // these two: not into this file
  return count;
}

void Capture::keep(Stream& stream, std::string_view bytes) {
  if (&stream == &streams_[1]) {
    errors_end_.append(bytes.substr(bytes.size() - std::min(bytes.size(), kept_end)));
    if (errors_end_.size() > kept_end) errors_end_.erase(0, errors_end_.size() - kept_end);
  }
  if (error_ != 0) return;
  if (in_files_) return write(stream, bytes);
  stream.text += bytes;
  stream.bytes += bytes.size();
  if (streams_[0].bytes + streams_[1].bytes > most_in_memory) go_to_files();
}

void Capture::go_to_files() {
  in_files_ = true;
  for (Stream& stream : streams_) {
    const std::string text = std::move(stream.text);
    stream.text.clear();
    stream.bytes = 0;
    if (error_ == 0 && !text.empty()) write(stream, text);
  }
  Stream& output = streams_[0];
  output.is_spliced = error_ == 0;
  (void)fcntl(output.out.get(), F_SETPIPE_SZ, large_pipe_bytes);
}

void Capture::write(Stream& stream, std::string_view bytes) {
  const std::uint64_t written = base::write_at(stream.file.get(), bytes, stream.bytes);
  stream.bytes += written;
  if (written < bytes.size()) fail(errno);
}

/// What there is of it is of no use, but its room is, to others.
void Capture::fail(int error) {
  error_ = error;
  for (const Stream& stream : streams_) (void)!ftruncate(stream.file.get(), 0);
}

}  // namespace echelon::command::detail
