#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <set>
#include <span>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <echelon/comm/serializable.hpp>

/// Values as bytes, for ranks that run the same program on machines of one kind: the standard containers, array,
/// optional, variant, pair and tuple part by part; types with a serialize() for Boost by that; trivially copyable ones
/// without as they lie in memory.

namespace echelon::comm {

namespace detail {

// Trivially copyable or not, these are not to be sent as they lie: an address, or what says itself how it is sent.
template <typename T>
inline constexpr bool more_than_bytes =
    std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::input_or_output_iterator<T> || boost_serializable<T>;
template <typename C, typename Traits>
inline constexpr bool more_than_bytes<std::basic_string_view<C, Traits>> = true;
template <typename T, std::size_t N>
inline constexpr bool more_than_bytes<std::span<T, N>> = true;
template <typename T>
inline constexpr bool more_than_bytes<std::reference_wrapper<T>> = true;
template <typename T, std::size_t N>
inline constexpr bool more_than_bytes<std::array<T, N>> = more_than_bytes<std::remove_cv_t<T>>;
template <typename T>
inline constexpr bool more_than_bytes<std::optional<T>> = more_than_bytes<std::remove_cv_t<T>>;
template <typename... Ts>
inline constexpr bool more_than_bytes<std::variant<Ts...>> = (more_than_bytes<std::remove_cv_t<Ts>> || ...);
template <typename A, typename B>
inline constexpr bool more_than_bytes<std::pair<A, B>> =
    more_than_bytes<std::remove_cv_t<A>> || more_than_bytes<std::remove_cv_t<B>>;
template <typename... Ts>
inline constexpr bool more_than_bytes<std::tuple<Ts...>> = (more_than_bytes<std::remove_cv_t<Ts>> || ...);

template <typename T>
concept as_it_lies =
    std::is_trivially_copyable_v<T> && std::is_copy_constructible_v<T> && !std::is_array_v<T> && !more_than_bytes<T>;

// Containers, which travel as their length and their elements.
template <typename T>
inline constexpr bool is_container = false;
template <typename T, typename... More>
inline constexpr bool is_container<std::basic_string<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::vector<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::deque<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::list<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::set<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::multiset<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::unordered_set<T, More...>> = true;
template <typename T, typename... More>
inline constexpr bool is_container<std::unordered_multiset<T, More...>> = true;
template <typename K, typename V, typename... More>
inline constexpr bool is_container<std::map<K, V, More...>> = true;
template <typename K, typename V, typename... More>
inline constexpr bool is_container<std::multimap<K, V, More...>> = true;
template <typename K, typename V, typename... More>
inline constexpr bool is_container<std::unordered_map<K, V, More...>> = true;
template <typename K, typename V, typename... More>
inline constexpr bool is_container<std::unordered_multimap<K, V, More...>> = true;

template <typename T>
struct Sendable : std::bool_constant<as_it_lies<T> || (boost_serializable<T> && std::is_default_constructible_v<T>)> {};
template <typename... Parts>
struct AllSendable : std::conjunction<Sendable<std::remove_cv_t<Parts>>...> {};

// What is taken apart here.
template <typename C>
requires is_container<C>
struct Sendable<C> : AllSendable<typename C::value_type> {
};
template <typename T, std::size_t N>
requires(!as_it_lies<std::array<T, N>>) struct Sendable<std::array<T, N>>
    : std::conjunction<AllSendable<T>, std::is_default_constructible<std::array<T, N>>> {
};
template <typename T>
struct Sendable<std::optional<T>> : AllSendable<T> {};
template <typename A, typename B>
struct Sendable<std::pair<A, B>> : AllSendable<A, B> {};
template <typename... Ts>
struct Sendable<std::tuple<Ts...>> : AllSendable<Ts...> {};
template <typename... Ts>
struct Sendable<std::variant<Ts...>> : AllSendable<Ts...> {};

/// Asks the kernel for huge pages where there is room for some. A payload of GiB is touched for the first time in
/// several buffers on its way, and taking 4 KiB at a time took longer than copying it (2.5 times the bandwidth, on a
/// VM).
void prefer_huge_pages(void* memory, std::size_t bytes) noexcept;

/// From here on values are so large that touching memory for the first time takes longer than copying it.
inline constexpr std::size_t large_bytes = 4 << 20;

/// Gives memory back to the system that is read from its beginning to its end and not used again: what of the first
/// `to` bytes was not given back for the first `from`. The system hands it out again for what is written meanwhile: it
/// is still in the caches, and backed by memory of the host's if this is a VM. In huge pages, so that none is split.
/// What is left there is zeros or the bytes as they were. @pre memory of malloc's
void give_back(void* memory, std::size_t from, std::size_t to) noexcept;
/// Copies bytes, and gives those at `from` back on the way.
void move_bytes(void* to, void* from, std::size_t bytes) noexcept;

/// Leaves memory as it is where a vector would fill it with zeros.
template <typename T>
struct Uninitialised : std::allocator<T> {
  template <typename U>
  struct rebind {
    using other = Uninitialised<U>;
  };
  [[nodiscard]] T* allocate(std::size_t count) {
    T* memory = std::allocator<T>::allocate(count);
    if (count * sizeof(T) >= large_bytes) prefer_huge_pages(memory, count * sizeof(T));
    return memory;
  }
  template <typename U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <typename U, typename... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
  }
};

}  // namespace detail

