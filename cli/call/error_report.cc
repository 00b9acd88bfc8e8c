// SPDX-License-Identifier: Apache-2.0
#include "cli/call/error_report.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/google/rpc/error_details.pb.h"
#include "api/google/rpc/status.pb.h"
#include "cli/call/same_daemon.h"

namespace kinsock {
namespace {

struct Details {
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad;
  google::rpc::RetryInfo retry;
  google::rpc::ResourceInfo resource;
};

Details Unpack(const grpc::Status& status) {
  Details details;
  google::rpc::Status packed;
  if (!packed.ParseFromString(status.error_details())) return details;
  for (const google::protobuf::Any& any : packed.details()) {
    any.UnpackTo(&details.info) || any.UnpackTo(&details.bad) || any.UnpackTo(&details.retry) ||
        any.UnpackTo(&details.resource);
  }
  return details;
}

// The flag of "vm create" or "vm reset" whose value a field of the request is; empty if there is none.
std::string FlagOfField(const std::string& field) {
  static const auto& flags = *new std::vector<std::pair<const char*, const char*>>{
      {"vm_id", "NAME"},
      {"vm.spec.cid", "--cid"},
      {"new_cid", "--new-cid"},
      {"vm.spec.vhost_user_socket", "--socket"},
      {"vm.spec.uds.path", "--uds-path"},
      {"vm.spec.vsock_proxy.listen_ports", "--forward-listen"},
      {"vm.spec.vsock_proxy", "--forward-cid"},
      {"vm.spec.groups", "--groups"},
      {"vm.spec.queue_size", "--queue-size"},
      {"vm.spec.tx_buffer_bytes", "--tx-buffer-size"},
      {"vm.spec.readiness", "--ready-when"},
      {"vm.spec.orphan_ttl", "--orphan-ttl"},
      {"vm.labels", "--labels"},
      {"filter", "--filter"},
      {"vm.annotations", "--annotations"},
  };
  for (const auto& [prefix, flag] : flags) {
    if (absl::StartsWith(field, prefix)) return flag;
  }
  return field;
}

std::string NextStep(const Details& details, const std::string& command) {
  const std::string& reason = details.info.reason();
  const auto metadata = [&](const char* key) {
    const auto found = details.info.metadata().find(key);
    return found == details.info.metadata().end() ? std::string()
                                                  : std::string(absl::StripPrefix(found->second, "vms/"));
  };
  const std::string vm(absl::StripPrefix(details.resource.resource_name(), "vms/"));
  if (reason == "VM_NOT_FOUND") return "kinsockctl vm list";
  if (reason == "VM_EXISTS") return absl::StrCat("kinsockctl vm get ", vm, " -o yaml");
  if (reason == "CID_IN_USE") return absl::StrCat("kinsockctl vm get ", metadata("holder"));
  if (reason == "CID_QUARANTINED") {
    return absl::StrCat("the same in ", details.retry.retry_delay().seconds() + 1, " s, or with another CID");
  }
  if (reason == "CID_RANGE_EXHAUSTED") return "kinsockctl vm list";
  if (reason == "VM_ATTACHED") return absl::StrCat("kinsockctl vm delete ", vm, " --force");
  if (reason == "UID_MISMATCH" || reason == "ETAG_MISMATCH") return absl::StrCat("kinsockctl vm get ", vm, " -o yaml");
  if (reason == "SOCKET_PATH_BUSY" || reason == "VSOCK_PORT_BUSY") return "kinsockctl vm list -o wide";
  if (reason == "GUEST_REFUSED" || reason == "POLICY_DENIED") {
    return absl::StrCat("kinsockctl explain host ", metadata("vm"), ":", metadata("port"));
  }
  if (reason == "TUNNEL_RESET") return absl::StrCat("kinsockctl conn list --closed --vm ", metadata("vm"));
  if (reason == "CONNECTION_NOT_FOUND") return "kinsockctl conn list -o wide";
  if (reason == "CONNECTION_CLOSED") return "kinsockctl conn list --closed";
  if (reason == "IMMUTABLE_FIELD") return absl::StrCat("kinsockctl vm get ", vm, " -o yaml");
  if (reason == "VM_DELETING") return absl::StrCat("kinsockctl vm wait ", vm, " --for=deleted");
  if (reason == "DRAINING") return "kinsockctl daemon drain --undo";
  if (reason == "QUOTA_EXCEEDED") return "kinsockctl info";
  if (reason == "ROLE_REQUIRED") {
    if (metadata("socket") == "view") return "the same with --endpoint of the daemon's --api, not of its --api-view";
    return absl::StrCat("the same as root or the daemon's own user, or ask for the role ", metadata("need"));
  }
  if (reason == "FIELD_INVALID") return absl::StrCat("kinsockctl ", command, command.empty() ? "" : " ", "--help");
  return "";
}

}  // namespace

std::vector<FieldFault> FieldFaultsOf(const grpc::Status& status) {
  const Details details = Unpack(status);
  std::vector<FieldFault> faults;
  for (const auto& violation : details.bad.field_violations()) {
    faults.push_back({violation.field(), violation.description()});
  }
  return faults;
}

std::string NextStepAfter(const grpc::Status& status, const std::string& command) {
  return SameDaemon(NextStep(Unpack(status), command));
}

std::string ErrorReasonOf(const grpc::Status& status) { return Unpack(status).info.reason(); }

std::string DescribeError(const grpc::Status& status, const std::string& command) {
  const Details details = Unpack(status);
  std::string text = "kinsockctl: ";
  if (!details.info.reason().empty()) absl::StrAppend(&text, details.info.reason(), ": ");
  if (details.bad.field_violations().empty()) {
    absl::StrAppend(&text, status.error_message(), "\n");
  } else {
    absl::StrAppend(&text, "the daemon does not take this:\n");
    for (const auto& violation : details.bad.field_violations()) {
      const std::string flag = FlagOfField(violation.field());
      absl::StrAppend(&text, "  ", flag, flag.empty() ? "" : " ", violation.description(), "\n");
    }
  }
  const std::string next = NextStep(details, command);
  if (!next.empty()) absl::StrAppend(&text, "  try: ", SameDaemon(next), "\n");
  return text;
}

}  // namespace kinsock
