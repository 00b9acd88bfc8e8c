// SPDX-License-Identifier: Apache-2.0
#include "server/model/vm_settings.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/text.h"
#include "server/host/runtime_dir.h"

namespace kinsock {
namespace {

constexpr Cid kDefaultGuestCid = 3;

std::string NotANumber(std::string_view value) {
  return absl::StrCat(Quoted(value), " is not a number from 0 to 4294967295");
}

std::string ApplyCid(std::string_view value, VmCreation& vm) {
  if (value == "auto") {
    vm.spec.cid = CidRequest::Automatic();
    return "";
  }
  const std::pair<absl::string_view, absl::string_view> ends = absl::StrSplit(AbslView(value), absl::MaxSplits('-', 1));
  if (Cid first = 0, last = 0; absl::SimpleAtoi(ends.first, &first) && absl::SimpleAtoi(ends.second, &last)) {
    vm.spec.cid = CidRequest::Range(first, last);
    return "";
  }
  // The existing daemon holds CIDs in 64 bits; none above 32 works there either.
  Cid cid = 0;
  if (!absl::SimpleAtoi(AbslView(value), &cid)) return NotANumber(value) + ", nor a range (1024-2047), nor \"auto\"";
  vm.spec.cid = CidRequest::Fixed(cid);
  return "";
}

std::string ApplyNumber(std::string_view value, uint32_t& number) {
  if (!absl::SimpleAtoi(AbslView(value), &number)) return NotANumber(value);
  return number == 0 ? "0 is too small; leave it out for the default" : "";
}

std::string ApplyGroups(std::string_view value, VmCreation& vm) {
  vm.spec.groups.clear();
  for (const absl::string_view group : absl::StrSplit(AbslView(value), '+')) vm.spec.groups.emplace_back(group);
  return "";
}

VsockProxy& Proxy(VmCreation& vm) {
  return vm.spec.vsock_proxy.has_value() ? *vm.spec.vsock_proxy : vm.spec.vsock_proxy.emplace();
}

std::string ApplyListenPorts(std::string_view value, VmCreation& vm) {
  std::vector<uint32_t> ports;
  for (const absl::string_view part : absl::StrSplit(AbslView(value), '+')) {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(part, &port)) {
      return absl::StrCat(Quoted(value), " is not a list of ports; write them with \"+\" between, as 9001+9002");
    }
    ports.push_back(port);
  }
  Proxy(vm).listen_ports = std::move(ports);
  return "";
}

}  // namespace

const std::vector<std::string_view>& VmSettingKeys() {
  static const auto& keys =
      *new std::vector<std::string_view>{"name",    "guest_cid",  "socket", "uds_path",    "tx_buffer_size",
                                         "network", "queue_size", "groups", "forward_cid", "forward_listen"};
  return keys;
}

std::string NormalSettingKey(std::string_view key) { return absl::StrReplaceAll(AbslView(key), {{"-", "_"}}); }

std::string ApplyVmSetting(std::string_view key, std::string_view value, VmCreation& vm) {
  const std::string name = NormalSettingKey(key);
  if (name == "name") {
    vm.id = std::string(value);
  } else if (name == "guest_cid") {
    return ApplyCid(value, vm);
  } else if (name == "socket") {
    vm.spec.vhost_user_socket = UserPath(value);
  } else if (name == "uds_path") {
    vm.spec.has_uds = true;
    vm.spec.uds_path = UserPath(value);
  } else if (name == "network") {
    vm.spec.network = std::string(value);
  } else if (name == "tx_buffer_size") {
    return ApplyNumber(value, vm.spec.tx_buffer_bytes);
  } else if (name == "queue_size") {
    return ApplyNumber(value, vm.spec.queue_size);
  } else if (name == "groups") {
    return ApplyGroups(value, vm);
  } else if (name == "forward_cid") {
    return absl::SimpleAtoi(AbslView(value), &Proxy(vm).forward_cid) ? "" : NotANumber(value);
  } else if (name == "forward_listen") {
    return ApplyListenPorts(value, vm);
  } else {
    return absl::StrCat("is not a setting of a VM", DidYouMean(name, VmSettingKeys()));
  }
  return "";
}

VmCreation DefaultVm() {
  VmCreation vm;
  vm.spec.cid = CidRequest::Fixed(kDefaultGuestCid);
  return vm;
}

void NameVm(VmCreation& vm) {
  if (vm.id.empty() && vm.spec.cid.kind == CidRequest::Kind::kFixed) vm.id = absl::StrCat("vm-", vm.spec.cid.first);
}

std::string SettingOfField(std::string_view field) {
  static const auto& settings = *new std::vector<std::pair<absl::string_view, const char*>>{
      {"vm_id", "name"},
      {"vm.labels", "labels"},
      {"vm.annotations", "annotations"},
      {"vm.spec.cid", "guest_cid"},
      {"vm.spec.network", "network"},
      {"vm.spec.vhost_user_socket", "socket"},
      {"vm.spec.uds.path", "uds_path"},
      {"vm.spec.vsock_proxy.listen_ports", "forward_listen"},
      {"vm.spec.vsock_proxy", "forward_cid"},
      {"vm.spec.groups", "groups"},
      {"vm.spec.queue_size", "queue_size"},
      {"vm.spec.tx_buffer_bytes", "tx_buffer_size"},
      {"vm.spec.quota", "quota"},
      {"vm.spec.readiness", "readiness"},
      {"vm.spec.socket_access", "socket_access"},
  };
  for (const auto& [prefix, setting] : settings) {
    if (absl::StartsWith(AbslView(field), prefix)) return setting;
  }
  return std::string(field);
}

}  // namespace kinsock