/// A type whose values can be sent to another rank.
template <typename T>
concept Sendable = detail::Sendable<std::remove_cv_t<T>>::value;

using Bytes = std::vector<std::byte, detail::Uninitialised<std::byte>>;

/// Writes values into bytes.
class Packer {
 public:
  void bytes(const void* from, std::size_t size) {
    if (size > 0) std::memcpy(grow(size), from, size);
  }

  template <typename T>
  void put(const T& value);
  /// The same of a value that is not used again: takes less time and memory if it is large.
  template <typename T>
  void take(T value) {
    const Taking taking{*this};
    put(value);
  }
  [[nodiscard]] bool takes() const noexcept { return takes_; }
  /// As move_bytes().
  void take_bytes(void* from, std::size_t size) { detail::move_bytes(grow(size), from, size); }

  /// Writes over what was put at `at`, a size() of before.
  template <typename T>
  requires std::is_trivially_copyable_v<T>
  void patch(std::size_t at, const T& value) { std::memcpy(bytes_.data() + head + at, &value, sizeof(T)); }
  /// Drops all that was put from `at` on.
  void cut(std::size_t at) { bytes_.resize(head + at); }

  void reserve(std::size_t size) { bytes_.reserve(head + size); }
  void clear() noexcept { bytes_.resize(head); }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() - head; }
  [[nodiscard]] std::span<const std::byte> view() const noexcept { return std::span{bytes_}.subspan(head); }

 private:
  friend class Mailbox;
  static constexpr std::size_t head = 8;  // the mailbox writes its own there

  /// Until the value is packed, or what packs it has thrown.
  class Taking {
   public:
    explicit Taking(Packer& packer) noexcept : packer_{packer} { packer_.takes_ = true; }
    ~Taking() { packer_.takes_ = false; }
    Taking(const Taking&) = delete;
    Taking& operator=(const Taking&) = delete;

   private:
    Packer& packer_;
  };

  [[nodiscard]] std::byte* grow(std::size_t size) {
    const std::size_t at = bytes_.size();
    if (at + size > bytes_.capacity()) bytes_.reserve(std::max(at + size, 2 * bytes_.capacity()));
    bytes_.resize(at + size);
    return bytes_.data() + at;
  }

  Bytes bytes_ = Bytes(head);
  bool takes_ = false;
};

/// Reads them back, in the same order. Throws std::runtime_error where bytes are missing.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) noexcept : bytes_{bytes} {}
  /// Of bytes that nobody reads again, in memory of malloc's: takes less time and memory for large values.
  [[nodiscard]] static Unpacker last(std::span<const std::byte> bytes) noexcept {
    Unpacker from{bytes};
    from.is_last_ = true;
    return from;
  }
  [[nodiscard]] bool is_last() const noexcept { return is_last_; }
  /// The next `size` bytes, to be read in the same way.
  [[nodiscard]] Unpacker part(std::size_t size) {
    Unpacker from{bytes(size)};
    from.is_last_ = is_last_;
    return from;
  }

  [[nodiscard]] std::span<const std::byte> bytes(std::size_t size) {
    if (size > bytes_.size()) throw std::runtime_error("a message is shorter than what it should hold");
    const auto taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }

  template <typename T>
  [[nodiscard]] T get();

  [[nodiscard]] std::span<const std::byte> rest() const noexcept { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
  bool is_last_ = false;
};

