#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <echelon/map/results_folder.hpp>

#include "spool.hpp"

namespace echelon::map {

enum class Stream { output, errors };

/// What a task has printed: a little in memory, or more in files.
class Output {
 public:
  using Take = std::function<void(std::span<const std::byte>)>;

  /// Standard output, and behind it standard error.
  Output(std::vector<std::byte> bytes, std::uint64_t output_bytes)
      : bytes_{std::move(bytes)}, output_bytes_{output_bytes}, errors_bytes_{bytes_.size() - output_bytes} {}
  Output(Spool output, std::uint64_t output_bytes, Spool errors, std::uint64_t errors_bytes)
      : output_bytes_{output_bytes}, errors_bytes_{errors_bytes} {
    files_.push_back(std::move(output));
    files_.push_back(std::move(errors));
  }

  [[nodiscard]] std::uint64_t size(Stream of) const noexcept {
    return of == Stream::output ? output_bytes_ : errors_bytes_;
  }
  /// Hands over all of it, in pieces.
  void read(Stream of, const Take& take) const;
  /// Into the folder of the task of that number, from 1.
  void write(const ResultsFolder& to, const std::vector<std::string>& values, std::uint64_t number) const;

 private:
  std::vector<std::byte> bytes_;
  std::uint64_t output_bytes_;
  std::uint64_t errors_bytes_;
  std::vector<Spool> files_;
};

}  // namespace echelon::map
