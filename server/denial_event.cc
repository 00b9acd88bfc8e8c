// SPDX-License-Identifier: Apache-2.0
#include "server/denial_event.h"

#include "absl/strings/str_cat.h"
#include "router/policy.h"
#include "server/proto_time.h"

namespace kinsock {
namespace {

std::string NameOf(const FlowInfo::End& end, const VmSnapshotPtr& vm) {
  if (end.cid == kHostCid) return "host";
  return vm != nullptr ? vm->definition->name() : absl::StrCat("cid ", end.cid);
}

}  // namespace

v1::Event DenialEvent(const FlowInfo& denied, const FlowVms& vms, const std::string& instance) {
  const std::string initiator = NameOf(denied.initiator, vms.initiator);
  const std::string target = NameOf(denied.target, vms.target);
  v1::Event event;
  event.set_type(v1::Event::DENIAL);
  event.set_severity(v1::Event::WARNING);
  event.set_object(ConnectionName(denied.id, instance));
  event.set_reason(CloseReasonName(denied.close_reason));
  event.set_message(absl::StrCat(initiator, " was denied a connection to ", target, ", port ", denied.target.port));
  SetTimestamp(*event.mutable_time(), denied.close_time);
  auto& fields = *event.mutable_fields();
  fields["initiator"] = initiator;
  fields["target"] = target;
  fields["port"] = absl::StrCat(denied.target.port);
  if (denied.decided_by != nullptr) fields["policy"] = denied.decided_by->name;
  return event;
}

}  // namespace kinsock
