// SPDX-License-Identifier: Apache-2.0
#include "server/service/connection_event.h"

#include "absl/strings/str_cat.h"
#include "router/policy.h"
#include "server/convert/proto_time.h"

namespace kinsock {
namespace {

std::string NameOf(const FlowInfo::End& end, const VmSnapshotPtr& vm) {
  if (end.cid == kHostCid) return "host";
  return vm != nullptr ? vm->definition->name() : absl::StrCat("cid ", end.cid);
}

// `happened`: what became of the connection, between the names of its ends.
v1::Event ConnectionEvent(const FlowInfo& flow, const FlowVms& vms, const std::string& instance,
                          const std::string& happened) {
  const std::string initiator = NameOf(flow.initiator, vms.initiator);
  const std::string target = NameOf(flow.target, vms.target);
  v1::Event event;
  event.set_object(ConnectionName(flow.id, instance));
  event.set_message(absl::StrCat(initiator, happened, target, ", port ", flow.target.port));
  auto& fields = *event.mutable_fields();
  fields["initiator"] = initiator;
  fields["target"] = target;
  fields["port"] = absl::StrCat(flow.target.port);
  if (flow.decided_by != nullptr) fields["policy"] = flow.decided_by->name;
  return event;
}

}  // namespace

v1::Event DenialEvent(const FlowInfo& denied, const FlowVms& vms, const std::string& instance) {
  v1::Event event = ConnectionEvent(denied, vms, instance, " was denied a connection to ");
  event.set_type(v1::Event::DENIAL);
  event.set_severity(v1::Event::WARNING);
  event.set_reason(CloseReasonName(denied.close_reason));
  SetTimestamp(*event.mutable_time(), denied.close_time);
  return event;
}

v1::Event AllowedEvent(const FlowInfo& allowed, const FlowVms& vms, const std::string& instance) {
  v1::Event event = ConnectionEvent(allowed, vms, instance, " connects to ");
  event.set_type(v1::Event::CONNECTION);
  event.set_severity(v1::Event::INFO);
  event.set_reason("POLICY_ALLOWED");
  SetTimestamp(*event.mutable_time(), allowed.start_time);
  return event;
}

}  // namespace kinsock
