// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_SERVICE_TUNNEL_ERRORS_H_
#define KINSOCK_SERVER_SERVICE_TUNNEL_ERRORS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/kinsock/v1/tunnel.pb.h"
#include "router/close_reason.h"
#include "router/policy.h"

namespace kinsock {

// Where a tunnel leads, and why it does not. Pure functions; any thread.

struct TunnelTarget {
  std::string vm_id;
  uint32_t port = 0;
  std::string name() const { return "vms/" + vm_id; }
};

// What the first frame asks for. INVALID_ARGUMENT FIELD_INVALID.
absl::StatusOr<TunnelTarget> ToTunnelTarget(const v1::TunnelFrame& first);

// Why `frame` must not come after the first; OK: it may. `half_closed`: its sender has said that no data comes.
absl::Status CheckTunnelFrame(const v1::TunnelFrame& frame, bool half_closed);

// The connection was not made. `denied_by`: as Dial::OnEnded() has it.
absl::Status TunnelRefused(const TunnelTarget& target, CloseReason reason, const Policy* denied_by);

// ABORTED TUNNEL_RESET: it was, and was broken off.
absl::Status TunnelWasReset(const TunnelTarget& target, CloseReason reason);

// The client has ended the call before its first frame, or has sent bytes that are none: gRPC does not tell which.
absl::Status TunnelWithoutFrame();

// The client did not say where to.
absl::Status TunnelNotOpened();

}  // namespace kinsock

#endif  // KINSOCK_SERVER_SERVICE_TUNNEL_ERRORS_H_
