// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_BIT_SET_H_
#define KINSOCK_ROUTER_BIT_SET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kinsock {

// A set of small numbers, a bit for each. Sets that are compared word by word are of the same size.
class BitSet {
 public:
  BitSet() = default;
  // Empty; has room for the numbers below `size`.
  explicit BitSet(size_t size) : words_((size + 63) / 64) {}

  // Precondition: `number` is below the size.
  void Set(size_t number) { words_[number / 64] |= uint64_t{1} << (number % 64); }
  bool Has(size_t number) const { return (words_[number / 64] >> (number % 64) & 1) != 0; }

  const std::vector<uint64_t>& words() const { return words_; }

 private:
  std::vector<uint64_t> words_;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_BIT_SET_H_
