// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_POINT_H_
#define KINSOCK_CAPTURE_POINT_H_

#include <cstdint>

#include "router/network.h"

namespace kinsock {

// Which way a packet goes, seen from the VM at whose device it is looked at. A packet between two siblings passes two
// points: it comes from one guest, and goes to the other.
enum class CaptureDirection : uint8_t { kFromGuest, kToGuest };

// Where packets are looked at: one side of one device. Plain value.
struct CapturePoint {
  uint64_t device = 0;  // DeviceSpec::id
  NetworkId network = kDefaultNetwork;
  CaptureDirection direction = CaptureDirection::kFromGuest;

  // Tells the points of the daemon apart, and is never 0.
  uint64_t key() const { return device * 2 + static_cast<uint64_t>(direction) + 1; }
  static CapturePoint OfKey(uint64_t key) {
    return {.device = (key - 1) / 2, .direction = static_cast<CaptureDirection>((key - 1) % 2)};
  }
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_POINT_H_