namespace detail {

class PackerStream : public std::streambuf {
 public:
  explicit PackerStream(Packer& packer) : packer_{packer} {}

 protected:
  std::streamsize xsputn(const char* from, std::streamsize size) override {
    packer_.bytes(from, static_cast<std::size_t>(size));
    return size;
  }
  int_type overflow(int_type c) override {
    const char byte = traits_type::to_char_type(c);
    packer_.bytes(&byte, 1);
    return traits_type::not_eof(c);
  }

 private:
  Packer& packer_;
};

class UnpackerStream : public std::streambuf {
 public:
  explicit UnpackerStream(Unpacker& unpacker) : unpacker_{unpacker} {}

 protected:
  std::streamsize xsgetn(char* to, std::streamsize size) override {
    const auto taken = unpacker_.bytes(static_cast<std::size_t>(size));
    std::memcpy(to, taken.data(), taken.size());
    return size;
  }
  int_type underflow() override { throw std::runtime_error("a message cannot be read byte by byte"); }

 private:
  Unpacker& unpacker_;
};

template <typename T>
struct Codec {
  static void put(Packer& to, const T& value) {
    if constexpr (as_it_lies<T>) {
      if constexpr (!std::is_empty_v<T>) to.bytes(&value, sizeof(T));
    } else {
      PackerStream stream{to};
      boost::archive::binary_oarchive archive{stream, boost::archive::no_header | boost::archive::no_codecvt};
      archive << value;
    }
  }
  static T get(Unpacker& from) {
    if constexpr (std::is_same_v<T, bool>) {
      return from.get<std::uint8_t>() != 0;  // no other value of one may be looked at
    } else if constexpr (as_it_lies<T>) {
      // Not every such type, a closure for one, can be made but by a copy.
      alignas(T) std::array<std::byte, sizeof(T)> memory{};
      if constexpr (!std::is_empty_v<T>) std::memcpy(memory.data(), from.bytes(sizeof(T)).data(), sizeof(T));
      return *std::launder(reinterpret_cast<const T*>(memory.data()));
    } else {
      T value{};
      UnpackerStream stream{from};
      boost::archive::binary_iarchive archive{stream, boost::archive::no_header | boost::archive::no_codecvt};
      archive >> value;
      return value;
    }
  }
};

template <typename C>
requires is_container<C>
struct Codec<C> {
  using T = typename C::value_type;
  static constexpr bool bulk = std::ranges::contiguous_range<C> && as_it_lies<T> && std::is_default_constructible_v<T>;
  static constexpr bool of_malloc = std::is_same_v<typename C::allocator_type, std::allocator<T>>;

  static void put(Packer& to, const C& value) {
    to.put(std::uint64_t{value.size()});
    if constexpr (bulk) {
      const std::size_t size = value.size() * sizeof(T);
      if (of_malloc && to.takes() && size >= large_bytes) {
        to.take_bytes(const_cast<T*>(value.data()), size);
      } else {
        to.bytes(value.data(), size);
      }
    } else {
      for (const auto& element : value) {
        const std::size_t at = to.size();
        to.put<T>(element);
        if (to.size() == at) to.put(std::byte{});
      }
    }
  }
  static C get(Unpacker& from) {
    const auto count = from.get<std::uint64_t>();
    // Each takes a byte at least, so that a wrong number cannot ask for more memory than there is message.
    if (count > from.rest().size() / (bulk ? sizeof(T) : 1)) {
      throw std::runtime_error("a message is shorter than what it should hold");
    }
    C value;
    if constexpr (bulk) {
      get_bulk(value, count, from);
    } else {
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::size_t left = from.rest().size();
        auto element = from.get<T>();
        if (from.rest().size() == left) (void)from.bytes(1);
        if constexpr (requires { value.push_back(std::move(element)); }) {
          value.push_back(std::move(element));
        } else {
          value.insert(value.end(), std::move(element));
        }
      }
    }
    return value;
  }

