// SPDX-License-Identifier: Apache-2.0
#include "server/convert/connection_conversion.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/convert/proto_time.h"
#include "server/status/error.h"

namespace kinsock {
namespace {

constexpr char kPrefix[] = "connections/";

v1::Connection::State StateToProto(FlowInfo::State state) {
  switch (state) {
    case FlowInfo::State::kConnecting:
      return v1::Connection::CONNECTING;
    case FlowInfo::State::kEstablished:
      return v1::Connection::ESTABLISHED;
    case FlowInfo::State::kHalfClosed:
      return v1::Connection::HALF_CLOSED;
    case FlowInfo::State::kClosing:
      return v1::Connection::CLOSING;
    case FlowInfo::State::kClosed:
      return v1::Connection::CLOSED;
  }
  return v1::Connection::STATE_UNSPECIFIED;
}

// `called`: this end is the connection's target. The host's end then is the file that is named after the port.
void SetEndpoint(const FlowInfo::End& end, const VmSnapshotPtr& vm, bool called, v1::Endpoint& out) {
  out.set_cid(end.cid);
  out.set_port(end.port);
  if (end.cid != kHostCid) {
    if (vm != nullptr) out.set_vm(vm->definition->name());
    return;
  }
  if (vm != nullptr && !vm->status.uds_path.empty()) {
    out.set_host_path(called ? absl::StrCat(vm->status.uds_path, "_", end.port) : vm->status.uds_path);
  }
  out.set_host_pid(end.host_pid);
  out.set_host_uid(end.host_uid);
  out.set_host_cid(end.host_cid);
  out.set_host_port(end.host_port);
}

void SetDirection(const FlowInfo::Direction& direction, v1::Flow& out) {
  out.set_bytes(direction.bytes);
  out.set_packets(direction.packets);
  out.set_bytes_per_second(direction.bytes_per_second);
  out.set_buf_alloc(direction.buf_alloc);
  out.set_fwd_cnt(direction.fwd_cnt);
  out.set_credit(direction.credit);
  out.set_queued_bytes(direction.queued_bytes);
  out.set_credit_stalls(direction.credit_stalls);
  SetDuration(*out.mutable_stalled(), direction.stalled);
}

}  // namespace

v1::Connection::CloseReason ReasonToProto(CloseReason reason) {
  v1::Connection::CloseReason out;
  const bool known = v1::Connection::CloseReason_Parse(CloseReasonName(reason), &out);
  return known ? out : v1::Connection::CLOSE_REASON_UNSPECIFIED;
}

std::optional<FlowInfo::State> StateFromProto(int state) {
  switch (state) {
    case v1::Connection::CONNECTING:
      return FlowInfo::State::kConnecting;
    case v1::Connection::ESTABLISHED:
      return FlowInfo::State::kEstablished;
    case v1::Connection::HALF_CLOSED:
      return FlowInfo::State::kHalfClosed;
    case v1::Connection::CLOSING:
      return FlowInfo::State::kClosing;
    case v1::Connection::CLOSED:
      return FlowInfo::State::kClosed;
    default:
      return std::nullopt;
  }
}

std::string ConnectionName(uint64_t flow_id, std::string_view instance) {
  return absl::StrCat("connections/", AbslView(instance), "-", flow_id);
}

absl::Status ConnectionNotFound(std::string_view name) {
  return Error(absl::StatusCode::kNotFound, "CONNECTION_NOT_FOUND",
               absl::StrCat("there is no connection ", Quoted(name),
                            "; it may have ended more than a minute ago, or before the daemon was started"))
      .Resource("kinsock.v1.Connection", name);
}

absl::StatusOr<uint64_t> ToFlowId(std::string_view name, std::string_view instance) {
  const absl::string_view text = AbslView(name);
  const size_t dash = text.rfind('-');
  uint64_t id = 0;
  if (!absl::StartsWith(text, kPrefix) || dash == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(dash + 1), &id)) {
    return FieldsInvalid("", {{"name", absl::StrCat(Quoted(name), " is not the name of a connection; give ",
                                                    "\"connections/{instance}-{n}\", as ListConnections does")}});
  }
  if (name != ConnectionName(id, instance)) return ConnectionNotFound(name);
  return id;
}

v1::Connection ToProto(const FlowInfo& flow, const FlowVms& vms, const std::string& instance) {
  v1::Connection out;
  out.set_name(ConnectionName(flow.id, instance));
  SetEndpoint(flow.initiator, vms.initiator, false, *out.mutable_initiator());
  SetEndpoint(flow.target, vms.target, true, *out.mutable_target());
  out.set_type(flow.type == VIRTIO_VSOCK_TYPE_SEQPACKET ? "SEQPACKET" : "STREAM");
  out.set_state(StateToProto(flow.state));
  out.set_close_reason(ReasonToProto(flow.close_reason));
  SetTimestamp(*out.mutable_start_time(), flow.start_time);
  if (flow.state == FlowInfo::State::kClosed) SetTimestamp(*out.mutable_close_time(), flow.close_time);
  SetDirection(flow.to_target, *out.mutable_to_target());
  SetDirection(flow.to_initiator, *out.mutable_to_initiator());
  return out;
}

}  // namespace kinsock
