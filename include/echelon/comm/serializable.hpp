#pragma once

#include <bitset>
#include <complex>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/is_bitwise_serializable.hpp>
#include <boost/serialization/serialization.hpp>

/// Which types say themselves how they are serialized, in Boost's ways.

namespace echelon::comm::detail {

// A class that has a member of that name, private or not, makes the name ambiguous in a class derived from it too. From
// a final class none is derived.
struct HasSerialize {
  int serialize;
};
template <typename T>
struct Both : T, HasSerialize {};
template <typename T>
inline constexpr bool names_serialize = false;
template <typename T>
requires(std::is_class_v<T> && !std::is_final_v<T>) inline constexpr bool names_serialize<T> = !requires {
  &Both<T>::serialize;
};

template <typename T>
inline constexpr bool takes_archive = requires(T& value, boost::archive::binary_oarchive& archive) {
  value.serialize(archive, 0U);
};
/// Something else of that name: a plain function or value, or what other libraries call for an archive.
template <typename T>
inline constexpr bool is_for_others = requires {
  &T::serialize;
}
|| requires(T& value, boost::archive::binary_oarchive& archive) { value.serialize(archive); };

/// A member for Boost; what is not public is taken for one, as boost::serialization::access sees it.
template <typename T>
inline constexpr bool member_serialize = takes_archive<T> || (names_serialize<T> && !is_for_others<T>);

/// Stands beside a function of the user's, in the namespace of its type or in Boost's: Boost's own for all types is
/// less special than this, the user's is not, so that neither would be called.
namespace probe {
struct Archive {};
struct NoneFound {};
template <typename T>
NoneFound serialize(Archive&, T&, unsigned int);
template <typename T>
inline constexpr bool finds_none = requires(Archive& archive, T& value, boost::serialization::version_type version) {
  { serialize(archive, value, version) } -> std::same_as<NoneFound>;
};
}  // namespace probe

// What Boost's headers serialize part by part lies in memory just as well.
template <typename T>
inline constexpr bool plain_in_std = false;
template <typename T>
inline constexpr bool plain_in_std<std::complex<T>> = true;
template <std::size_t N>
inline constexpr bool plain_in_std<std::bitset<N>> = true;

template <typename T>
inline constexpr bool finds_serialize = false;
template <typename T>
requires(std::is_class_v<T> && !plain_in_std<T>) inline constexpr bool finds_serialize<T> =
    (member_serialize<T> || !probe::finds_none<T>)&&!(std::is_trivially_copyable_v<T> &&
                                                      boost::serialization::is_bitwise_serializable<T>::value);

}  // namespace echelon::comm::detail

namespace echelon {

/// Values of this type are sent by its serialize(), whether or not they are trivially copyable: a member, public or
/// not, or a function outside of the type, in its namespace or in boost::serialization, also in the form of save() and
/// load(). BOOST_IS_BITWISE_SERIALIZABLE has a trivially copyable type sent as it lies in memory all the same.
///
/// Say `template <> inline constexpr bool echelon::boost_serializable<T> = true;` where it is not found: a member of a
/// final class that is not public. Say `= false` for a serialize() that is not meant for Boost.
///
/// A trivially copyable type without one is sent as it lies in memory, with all its members, whatever they have: where
/// one of them is to be sent by its serialize(), the type needs one, too. So does what a lambda captures: pass it as an
/// argument.
template <typename T>
inline constexpr bool boost_serializable = comm::detail::finds_serialize<T>;

}  // namespace echelon
