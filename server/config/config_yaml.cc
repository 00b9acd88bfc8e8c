// SPDX-License-Identifier: Apache-2.0
#include "server/config/config_yaml.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "server/config/http_settings.h"

namespace kinsock {
namespace {

// YAML reads keys of flow and block maps up to 1024 characters ahead; what is longer has to be announced ("? key").
constexpr size_t kLongKeyBytes = 200;

// Whatever somebody has typed is text: "null" and "1e3", too.
void Text(YAML::Emitter& out, const std::string& text) { out << YAML::DoubleQuoted << text; }

void TextList(YAML::Emitter& out, const std::vector<std::string>& texts) {
  out << YAML::Flow << YAML::BeginSeq;
  for (const std::string& text : texts) Text(out, text);
  out << YAML::EndSeq;
}

void Texts(YAML::Emitter& out, const std::map<std::string, std::string>& texts) {
  const bool flow =
      std::all_of(texts.begin(), texts.end(), [](const auto& text) { return text.first.size() <= kLongKeyBytes; });
  if (flow) out << YAML::Flow;
  out << YAML::BeginMap;
  for (const auto& [key, value] : texts) {
    if (key.size() > kLongKeyBytes) out << YAML::LongKey;
    out << YAML::Key;
    Text(out, key);
    out << YAML::Value;
    Text(out, value);
  }
  out << YAML::EndMap;
}

template <typename Span>
std::string Range(const Span& span) {
  return span.first == span.last ? absl::StrCat(span.first) : absl::StrCat(span.first, "-", span.last);
}

template <typename Spans>
void Ranges(YAML::Emitter& out, const Spans& spans) {
  out << YAML::Flow << YAML::BeginSeq;
  for (const auto& span : spans) out << Range(span);
  out << YAML::EndSeq;
}

std::string Time(std::chrono::milliseconds time) { return absl::FormatDuration(absl::FromChrono(time)); }

void WriteRate(YAML::Emitter& out, const char* key, const Rate& rate) {
  if (rate == Rate()) return;
  out << YAML::Key << key << YAML::Value;
  if (rate.burst == 0) {
    out << rate.per_second;
    return;
  }
  out << YAML::Flow << YAML::BeginMap << YAML::Key << "rate" << YAML::Value << rate.per_second << YAML::Key << "burst"
      << YAML::Value << rate.burst << YAML::EndMap;
}

void WriteQuota(YAML::Emitter& out, const Quota& quota) {
  out << YAML::Key << "quota" << YAML::Value << YAML::Flow << YAML::BeginMap;
  const auto number = [&out](const char* key, uint64_t value) {
    if (value != 0) out << YAML::Key << key << YAML::Value << value;
  };
  number("max_connections", quota.max_connections);
  number("max_pending_connections", quota.max_pending_connections);
  number("max_buffer_bytes", quota.max_buffer_bytes);
  WriteRate(out, "connects_per_second", quota.connects_per_second);
  WriteRate(out, "bytes_to_guest", quota.bytes_to_guest);
  WriteRate(out, "bytes_from_guest", quota.bytes_from_guest);
  WriteRate(out, "packets_from_guest", quota.packets_from_guest);
  out << YAML::EndMap;
}

const char* NameOf(DefaultPolicy otherwise) {
  switch (otherwise) {
    case DefaultPolicy::kSharedGroup:
      break;
    case DefaultPolicy::kAllow:
      return "allow";
    case DefaultPolicy::kDeny:
      return "deny";
  }
  return "shared_group";
}

void WriteSelector(YAML::Emitter& out, const char* key, const PolicySelector& selector) {
  if (selector.empty()) return;
  out << YAML::Key << key << YAML::Value << YAML::BeginMap;
  if (selector.host) out << YAML::Key << "host" << YAML::Value << true;
  if (!selector.vm.empty()) {
    out << YAML::Key << "vm" << YAML::Value;
    Text(out, selector.vm);
  }
  if (selector.cids.has_value()) out << YAML::Key << "cid_range" << YAML::Value << Range(*selector.cids);
  if (!selector.groups.empty()) {
    out << YAML::Key << "groups" << YAML::Value;
    TextList(out, selector.groups);
  }
  if (!selector.labels.empty()) {
    out << YAML::Key << "labels" << YAML::Value;
    Texts(out, selector.labels);
  }
  out << YAML::EndMap;
}

void WriteCid(YAML::Emitter& out, const CidRequest& cid) {
  out << YAML::Key << "guest_cid" << YAML::Value;
  switch (cid.kind) {
    case CidRequest::Kind::kAutomatic:
      out << "auto";
      break;
    case CidRequest::Kind::kFixed:
    case CidRequest::Kind::kReserved:
      out << cid.first;
      return;
    case CidRequest::Kind::kRange:
      out << absl::StrCat(cid.first, "-", cid.last);
      break;
  }
  if (cid.sticky) out << YAML::Key << "sticky_cid" << YAML::Value << true;
}

void WriteReadiness(YAML::Emitter& out, const Readiness& readiness) {
  const char* source = "";
  switch (readiness.source) {
    case Readiness::Source::kNone:
      return;
    case Readiness::Source::kGuestConnects:
      source = "guest_connects_port";
      break;
    case Readiness::Source::kProbe:
      source = "probe_guest_port";
      break;
    case Readiness::Source::kNotify:
      source = "sd_notify_port";
      break;
  }
  out << YAML::Key << "readiness" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << source << YAML::Value
      << readiness.port << YAML::EndMap;
}

void WriteHostSide(YAML::Emitter& out, const VmSpec& spec) {
  if (spec.has_uds) {
    out << YAML::Key << "uds_path" << YAML::Value;
    Text(out, spec.uds_path);
  }
  if (!spec.vsock_proxy.has_value()) return;
  out << YAML::Key << "forward_cid" << YAML::Value << spec.vsock_proxy->forward_cid;
  if (spec.vsock_proxy->listen_ports.empty()) return;
  out << YAML::Key << "forward_listen" << YAML::Value << YAML::Flow << spec.vsock_proxy->listen_ports;
}

void WriteSocketAccess(YAML::Emitter& out, const SocketAccess& access) {
  const auto text = [&out](const char* key, const std::string& value) {
    if (value.empty()) return;
    out << YAML::Key << key << YAML::Value;
    Text(out, value);
  };
  text("owner", access.owner);
  text("group", access.group);
  if (access.mode != 0) text("mode", absl::StrFormat("%04o", access.mode));
}

void WriteRoles(YAML::Emitter& out, const RoleRules& roles) {
  std::map<std::string, std::map<std::string, std::vector<std::string>>> holders;  // role, kind, names
  for (const auto& [role, subject] : roles.rules()) {
    const size_t colon = subject.find(':');
    const std::string kind = subject.substr(0, colon);
    holders[role][kind == "user" ? "uids" : kind == "group" ? "gids" : "sans"].push_back(subject.substr(colon + 1));
  }
  if (holders.empty()) return;
  out << YAML::Key << "roles" << YAML::Value << YAML::BeginMap;
  for (const auto& [role, kinds] : holders) {
    out << YAML::Key << role << YAML::Value << YAML::BeginMap;
    for (const auto& [kind, names] : kinds) {
      out << YAML::Key << kind << YAML::Value;
      TextList(out, names);
    }
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
}

void WriteApi(YAML::Emitter& out, const Config& config) {
  out << YAML::Key << "api" << YAML::Value << YAML::BeginMap;
  std::vector<std::string> listen, view;
  for (const std::string& path : config.api_sockets) listen.push_back("unix:" + path);
  for (const TcpEndpoint& endpoint : config.api_tcp) listen.push_back("tcp:" + endpoint.text());
  for (const std::string& path : config.api_view_sockets) view.push_back("unix:" + path);
  out << YAML::Key << "listen" << YAML::Value;
  TextList(out, listen);
  const auto list = [&out](const char* key, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    out << YAML::Key << key << YAML::Value;
    TextList(out, texts);
  };
  list("viewer_socket", view);
  list("socket_dirs", config.socket_dirs);
  if (config.tls.any()) {
    out << YAML::Key << "tls" << YAML::Value;
    Texts(out, {{"cert", config.tls.certificate}, {"key", config.tls.key}, {"client_ca", config.tls.client_ca}});
  }
  WriteRoles(out, config.api_roles);
  out << YAML::EndMap;
}

void WriteHttp(YAML::Emitter& out, const HttpSettings& http) {
  const bool per_vm = http.per_vm != HttpSettings().per_vm;
  if (!http.wanted() && !per_vm && http.ui) return;
  out << YAML::Key << "http" << YAML::Value << YAML::Flow << YAML::BeginMap;
  if (http.wanted()) {
    out << YAML::Key << "listen" << YAML::Value;
    Text(out, http.endpoint());
  }
  if (per_vm) {
    out << YAML::Key << "per_vm_metrics" << YAML::Value;
    Text(out, PerVmMetricsName(http.per_vm));
  }
  if (!http.ui) out << YAML::Key << "ui" << YAML::Value << false;
  out << YAML::EndMap;
}

// One entry of a list, or all of a map.
std::string Finish(const YAML::Emitter& out) { return absl::StrCat(out.c_str(), "\n"); }

}  // namespace

std::string SettingsToYaml(const Config& config) {
  YAML::Emitter out;
  out << YAML::BeginMap;
  WriteApi(out, config);
  WriteHttp(out, config.http);
  if (config.capture_payload) {
    out << YAML::Key << "capture" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << "payload"
        << YAML::Value << true << YAML::EndMap;
  }
  if (!config.state_dir.empty()) {
    out << YAML::Key << "state" << YAML::Value;
    Texts(out, {{"dir", config.state_dir}});
  }
  out << YAML::Key << "daemon" << YAML::Value << YAML::Flow << YAML::BeginMap << YAML::Key << "reactors" << YAML::Value
      << config.reactors << YAML::Key << "poll_us" << YAML::Value << config.poll.count() << YAML::Key << "log_format"
      << YAML::Value << (config.log_format == LogFormat::kJson ? "json" : "kv") << YAML::EndMap;
  if (config.quota != Quota() || !config.vm_socket_dir.empty()) {
    out << YAML::Key << "defaults" << YAML::Value << YAML::BeginMap;
    if (!config.vm_socket_dir.empty()) {
      out << YAML::Key << "socket_dir" << YAML::Value;
      Text(out, config.vm_socket_dir);
    }
    if (config.quota != Quota()) WriteQuota(out, config.quota);
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
  return Finish(out);
}

std::string NetworkToYaml(const std::string& id, const NetworkSpec& spec) {
  YAML::Emitter out;
  out << YAML::BeginSeq << YAML::BeginMap << YAML::Key << "name" << YAML::Value;
  Text(out, id);
  out << YAML::Key << "cid_range" << YAML::Value << Range(spec.cids);
  if (!spec.reserved.empty()) {
    out << YAML::Key << "reserved_ranges" << YAML::Value;
    Ranges(out, spec.reserved);
  }
  out << YAML::Key << "quarantine" << YAML::Value << Time(spec.quarantine);
  out << YAML::Key << "default_policy" << YAML::Value << NameOf(spec.otherwise);
  if (spec.quota != Quota()) WriteQuota(out, spec.quota);
  out << YAML::EndMap << YAML::EndSeq;
  return Finish(out);
}

std::string PolicyToYaml(const std::string& id, const std::string& network, const PolicySpec& spec) {
  YAML::Emitter out;
  out << YAML::BeginSeq << YAML::BeginMap << YAML::Key << "name" << YAML::Value;
  Text(out, id);
  out << YAML::Key << "network" << YAML::Value;
  Text(out, network);
  out << YAML::Key << "priority" << YAML::Value << spec.priority << YAML::Key << "allow" << YAML::Value << spec.allow;
  if (spec.log) out << YAML::Key << "log" << YAML::Value << true;
  if (spec.reset_existing) out << YAML::Key << "reset_existing" << YAML::Value << true;
  WriteSelector(out, "from", spec.from);
  WriteSelector(out, "to", spec.to);
  if (!spec.ports.empty()) {
    out << YAML::Key << "ports" << YAML::Value;
    Ranges(out, spec.ports);
  }
  out << YAML::EndMap << YAML::EndSeq;
  return Finish(out);
}

std::string VmToYaml(const std::string& id, const std::map<std::string, std::string>& labels,
                     const std::map<std::string, std::string>& annotations, const VmSpec& spec) {
  YAML::Emitter out;
  out << YAML::BeginSeq << YAML::BeginMap << YAML::Key << "name" << YAML::Value;
  Text(out, id);
  WriteCid(out, spec.cid);
  if (!spec.network.empty()) {
    out << YAML::Key << "network" << YAML::Value;
    Text(out, spec.network);
  }
  if (!spec.vhost_user_socket.empty()) {
    out << YAML::Key << "socket" << YAML::Value;
    Text(out, spec.vhost_user_socket);
  }
  WriteHostSide(out, spec);
  if (!spec.groups.empty()) {
    out << YAML::Key << "groups" << YAML::Value;
    TextList(out, spec.groups);
  }
  if (spec.queue_size != 0) out << YAML::Key << "queue_size" << YAML::Value << spec.queue_size;
  if (spec.tx_buffer_bytes != 0) out << YAML::Key << "tx_buffer_size" << YAML::Value << spec.tx_buffer_bytes;
  if (spec.allow_seqpacket.has_value()) {
    out << YAML::Key << "allow_seqpacket" << YAML::Value << *spec.allow_seqpacket;
  }
  if (spec.orphan_ttl.count() > 0) out << YAML::Key << "orphan_ttl" << YAML::Value << Time(spec.orphan_ttl);
  WriteReadiness(out, spec.readiness);
  if (spec.socket_access.has_value()) {
    out << YAML::Key << "socket_access" << YAML::Value << YAML::Flow << YAML::BeginMap;
    WriteSocketAccess(out, *spec.socket_access);
    out << YAML::EndMap;
  }
  if (spec.quota != Quota()) WriteQuota(out, spec.quota);
  if (!labels.empty()) {
    out << YAML::Key << "labels" << YAML::Value;
    Texts(out, labels);
  }
  if (!annotations.empty()) {
    out << YAML::Key << "annotations" << YAML::Value;
    Texts(out, annotations);
  }
  out << YAML::EndMap << YAML::EndSeq;
  return Finish(out);
}

std::string ForwardToYaml(const std::string& id, const ForwardSpec& spec) {
  YAML::Emitter out;
  const auto text = [&out](const char* key, const std::string& value) {
    if (value.empty()) return;
    out << YAML::Key << key << YAML::Value;
    Text(out, value);
  };
  out << YAML::BeginSeq << YAML::BeginMap;
  text("name", id);
  text("vm", spec.vm_id());
  out << YAML::Key << "guest_port" << YAML::Value << spec.guest_port;
  text("listen", spec.listen);
  text("target", spec.target);
  if (spec.access.has_value()) WriteSocketAccess(out, *spec.access);
  if (spec.send_proxy_v2) out << YAML::Key << "send_proxy_v2" << YAML::Value << true;
  out << YAML::EndMap << YAML::EndSeq;
  return Finish(out);
}

std::string ConfigToYaml(const Config& config) {
  std::string yaml = SettingsToYaml(config);
  if (!config.networks.empty()) yaml += "networks:\n";
  for (const ConfiguredNetwork& network : config.networks) {
    yaml += NetworkToYaml(network.creation.id, network.creation.spec);
  }
  if (!config.policies.empty()) yaml += "policies:\n";
  for (const ConfiguredPolicy& policy : config.policies) {
    yaml += PolicyToYaml(policy.creation.id, policy.creation.network, policy.creation.spec);
  }
  if (!config.vms.empty()) yaml += "vms:\n";
  for (const ConfiguredVm& vm : config.vms) {
    yaml += VmToYaml(vm.creation.id, vm.creation.labels, vm.creation.annotations, vm.creation.spec);
  }
  if (!config.forwards.empty()) yaml += "forwards:\n";
  for (const ConfiguredForward& forward : config.forwards) {
    yaml += ForwardToYaml(forward.creation.id, forward.creation.spec);
  }
  return yaml;
}

}  // namespace kinsock
