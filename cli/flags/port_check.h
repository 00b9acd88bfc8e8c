// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_PORT_CHECK_H_
#define KINSOCK_CLI_FLAGS_PORT_CHECK_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/numbers.h"

namespace kinsock {

// What is wrong with the text of a vsock port; empty: nothing.
inline std::string PortFault(const std::string& text) {
  uint32_t port = 0;
  const bool good = absl::SimpleAtoi(text, &port) && port < std::numeric_limits<uint32_t>::max();
  return good ? "" : "\"" + text + "\" is not a vsock port, 0 to 4294967294";
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_PORT_CHECK_H_
