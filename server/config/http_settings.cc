// SPDX-License-Identifier: Apache-2.0
#include "server/config/http_settings.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/text.h"
#include "server/host/runtime_dir.h"

namespace kinsock {

std::string HttpSettings::endpoint() const {
  if (tcp.has_value()) return absl::StrCat("tcp:", tcp->text());
  return socket.empty() ? "" : absl::StrCat("unix:", socket);
}

std::string SetHttpEndpoint(std::string_view endpoint, HttpSettings& settings) {
  settings.socket.clear();
  settings.tcp.reset();
  if (!TcpEndpoint::IsTcp(endpoint)) {
    absl::StatusOr<std::string> path = ParseUnixEndpoint(endpoint);
    if (!path.ok()) return std::string(path.status().message());
    settings.socket = *std::move(path);
    return "";
  }
  absl::StatusOr<TcpEndpoint> tcp = TcpEndpoint::Parse(endpoint);
  if (!tcp.ok()) return std::string(tcp.status().message());
  if (!tcp->is_loopback()) {
    return absl::StrCat(Quoted(endpoint),
                        " can be reached from other machines, and who asks over HTTP is not asked who he is; give "
                        "tcp:127.0.0.1:PORT or unix:PATH, and let a proxy or ssh -L carry it further");
  }
  settings.tcp = *std::move(tcp);
  return "";
}

const char* PerVmMetricsName(PerVmMetrics per_vm) {
  switch (per_vm) {
    case PerVmMetrics::kFull:
      break;
    case PerVmMetrics::kBasic:
      return "basic";
    case PerVmMetrics::kOff:
      return "off";
  }
  return "full";
}

std::string SetPerVmMetrics(std::string_view text, HttpSettings& settings) {
  for (const PerVmMetrics each : {PerVmMetrics::kFull, PerVmMetrics::kBasic, PerVmMetrics::kOff}) {
    if (text != PerVmMetricsName(each)) continue;
    settings.per_vm = each;
    return "";
  }
  return absl::StrCat(Quoted(text), " is none of full, basic and off");
}

std::string SetHttpUi(std::string_view text, HttpSettings& settings) {
  const bool on = text == "on" || text == "true";
  if (!on && text != "off" && text != "false") return absl::StrCat(Quoted(text), " is neither on nor off");
  settings.ui = on;
  return "";
}

}  // namespace kinsock
