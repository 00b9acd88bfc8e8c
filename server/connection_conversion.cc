// SPDX-License-Identifier: Apache-2.0
#include "server/connection_conversion.h"

#include "absl/strings/str_cat.h"
#include "server/proto_time.h"

namespace kinsock {
namespace {

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

// The names are the same on both sides; kNone has none in the API.
v1::Connection::CloseReason ReasonToProto(CloseReason reason) {
  v1::Connection::CloseReason out;
  const bool known = v1::Connection::CloseReason_Parse(CloseReasonName(reason), &out);
  return known ? out : v1::Connection::CLOSE_REASON_UNSPECIFIED;
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
  out.set_buf_alloc(direction.buf_alloc);
  out.set_fwd_cnt(direction.fwd_cnt);
  out.set_credit(direction.credit);
  out.set_queued_bytes(direction.queued_bytes);
  out.set_credit_stalls(direction.credit_stalls);
  SetDuration(*out.mutable_stalled(), direction.stalled);
}

}  // namespace

v1::Connection ToProto(const FlowInfo& flow, const FlowVms& vms, const std::string& instance) {
  v1::Connection out;
  out.set_name(absl::StrCat("connections/", instance, "-", flow.id));
  SetEndpoint(flow.initiator, vms.initiator, false, *out.mutable_initiator());
  SetEndpoint(flow.target, vms.target, true, *out.mutable_target());
  out.set_type(flow.type == VIRTIO_VSOCK_TYPE_SEQPACKET ? "SEQPACKET" : "STREAM");
  out.set_state(StateToProto(flow.state));
  out.set_close_reason(ReasonToProto(flow.close_reason));
  SetTimestamp(*out.mutable_start_time(), flow.start_time);
  SetDirection(flow.to_target, *out.mutable_to_target());
  SetDirection(flow.to_initiator, *out.mutable_to_initiator());
  return out;
}

}  // namespace kinsock
