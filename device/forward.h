// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_FORWARD_H_
#define KINSOCK_DEVICE_FORWARD_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/counter.h"
#include "device/host_endpoint.h"
#include "router/close_reason.h"

namespace kinsock {

// Names a forward for the life of the process; never reused.
using ForwardId = uint64_t;

// What a forward has counted, from its making to its end. Written by the reactor of the VM; anyone may read at any
// time.
struct ForwardStats {
  Counter connects;        // connections that were asked for
  Counter refused;         // of these: not made, whatever the reason
  Counter limited;         // of the refused: Forward::kMaxOpen was reached
  Counter bytes_to_guest;  // payload, PROXY headers included
  Counter bytes_to_host;   // likewise
  std::atomic<int64_t> open{0};
  std::atomic<CloseReason> last_refusal{CloseReason::kNone};
  std::atomic<int64_t> last_refusal_ms{0};  // of the wall clock, since 1970
};

// A socket of the host joined to a port of one guest, without a handshake.
//
//   kToGuest:    whoever connects to the socket is connected to the guest's port; who is refused sees the connection
//                reset, or on AF_UNIX end of file.
//   kFromGuest:  who in the guest connects to the host (CID 2) at this port is connected to the socket, instead of what
//                the VM's host side has there.
//
// Streams only. Connections that exist when a forward changes or goes stay as they are.
//
// Thread: the reactor of the VM's device, but for `stats`.
struct Forward {
  enum class Direction : uint8_t { kToGuest, kFromGuest };

  // Connections of one forward: a sixteenth of what a VM may have by default, so that who connects to one and does
  // nothing leaves the rest of it to others. Beyond: the new one is refused (QUOTA), counted as `limited`.
  static constexpr int64_t kMaxOpen = 4096;

  ForwardId id = 0;
  std::string vm;  // "vms/<id>", for the PROXY header
  Direction direction = Direction::kToGuest;
  uint32_t guest_port = 0;
  HostEndpoint host;          // kToGuest: where it listens; kFromGuest: where it leads
  bool proxy_header = false;  // the first bytes of each connection say whose it is (proxy_header.h)
  std::shared_ptr<ForwardStats> stats = std::make_shared<ForwardStats>();

  // Counts a request. False: as many are open as may be, and the caller refuses it.
  bool Begin() {
    stats->connects.Add();
    if (stats->open.load(std::memory_order_relaxed) < kMaxOpen) return true;
    stats->limited.Add();
    return false;
  }
  void CountOpen(int change) { stats->open.fetch_add(change, std::memory_order_relaxed); }
  void CountRefused(CloseReason reason) {
    stats->refused.Add();
    stats->last_refusal.store(reason, std::memory_order_relaxed);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    stats->last_refusal_ms.store(std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                                 std::memory_order_relaxed);
  }
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_FORWARD_H_
