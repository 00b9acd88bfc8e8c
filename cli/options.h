// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_OPTIONS_H_
#define KINSOCK_CLI_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace kinsock {

enum class OutputFormat : uint8_t { kTable, kWide, kJson, kYaml, kName, kJsonl };

// What every command of kinsockctl knows.
struct Options {
  std::string endpoint;  // "unix:PATH"
  OutputFormat format = OutputFormat::kTable;
  std::optional<std::chrono::milliseconds> timeout;  // none: the command's own default
  bool headers = true;
};

}  // namespace kinsock

#endif  // KINSOCK_CLI_OPTIONS_H_
