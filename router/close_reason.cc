// SPDX-License-Identifier: Apache-2.0
#include "router/close_reason.h"

namespace kinsock {

const char* CloseReasonName(CloseReason reason) {
  switch (reason) {
    case CloseReason::kNone:
      return "NONE";
    case CloseReason::kFinished:
      return "FINISHED";
    case CloseReason::kGuestReset:
      return "GUEST_RST";
    case CloseReason::kHostClosed:
      return "HOST_EOF";
    case CloseReason::kNoListener:
      return "NO_LISTENER";
    case CloseReason::kPolicyDenied:
      return "POLICY_DENIED";
    case CloseReason::kConnectTimeout:
      return "CONNECT_TIMEOUT";
    case CloseReason::kCreditViolation:
      return "CREDIT_VIOLATION";
    case CloseReason::kMalformed:
      return "MALFORMED";
    case CloseReason::kQuota:
      return "QUOTA";
    case CloseReason::kTypeUnsupported:
      return "TYPE_UNSUPPORTED";
    case CloseReason::kMessageTooLarge:
      return "MESSAGE_TOO_LARGE";
    case CloseReason::kPeerGone:
      return "PEER_GONE";
    case CloseReason::kAdminReset:
      return "ADMIN_RESET";
    case CloseReason::kDrain:
      return "DRAIN";
    case CloseReason::kTransportReset:
      return "TRANSPORT_RESET";
  }
  return "UNKNOWN";
}

}  // namespace kinsock
