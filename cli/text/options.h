// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_OPTIONS_H_
#define KINSOCK_CLI_TEXT_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace kinsock {

enum class OutputFormat : uint8_t { kTable, kWide, kJson, kYaml, kName, kJsonl };

// What every command of kinsockctl knows.
struct Options {
  std::string command;   // the one at hand, as it is written: "vm create"
  std::string endpoint;  // as gRPC writes it: "unix:PATH", "ipv4:127.0.0.1:7443"
  // For an endpoint over TCP: PEM files, and the name that the daemon's certificate must have; empty: its address.
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string tls_server_name;
  OutputFormat format = OutputFormat::kTable;
  std::optional<std::chrono::milliseconds> timeout;  // none: the command's own default
  bool headers = true;
  size_t columns = 0;    // of the terminal that standard output is; 0: it is none, and nothing is cut
  bool colour = false;   // whether tables may have colours
  bool verbose = false;  // tell of each call on standard error
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_OPTIONS_H_
