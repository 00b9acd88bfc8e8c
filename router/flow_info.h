// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_INFO_H_
#define KINSOCK_ROUTER_FLOW_INFO_H_

#include <linux/virtio_vsock.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "router/cid.h"
#include "router/close_reason.h"

namespace kinsock {

struct Policy;

// What can be told of one connection at a moment: plain values for reports, a copy that nobody updates.
struct FlowInfo {
  enum class State : uint8_t { kConnecting, kEstablished, kHalfClosed, kClosing, kClosed };

  struct End {
    uint64_t device = 0;  // DeviceSpec::id of the guest; for the host end, of the VM whose host side it is
    Cid cid = 0;          // kHostCid: the host end
    uint32_t port = 0;
    int64_t host_pid = 0;  // the host program, where the kernel told; else 0
    int64_t host_uid = -1;
    Cid host_cid = 0;        // the host program's own AF_VSOCK address; 0: it has none
    uint32_t host_port = 0;  // likewise
  };

  struct Direction {
    uint64_t bytes = 0;                   // payload delivered
    uint64_t packets = 0;                 // packets of any operation
    uint32_t buf_alloc = 0;               // what the receiver granted last (bytes)
    uint32_t fwd_cnt = 0;                 // what the receiver had consumed by then (modulo 2^32)
    uint32_t credit = 0;                  // what the sender may send now (bytes)
    uint64_t queued_bytes = 0;            // taken from the sender, not yet with the receiver
    uint64_t credit_stalls = 0;           // times that the sender had to wait for credit
    std::chrono::nanoseconds stalled{0};  // how long, all together
    uint64_t bytes_per_second = 0;        // payload lately; who reports it measures it (server/flow_rates)
  };

  uint64_t id = 0;  // never reused while the daemon runs
  uint16_t type = VIRTIO_VSOCK_TYPE_STREAM;
  State state = State::kConnecting;
  CloseReason close_reason = CloseReason::kNone;
  bool accepted = false;  // the request was: the connection is, or was, established
  // kPolicyDenied: the policy that decided, if it was one. kConnecting: the one that let it through and says `log`.
  std::shared_ptr<const Policy> decided_by;
  End initiator;
  End target;
  std::chrono::system_clock::time_point start_time;
  std::chrono::system_clock::time_point close_time;  // kClosed
  Direction to_target;
  Direction to_initiator;

  // It had no right to be, or no room: never accepted.
  bool denied() const {
    return state == State::kClosed && !accepted &&
           (close_reason == CloseReason::kPolicyDenied || close_reason == CloseReason::kQuota);
  }
};

// All states but kClosed, in which somebody has the connection.
inline constexpr size_t kOpenFlowStates = static_cast<size_t>(FlowInfo::State::kClosed);

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_INFO_H_
