// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_LITTLE_ENDIAN_H_
#define KINSOCK_BASE_LITTLE_ENDIAN_H_

#include <bit>
#include <type_traits>

namespace kinsock {

// An integer in wire order (virtio 1.3, section 1.4: le16, le32, le64). It converts only when asked to, so
// that a wire value is never taken for a number by accident. Trivially copyable, the size of T.
template <typename T>
class Le {
  static_assert(std::is_unsigned_v<T>);
  static_assert(std::endian::native == std::endian::little,
                "rings are shared with a little-endian guest; this host would have to swap");

 public:
  Le() = default;
  explicit constexpr Le(T value) : wire_(value) {}
  constexpr T value() const { return wire_; }
  friend constexpr bool operator==(const Le&, const Le&) = default;

 private:
  T wire_;
};

}  // namespace kinsock

#endif  // KINSOCK_BASE_LITTLE_ENDIAN_H_
