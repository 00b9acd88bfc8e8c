// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_BASE_STABLE_HASH_H_
#define KINSOCK_BASE_STABLE_HASH_H_

#include <cstdint>
#include <string_view>

namespace kinsock {

// FNV-1a, 64 bits: the same number for the same bytes in every release and on every machine, so that it may be kept in
// a file. Finds accidents; whoever wants two texts with one hash finds them.
constexpr uint64_t StableHash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace kinsock

#endif  // KINSOCK_BASE_STABLE_HASH_H_
