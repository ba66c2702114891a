#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <echelon/base/forked_child.hpp>
#include <echelon/comm/packing.hpp>

/// How a function and its arguments become bytes, and tasks on another rank.

namespace echelon::pool::detail {

/// A place in the program or in one of its libraries, the same on all ranks although each loads them elsewhere.
struct CodeAddress {
  std::uint64_t module;  // a hash of its file's name; 0: the program
  std::uint64_t offset;
};
[[nodiscard]] CodeAddress encode(const void* address);
/// Throws std::runtime_error where this rank has no such place: it runs another program.
[[nodiscard]] const void* decode(CodeAddress address);

/// Throws std::invalid_argument where the bytes of a function object hold an address of this process, which means
/// nothing to another rank.
void refuse_addresses(std::span<const std::byte> function);

/// What a worker needs to run tasks of one type; the master sends the address of one of these.
struct TaskType {
  static constexpr std::uint64_t right_magic = 0x45636865'6c6f6e31;  // "Echelon1"
  std::uint64_t magic = right_magic;
  void* (*load)(comm::Unpacker& function);
  void (*drop)(void* function) noexcept;
  /// Runs one task; what it throws is the task's.
  void (*run)(void* function, std::span<const std::byte> argument, comm::Packer& result);
  /// Runs up to `count` tasks of `size` bytes each; `done` counts those that ended well, `mark` is where the last one's
  /// result begins.
  void (*run_all)(void* function, const std::byte* arguments, std::size_t size, std::uint64_t count,
                  comm::Packer& results, std::uint64_t& done, std::size_t& mark);
};

// ---- functions ----

/// A pointer to a function, which differs from rank to rank.
template <typename F>
concept function_pointer = std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>;

/// A closure, above all, which as_it_lies would do for but that it may capture an address, to be refused when it does.
template <typename F>
concept function_as_it_lies = std::is_trivially_copyable_v<F> && !boost_serializable<F>;

template <typename F>
concept SendableFunction =
    !std::is_member_pointer_v<F> && (function_pointer<F> || function_as_it_lies<F> || comm::Sendable<F>);

template <typename F>
void pack_function(comm::Packer& to, const F& function) {
  static_assert(
      SendableFunction<F>,
      "echelon: this function object cannot be sent to another rank. A lambda may capture only what is "
      "trivially copyable, by value: numbers and structs of numbers, not strings, vectors or references. Pass "
      "these as arguments, or write a struct with operator(), a default constructor and a Boost.Serialization "
      "serialize(). Call a member function in a lambda.");
  if constexpr (function_pointer<F>) {
    to.put(encode(reinterpret_cast<const void*>(function)));
  } else if constexpr (function_as_it_lies<F>) {
    if constexpr (!std::is_empty_v<F>) {
      alignas(F) std::byte bytes[sizeof(F)];
      std::memcpy(bytes, &function, sizeof(F));
#if __has_builtin(__builtin_clear_padding)
      // What lies between its members may be anything, an old address, too.
      __builtin_clear_padding(std::launder(reinterpret_cast<F*>(bytes)));
#endif
      refuse_addresses(bytes);
      to.bytes(bytes, sizeof(F));
    }
  } else if constexpr (SendableFunction<F>) {
    to.put(function);
  }
}

template <typename F>
F* load_function(comm::Unpacker& from) {
  if constexpr (function_pointer<F>) {
    return new F{reinterpret_cast<F>(const_cast<void*>(decode(from.get<CodeAddress>())))};
  } else if constexpr (function_as_it_lies<F>) {
    alignas(F) std::byte memory[sizeof(F)]{};
    if constexpr (!std::is_empty_v<F>) std::memcpy(memory, from.bytes(sizeof(F)).data(), sizeof(F));
    return new F(*std::launder(reinterpret_cast<const F*>(memory)));
  } else {
    return new F(from.get<F>());
  }
}

// ---- arguments and results ----

/// What an argument is on its way: itself, but text for the address of a text, as in apply(f, "bob").
template <typename T>
using Sent = std::conditional_t<std::is_convertible_v<T, const char*> && std::is_pointer_v<std::decay_t<T>>,
                                std::string, std::decay_t<T>>;

/// Bytes of each packed value of a type; nothing where they differ.
template <typename T>
struct FixedSize {
  static constexpr std::optional<std::size_t> value =
      comm::detail::as_it_lies<T> ? std::optional<std::size_t>{std::is_empty_v<T> ? 0 : sizeof(T)} : std::nullopt;
};
template <typename... Ts>
constexpr std::optional<std::size_t> sum_of_sizes() {
  if ((!FixedSize<Ts>::value.has_value() || ...)) return std::nullopt;
  return (std::size_t{0} + ... + *FixedSize<Ts>::value);
}
template <typename A, typename B>
requires(!comm::detail::as_it_lies<std::pair<A, B>>) struct FixedSize<std::pair<A, B>> {
  static constexpr std::optional<std::size_t> value = sum_of_sizes<A, B>();
};
template <typename... Ts>
requires(!comm::detail::as_it_lies<std::tuple<Ts...>>) struct FixedSize<std::tuple<Ts...>> {
  static constexpr std::optional<std::size_t> value = sum_of_sizes<Ts...>();
};

/// Packs a value so that what stands behind it can be found without unpacking it, which may throw: where values of its
/// type differ in size, behind its own. One that is handed over is not used again.
template <typename T, typename Value>
void pack_sized(comm::Packer& to, Value&& value) {
  if constexpr (FixedSize<T>::value.has_value()) {
    to.put<T>(value);
  } else {
    const std::size_t at = to.size();
    to.put(std::uint64_t{0});
    if constexpr (std::is_same_v<Value, T>) {
      to.take<T>(std::move(value));
    } else {
      to.put<T>(value);
    }
    to.patch(at, std::uint64_t{to.size() - at - sizeof(std::uint64_t)});
  }
}
template <typename T>
[[nodiscard]] T unpack_sized(comm::Unpacker& from) {
  if constexpr (FixedSize<T>::value.has_value()) {
    return from.get<T>();
  } else {
    return from.part(from.get<std::uint64_t>()).template get<T>();
  }
}

/// What stands for the result of a function; those of void have none.
template <typename R>
using Kept = std::conditional_t<std::is_void_v<R>, std::monostate, std::remove_cvref_t<R>>;

/// Whether an argument is handed over whole, or taken apart into several.
enum class Call { whole, spread };

template <Call call, typename F, typename A>
decltype(auto) invoke(F& function, A&& argument) {
  if constexpr (call == Call::whole) {
    return std::invoke(function, std::forward<A>(argument));
  } else {
    return std::apply(function, std::forward<A>(argument));
  }
}

template <Call call, typename F, typename A>
using Result = decltype(detail::invoke<call>(std::declval<F&>(), std::declval<A>()));

template <Call call, typename F, typename A>
void run_one(F& function, comm::Unpacker& argument, comm::Packer& result) {
  using R = Result<call, F, A>;
  if constexpr (std::is_void_v<R>) {
    detail::invoke<call>(function, argument.get<A>());
  } else {
    pack_sized<Kept<R>>(result, detail::invoke<call>(function, argument.get<A>()));
  }
  base::end_forked_child();
}

template <Call call, typename F, typename A>
inline constexpr TaskType task_type{
    .load = [](comm::Unpacker& function) -> void* { return load_function<F>(function); },
    .drop = [](void* function) noexcept { delete static_cast<F*>(function); },
    .run =
        [](void* function, std::span<const std::byte> argument, comm::Packer& result) {
          auto from = comm::Unpacker::last(argument);
          run_one<call, F, A>(*static_cast<F*>(function), from, result);
        },
    .run_all =
        [](void* function, const std::byte* arguments, std::size_t size, std::uint64_t count, comm::Packer& results,
           std::uint64_t& done, std::size_t& mark) {
          comm::Unpacker from{{arguments, size * count}};
          for (; done < count; ++done) {
            mark = results.size();
            run_one<call, F, A>(*static_cast<F*>(function), from, results);
          }
        },
};

}  // namespace echelon::pool::detail
