// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_validation.h"

#include <algorithm>
#include <bit>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/socket_path.h"

namespace kinsock {
namespace {

using Violations = std::vector<FieldViolation>;

constexpr uint32_t kAnyPort = 0xffff'ffff;  // VMADDR_PORT_ANY

bool IsOneOf(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return absl::ascii_isalnum(c) || others.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

void CheckNetworkOf(const VmSpec& spec, Violations& violations) {
  if (!spec.network.empty() && !IsVmId(spec.network)) {
    violations.push_back({"vm.spec.network", absl::StrCat(Quoted(spec.network), " is not the id of a network")});
  }
  if (spec.cid.kind == CidRequest::Kind::kReserved && spec.cid.network != NetworkOf(spec)) {
    violations.push_back(
        {"vm.spec.cid.reservation", absl::StrCat("is in the network ", Quoted(spec.cid.network), ", and the VM in ",
                                                 Quoted(NetworkOf(spec)), "; they must be the same")});
  }
}

void CheckSockets(const VmSpec& spec, Violations& violations) {
  if (!spec.vhost_user_socket.empty()) {
    std::string fault = SocketPathFault(spec.vhost_user_socket, kMaxSocketPathBytes);
    if (!fault.empty()) violations.push_back({"vm.spec.vhost_user_socket", std::move(fault)});
  }
  if (!spec.has_uds) return;
  std::string fault = SocketPathFault(spec.uds_path, kMaxHybridPathBytes);
  if (fault.empty() && spec.uds_path == spec.vhost_user_socket) {
    fault = "is the same as vhost_user_socket; the VMM and host programs need a socket each";
  }
  if (!fault.empty()) violations.push_back({"vm.spec.uds.path", std::move(fault)});
}

void CheckVsockProxy(const VmSpec& spec, Violations& violations) {
  if (!spec.vsock_proxy.has_value()) return;
  const VsockProxy& proxy = *spec.vsock_proxy;
  if (spec.has_uds) {
    violations.push_back({"vm.spec.vsock_proxy",
                          "excludes uds: a guest's host side is AF_VSOCK or UNIX sockets, not "
                          "both; take one of them out"});
  }
  if (proxy.forward_cid == 0 || proxy.forward_cid == kAnyCid) {
    violations.push_back({"vm.spec.vsock_proxy.forward_cid",
                          absl::StrCat(proxy.forward_cid, " is no CID that a call can go to; use ", kLocalCid,
                                       ", which is the host itself, or that of a machine which the host reaches")});
  }
  const std::vector<uint32_t>& ports = proxy.listen_ports;
  constexpr char kField[] = "vm.spec.vsock_proxy.listen_ports";
  if (ports.size() > kMaxListenPorts) {
    violations.push_back(
        {kField, absl::StrCat("has ", ports.size(), " ports, at most ", kMaxListenPorts, " are allowed")});
    return;
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    const auto end = ports.begin() + static_cast<ptrdiff_t>(i);
    if (ports[i] == 0 || ports[i] == kAnyPort) {
      violations.push_back(
          {absl::StrCat(kField, "[", i, "]"), absl::StrCat(ports[i], " is not a port from 1 to ", kAnyPort - 1)});
    } else if (std::find(ports.begin(), end, ports[i]) != end) {
      violations.push_back(
          {absl::StrCat(kField, "[", i, "]"), absl::StrCat(ports[i], " is there already; take one of the two out")});
    }
  }
}

std::string ReadinessField(Readiness::Source source) {
  switch (source) {
    case Readiness::Source::kNone:
      break;
    case Readiness::Source::kGuestConnects:
      return "vm.spec.readiness.guest_connects_port";
    case Readiness::Source::kProbe:
      return "vm.spec.readiness.probe_guest_port";
    case Readiness::Source::kNotify:
      return "vm.spec.readiness.sd_notify_port";
  }
  return "vm.spec.readiness";
}

// Wide, because the existing daemon takes any text; "+" and "," separate groups on command lines.
bool IsGroup(std::string_view group) {
  return !group.empty() && group.size() <= kMaxGroupBytes && IsUtf8(group) &&
         std::none_of(group.begin(), group.end(),
                      [](unsigned char c) { return absl::ascii_iscntrl(c) || c == '+' || c == ','; });
}

void CheckSizes(const VmSpec& spec, Violations& violations) {
  const uint32_t queue = spec.queue_size;
  if (queue != 0 && (queue < kMinQueueSize || queue > kMaxQueueSize || !std::has_single_bit(queue))) {
    violations.push_back({"vm.spec.queue_size",
                          absl::StrCat(queue, " is not a power of two from ", kMinQueueSize, " to ", kMaxQueueSize)});
  }
  const uint32_t buffer = spec.tx_buffer_bytes;
  if (buffer != 0 && (buffer < kMinTxBufferBytes || buffer > kMaxTxBufferBytes)) {
    violations.push_back({"vm.spec.tx_buffer_bytes",
                          absl::StrCat(buffer, " is not from ", kMinTxBufferBytes, " to ", kMaxTxBufferBytes)});
  }
}

void CheckReadiness(const Readiness& readiness, Violations& violations) {
  if (readiness.source == Readiness::Source::kNone || (readiness.port != 0 && readiness.port != kAnyPort)) return;
  violations.push_back(
      {ReadinessField(readiness.source), absl::StrCat(readiness.port, " is not a port from 1 to ", kAnyPort - 1)});
}

void CheckAnnotations(const std::map<std::string, std::string>& annotations, Violations& violations) {
  if (annotations.size() > kMaxAnnotations) {
    violations.push_back({"vm.annotations", absl::StrCat("has ", annotations.size(), " annotations, at most ",
                                                         kMaxAnnotations, " are allowed")});
    return;
  }
  size_t bytes = 0;
  for (const auto& [key, value] : annotations) {
    bytes += key.size() + value.size();
    if (key.empty() || !IsUtf8(key) || !IsUtf8(value)) {
      violations.push_back(
          {"vm.annotations", absl::StrCat("the one with key ", Quoted(key), " has no key or is not UTF-8")});
    }
  }
  if (bytes > kMaxAnnotationBytes) {
    violations.push_back(
        {"vm.annotations", absl::StrCat("has ", bytes, " bytes, at most ", kMaxAnnotationBytes, " are allowed")});
  }
}

}  // namespace

void CheckCidRequest(const CidRequest& cid, const std::string& field, Violations& violations) {
  const auto reserved = [](Cid value) {
    return absl::StrCat(value, " is reserved; choose one from ", kFirstGuestCid, " to ", kLastGuestCid);
  };
  if (cid.kind == CidRequest::Kind::kFixed && !IsGuestCid(cid.first)) {
    violations.push_back({field + ".static_cid", reserved(cid.first)});
  }
  if (cid.kind != CidRequest::Kind::kRange) return;
  if (!IsGuestCid(cid.first)) violations.push_back({field + ".range.first", reserved(cid.first)});
  if (!IsGuestCid(cid.last)) violations.push_back({field + ".range.last", reserved(cid.last)});
  if (cid.first > cid.last) {
    violations.push_back({field + ".range", absl::StrCat("begins at ", cid.first, " and ends before, at ", cid.last,
                                                         "; exchange the two")});
  }
}

void CheckGroups(const std::vector<std::string>& groups, const std::string& field, Violations& violations) {
  if (groups.size() > kMaxGroups) {
    violations.push_back({field, absl::StrCat("has ", groups.size(), " groups, at most ", kMaxGroups, " are allowed")});
    return;
  }
  for (size_t i = 0; i < groups.size(); ++i) {
    if (IsGroup(groups[i])) continue;
    violations.push_back({absl::StrCat(field, "[", i, "]"),
                          absl::StrCat(Quoted(groups[i]), " is not a group; use 1 to ", kMaxGroupBytes,
                                       " bytes of UTF-8 without control characters, \"+\" and \",\"")});
  }
}

void CheckLabels(const std::map<std::string, std::string>& labels, const std::string& field, Violations& violations) {
  if (labels.size() > kMaxLabels) {
    violations.push_back({field, absl::StrCat("has ", labels.size(), " labels, at most ", kMaxLabels, " are allowed")});
    return;
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelBytes || !IsOneOf(key, "-_./")) {
      violations.push_back({field, absl::StrCat("key ", Quoted(key), " is not 1 to ", kMaxLabelBytes,
                                                " letters, digits, \"-\", \"_\", \".\" and \"/\"")});
    }
    if (value.size() > kMaxLabelBytes || !IsOneOf(value, "-_.")) {
      violations.push_back({field, absl::StrCat("value ", Quoted(value), " of ", Quoted(key), " is not up to ",
                                                kMaxLabelBytes, " letters, digits, \"-\", \"_\" and \".\"")});
    }
  }
}

bool IsVmId(std::string_view id) {
  if (id.empty() || id.size() > kMaxIdBytes || !absl::ascii_islower(static_cast<unsigned char>(id.front())) ||
      id.back() == '-') {
    return false;
  }
  return std::all_of(id.begin(), id.end(),
                     [](unsigned char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; });
}

void CheckRequestId(const std::string& id, Violations& violations) {
  if (id.size() <= kMaxRequestIdBytes && IsOneOf(id, "-_.:")) return;
  violations.push_back({"request_id", absl::StrCat(Quoted(id), " is not up to ", kMaxRequestIdBytes,
                                                   " letters, digits, \"-\", \"_\", \".\" and \":\"; use a UUID")});
}

std::vector<FieldViolation> CheckVm(const VmCreation& creation) {
  Violations violations;
  if (!IsVmId(creation.id)) {
    violations.push_back({"vm_id", absl::StrCat(Quoted(creation.id), " is not a VM id; use 1 to ", kMaxIdBytes,
                                                " lower-case letters, digits and hyphens, begin with a letter and "
                                                "do not end with a hyphen")});
  }
  CheckRequestId(creation.request_id, violations);
  CheckLabels(creation.labels, "vm.labels", violations);
  CheckAnnotations(creation.annotations, violations);
  CheckCidRequest(creation.spec.cid, "vm.spec.cid", violations);
  CheckNetworkOf(creation.spec, violations);
  CheckSockets(creation.spec, violations);
  CheckVsockProxy(creation.spec, violations);
  CheckGroups(creation.spec.groups, "vm.spec.groups", violations);
  CheckSizes(creation.spec, violations);
  CheckQuota(creation.spec.quota, "vm.spec.quota", violations);
  CheckReadiness(creation.spec.readiness, violations);
  if (creation.spec.socket_access.has_value()) {
    CheckSocketAccess(*creation.spec.socket_access, "vm.spec.socket_access", violations);
  }
  return violations;
}

}  // namespace kinsock