 private:
  static void get_bulk(C& value, std::size_t count, Unpacker& from) {
    const auto taken = from.bytes(count * sizeof(T));
    const auto* const first = reinterpret_cast<const T*>(taken.data());
    if (reinterpret_cast<std::uintptr_t>(first) % alignof(T) != 0) {
      value.resize(count);
      std::memcpy(static_cast<void*>(value.data()), taken.data(), taken.size());
      return;
    }
    // Appended, as resize() would fill the memory with zeros first.
    if (!from.is_last() || taken.size() < large_bytes) {
      value.insert(value.end(), first, first + count);
      return;
    }
    constexpr std::size_t step = std::max<std::size_t>(1, large_bytes / sizeof(T));
    value.reserve(count);
    for (std::size_t done = 0; done < count; done += step) {
      const std::size_t next = std::min(done + step, count);
      value.insert(value.end(), first + done, first + next);
      give_back(const_cast<T*>(first), done * sizeof(T), next * sizeof(T));
    }
  }
};

template <typename T, std::size_t N>
requires(!as_it_lies<std::array<T, N>>) struct Codec<std::array<T, N>> {
  static void put(Packer& to, const std::array<T, N>& value) {
    for (const T& element : value) to.put(element);
  }
  static std::array<T, N> get(Unpacker& from) {
    std::array<T, N> value{};
    for (T& element : value) element = from.get<T>();
    return value;
  }
};

template <typename T>
requires(!as_it_lies<std::optional<T>>) struct Codec<std::optional<T>> {
  static void put(Packer& to, const std::optional<T>& value) {
    to.put(value.has_value());
    if (value) to.put(*value);
  }
  static std::optional<T> get(Unpacker& from) {
    if (!from.get<bool>()) return std::nullopt;
    return from.get<T>();
  }
};

template <typename... Ts>
requires(!as_it_lies<std::variant<Ts...>>) struct Codec<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;

  static void put(Packer& to, const Variant& value) {
    to.put(std::uint64_t{value.index()});
    std::visit([&](const auto& held) { to.put(held); }, value);  // throws where a failed assignment left none
  }
  static Variant get(Unpacker& from) {
    const auto index = from.get<std::uint64_t>();
    if (index >= sizeof...(Ts)) throw std::runtime_error("a message holds what it should not");
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using Get = Variant (*)(Unpacker&);
      constexpr std::array<Get, sizeof...(Ts)> each{[](Unpacker& bytes) -> Variant {
        return Variant{std::in_place_index<I>, bytes.get<std::variant_alternative_t<I, Variant>>()};
      }...};
      return each[index](from);
    }
    (std::index_sequence_for<Ts...>{});
  }
};

template <typename A, typename B>
requires(!as_it_lies<std::pair<A, B>>) struct Codec<std::pair<A, B>> {
  static void put(Packer& to, const std::pair<A, B>& value) {
    to.put(value.first);
    to.put(value.second);
  }
  static std::pair<A, B> get(Unpacker& from) {
    auto first = from.get<std::remove_cv_t<A>>();
    auto second = from.get<std::remove_cv_t<B>>();
    return {std::move(first), std::move(second)};
  }
};

template <typename... Ts>
requires(!as_it_lies<std::tuple<Ts...>>) struct Codec<std::tuple<Ts...>> {
  static void put(Packer& to, const std::tuple<Ts...>& value) {
    std::apply([&](const auto&... part) { (to.put(part), ...); }, value);
  }
  static std::tuple<Ts...> get(Unpacker& from) {
    return std::tuple<Ts...>{from.get<Ts>()...};  // braces: from left to right
  }
};

}  // namespace detail

template <typename T>
void Packer::put(const T& value) {
  static_assert(Sendable<T>,
                "echelon: values of this type cannot be sent to another rank. Types that can: trivially copyable ones "
                "without pointers (not pointers, references, iterators, string_view or span: an address means nothing "
                "to another rank), std::string, the standard containers of such types, and types with a default "
                "constructor and a Boost.Serialization serialize() (where it is not found, see "
                "echelon::boost_serializable<T>).");
  if constexpr (Sendable<T>) detail::Codec<std::remove_cv_t<T>>::put(*this, value);
}

template <typename T>
T Unpacker::get() {
  static_assert(Sendable<T>, "echelon: values of this type cannot be received from another rank; see Packer::put");
  if constexpr (Sendable<T>) return detail::Codec<std::remove_cv_t<T>>::get(*this);
}

}  // namespace echelon::comm
