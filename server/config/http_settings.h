// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONFIG_HTTP_SETTINGS_H_
#define KINSOCK_SERVER_CONFIG_HTTP_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/host/tcp_endpoint.h"

namespace kinsock {

// How many metrics each VM has of its own; the daemon's sums are always there.
enum class PerVmMetrics : uint8_t {
  kFull,   // everything
  kBasic,  // what it is, its traffic and connections, and what was dropped
  kOff,    // none
};

// Where metrics, health and the page are served over HTTP. Neither of the two endpoints: nowhere.
struct HttpSettings {
  std::string socket;  // path
  std::optional<TcpEndpoint> tcp;
  PerVmMetrics per_vm = PerVmMetrics::kFull;
  bool ui = true;  // the page, and the JSON that it reads; false: metrics and health alone

  bool wanted() const { return !socket.empty() || tcp.has_value(); }
  // "unix:PATH", "tcp:ADDRESS:PORT"; empty: nowhere.
  std::string endpoint() const;
};

// Reads "unix:PATH" or "tcp:ADDRESS:PORT", which must be an address of the loopback, into `settings`. What is wrong, in
// words that follow the setting's name; empty: nothing.
std::string SetHttpEndpoint(std::string_view endpoint, HttpSettings& settings);

// Reads "on" or "off", also "true" and "false", which YAML says. As above.
std::string SetHttpUi(std::string_view text, HttpSettings& settings);

// "full", "basic", "off". Static storage.
const char* PerVmMetricsName(PerVmMetrics per_vm);

// Reads one of these. As above.
std::string SetPerVmMetrics(std::string_view text, HttpSettings& settings);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONFIG_HTTP_SETTINGS_H_
