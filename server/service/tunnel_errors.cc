// SPDX-License-Identifier: Apache-2.0
#include "server/service/tunnel_errors.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/convert/vm_requests.h"
#include "server/service/tunnel_stream.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr uint32_t kAnyPort = UINT32_MAX;  // VMADDR_PORT_ANY

// For a person, behind "web:80 ".
std::string WhyRefused(CloseReason reason) {
  switch (reason) {
    case CloseReason::kGuestReset:
      return "refused the connection: nobody listens there";
    case CloseReason::kConnectTimeout:
      return "did not answer within 2 s; is its driver stuck?";
    case CloseReason::kPeerGone:
      return "cannot be reached: no guest runs on the VM; start its VMM, and wait for the state ACTIVE";
    case CloseReason::kDrain:
      return "cannot be reached: the VM is drained; ResumeVm lets connections begin again";
    default:
      return absl::StrCat("cannot be reached: ", CloseReasonName(reason));
  }
}

std::string Place(const TunnelTarget& target) { return absl::StrCat(target.vm_id, ":", target.port); }

absl::Status Misplaced(const char* field, std::string_view what) {
  return FieldsInvalid("", {{field, std::string(what)}});
}

}  // namespace

absl::StatusOr<TunnelTarget> ToTunnelTarget(const v1::TunnelFrame& first) {
  if (!first.has_open()) return Misplaced("open", "is not set; the first frame of a tunnel says where to");
  const v1::TunnelOpen& open = first.open();
  std::vector<FieldViolation> violations;
  absl::StatusOr<std::string> id = ToVmId(open.vm());
  if (!id.ok()) {
    for (const FieldViolation& violation : ErrorFields(id.status())) {
      violations.push_back({"open.vm", violation.description});
    }
  }
  if (open.port() == 0 || open.port() == kAnyPort) {
    violations.push_back({"open.port", absl::StrCat(open.port(), " is no port; give 1 to ", kAnyPort - 1)});
  }
  if (!open.type().empty() && open.type() != "STREAM") {
    violations.push_back({"open.type", absl::StrCat(Quoted(open.type()), " is not STREAM, as all tunnels are")});
  }
  if (!violations.empty()) return FieldsInvalid("", violations);
  return TunnelTarget{*std::move(id), open.port()};
}

absl::Status CheckTunnelFrame(const v1::TunnelFrame& frame, bool half_closed) {
  switch (frame.frame_case()) {
    case v1::TunnelFrame::kOpen:
      return Misplaced("open", "came twice; a tunnel leads to one port, use another call for the next");
    case v1::TunnelFrame::kOpened:
      return Misplaced("opened", "is for the daemon to say");
    case v1::TunnelFrame::kData: {
      if (half_closed) return Misplaced("data", "came after half_close, which says that there is none");
      const size_t bytes = frame.data().size();
      if (bytes > 0 && bytes <= TunnelStream::kMaxFrameBytes) return absl::OkStatus();
      return Misplaced("data", absl::StrCat("has ", bytes, " bytes; send 1 to ", TunnelStream::kMaxFrameBytes));
    }
    case v1::TunnelFrame::kHalfClose:
      if (half_closed) return Misplaced("half_close", "came twice");
      return absl::OkStatus();
    case v1::TunnelFrame::kReset:
      return absl::OkStatus();
    case v1::TunnelFrame::FRAME_NOT_SET:
      break;
  }
  return Misplaced("frame", "is empty; send data, half_close or reset");
}

absl::Status TunnelRefused(const TunnelTarget& target, CloseReason reason, const Policy* denied_by) {
  if (reason == CloseReason::kHostClosed) return absl::CancelledError("the client went away");
  if (reason == CloseReason::kPolicyDenied) {
    const std::string by = denied_by != nullptr ? absl::StrCat("the policy ", Quoted(denied_by->name))
                                                : std::string("the default of its network");
    return Error(absl::StatusCode::kPermissionDenied, "POLICY_DENIED",
                 absl::StrCat("the host may not connect to ", Place(target), ", by ", by, "; TestPolicy says more"))
        .With("policy", denied_by != nullptr ? denied_by->name : "")
        .With("vm", target.name())
        .With("port", absl::StrCat(target.port));
  }
  if (reason == CloseReason::kQuota) {
    return Error(
               absl::StatusCode::kResourceExhausted, "QUOTA_EXCEEDED",
               absl::StrCat(Place(target), " takes no more connections at present, by a limit of the VM; close some, ",
                            "or look at its statistics and its quota"))
        .With("limit", "vm_quota")
        .With("vm", target.name())
        .Quota(target.name(), "connections");
  }
  return Error(absl::StatusCode::kFailedPrecondition, "GUEST_REFUSED",
               absl::StrCat(Place(target), " ", WhyRefused(reason)))
      .With("close_reason", CloseReasonName(reason))
      .With("vm", target.name())
      .With("port", absl::StrCat(target.port))
      .Resource("kinsock.v1.Vm", target.name());
}

absl::Status TunnelWasReset(const TunnelTarget& target, CloseReason reason) {
  return Error(absl::StatusCode::kAborted, "TUNNEL_RESET",
               absl::StrCat("the connection to ", Place(target), " was broken off: ", CloseReasonName(reason),
                            "; what was under way may be lost"))
      .With("close_reason", CloseReasonName(reason))
      .With("vm", target.name())
      .With("port", absl::StrCat(target.port));
}

absl::Status TunnelWithoutFrame() {
  return Error(absl::StatusCode::kInvalidArgument, "REQUEST_MALFORMED",
               "no frame came that can be read; send one with `open` first, and end the call when you have the answers")
      .With("method", "/kinsock.v1.ConnectionService/Tunnel");
}

absl::Status TunnelNotOpened() {
  return Error(absl::StatusCode::kDeadlineExceeded, "TUNNEL_NOT_OPENED",
               "no frame with `open` came within 10 s; send it as soon as the call begins");
}

}  // namespace kinsock
