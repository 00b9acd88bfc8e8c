// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_CHAIN_BUILDER_H_
#define KINSOCK_TESTS_SUPPORT_CHAIN_BUILDER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/support/uapi.h"

namespace kinsock::testing {

// Describes a descriptor chain before it is put into a ring: the well-formed ones of a driver, and any malformed
// one a hostile driver could think of (virtio 1.3, 2.7.5 and 2.7.5.3). Plain value.
//
//     ChainBuilder().Readable(header, 44).Writable(buffer, 100)
//     ChainBuilder().Readable(header, 44).NextIs(0)                      a chain that bites its tail
//     ChainBuilder().Indirect(ChainBuilder().Readable(header, 44))
class ChainBuilder {
 public:
  struct Link {
    uint64_t gpa = 0;
    uint32_t size = 0;
    uint16_t flags = 0;  // VRING_DESC_F_*, except NEXT, which follows from the position unless forced
    std::optional<uint16_t> next_position;  // continue at this link of the chain instead of the following one
    std::optional<uint16_t> next_raw;       // or put this very number into the descriptor
    std::vector<Link> table;                // the contents of an indirect table, when it is to be made
  };

  ChainBuilder& Readable(uint64_t gpa, uint32_t size) { return Descriptor(gpa, size, 0); }
  ChainBuilder& Writable(uint64_t gpa, uint32_t size) { return Descriptor(gpa, size, VRING_DESC_F_WRITE); }

  // Any descriptor whatsoever.
  ChainBuilder& Descriptor(uint64_t gpa, uint32_t size, uint16_t flags) {
    links_.push_back({gpa, size, flags, {}, {}, {}});
    return *this;
  }

  // A descriptor that refers to a table with the links of `table`.
  ChainBuilder& Indirect(const ChainBuilder& table) {
    links_.push_back({0, 0, VRING_DESC_F_INDIRECT, {}, {}, table.links_});
    return *this;
  }

  // Makes the last link so far go on at link `position` (a loop), or at the raw descriptor index `index`.
  ChainBuilder& NextIs(uint16_t position) {
    links_.back().next_position = position;
    return *this;
  }
  ChainBuilder& NextIsRaw(uint16_t index) {
    links_.back().next_raw = index;
    return *this;
  }

  const std::vector<Link>& links() const { return links_; }

 private:
  std::vector<Link> links_;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_CHAIN_BUILDER_H_
