// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_PORTS_H_
#define KINSOCK_DEVICE_HOST_PORTS_H_

#include <cstdint>

#include "absl/container/flat_hash_set.h"

namespace kinsock {

// The vsock ports of host programs that have connected to one guest. First those of five digits, because
// systemd-ssh-proxy reads no more of the answer; then from 2^30 upward. The search goes on where the last one
// ended, so that a port rests for as long as possible before it names something else. Thread: the device's
// reactor.
class HostPorts {
 public:
  static constexpr uint32_t kFirstShort = 49152;
  static constexpr uint32_t kLastShort = 65535;
  static constexpr uint32_t kFirstLong = 1u << 30;

  // A port that is not in use. There always is one: connections are bounded far below 2^31.
  uint32_t Take() {
    if (short_in_use_ <= kLastShort - kFirstShort) {
      do {
        next_short_ = next_short_ == kLastShort ? kFirstShort : next_short_ + 1;
      } while (!in_use_.insert(next_short_).second);
      ++short_in_use_;
      return next_short_;
    }
    do {
      next_long_ = next_long_ >= 0xffff'fff0 ? kFirstLong : next_long_ + 1;
    } while (!in_use_.insert(next_long_).second);
    return next_long_;
  }

  // Takes this port; false if it is in use.
  bool TakeThis(uint32_t port) {
    if (!in_use_.insert(port).second) return false;
    if (port >= kFirstShort && port <= kLastShort) ++short_in_use_;
    return true;
  }

  // No effect on a port that was not taken here.
  void Release(uint32_t port) {
    if (in_use_.erase(port) > 0 && port >= kFirstShort && port <= kLastShort) --short_in_use_;
  }

 private:
  absl::flat_hash_set<uint32_t> in_use_;
  uint32_t short_in_use_ = 0;
  uint32_t next_short_ = kLastShort;
  uint32_t next_long_ = kFirstLong - 1;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_PORTS_H_
