// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_CLOSE_REASON_H_
#define KINSOCK_ROUTER_CLOSE_REASON_H_

#include <cstddef>
#include <cstdint>

namespace kinsock {

// Why a connection ended, or was never made. The names are those of the API.
enum class CloseReason : uint8_t {
  kNone,             // still open
  kFinished,         // both ends shut down in order
  kGuestReset,       // a guest sent RST: refused, or an abrupt close
  kHostClosed,       // the host program went away
  kNoListener,       // nobody listens on the host path or port
  kPolicyDenied,     // by a policy, or no group is shared, or the port of the host leads to another guest
  kConnectTimeout,   // no answer to the request in time
  kCreditViolation,  // more was sent than the receiver had granted
  kMalformed,        // a packet that the protocol does not allow there
  kQuota,            // a limit of the VM was reached
  kTypeUnsupported,  // SEQPACKET, and the driver of an end did not acknowledge it
  kMessageTooLarge,  // a message that can never fit into the window that it has to pass through
  kPeerGone,         // the VMM of the other end exited, its guest restarted, or the VM was deleted
  kAdminReset,       // by request through the API
  kDrain,            // the VM takes and makes no new connections, and those that it had were given up
  kTransportReset,   // the guest was told to forget all its connections
};

// How many there are, kNone included: the last one and those before it.
inline constexpr size_t kCloseReasons = static_cast<size_t>(CloseReason::kTransportReset) + 1;

// How the reason is spelled in the API and in logs, for example "GUEST_RST". Static storage.
const char* CloseReasonName(CloseReason reason);

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_CLOSE_REASON_H_
