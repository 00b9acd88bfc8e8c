// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DESCRIPTOR_CHAIN_H_
#define KINSOCK_DEVICE_DESCRIPTOR_CHAIN_H_

#include <cassert>
#include <cstdint>
#include <utility>

#include "base/scatter_list.h"

namespace kinsock {

// A chain of buffers that the driver has lent to the device. It must be given back through the used ring
// (Virtqueue::Return) exactly once, or be given up with the whole ring (Abandon); the destructor checks.
class DescriptorChain {
 public:
  DescriptorChain() = default;
  DescriptorChain(DescriptorChain&& other) noexcept
      : readable(std::move(other.readable)),
        writable(std::move(other.writable)),
        head_(other.head_),
        owed_(std::exchange(other.owed_, false)) {}
  DescriptorChain& operator=(DescriptorChain&& other) noexcept {
    assert(!owed_);
    readable = std::move(other.readable);
    writable = std::move(other.writable);
    head_ = other.head_;
    owed_ = std::exchange(other.owed_, false);
    return *this;
  }
  ~DescriptorChain() { assert(!owed_); }

  // Whether the driver waits for it.
  bool owed() const { return owed_; }

  // The ring it came from is being reset: the driver no longer expects it.
  void Abandon() { owed_ = false; }

  ScatterList readable;  // for the device to read
  ScatterList writable;  // for the device to write

 private:
  friend class Virtqueue;
  uint16_t head_ = 0;
  bool owed_ = false;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DESCRIPTOR_CHAIN_H_
