// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_NAME_AND_PORT_H_
#define KINSOCK_CLI_FLAGS_NAME_AND_PORT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"

namespace kinsock {

// Takes "web:22" apart; the name may be empty. False: there is no colon, or no number behind it.
inline bool ParseNameAndPort(const std::string& text, std::string& name, uint32_t& port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  name = text.substr(0, colon);
  return absl::SimpleAtoi(text.substr(colon + 1), &port);
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_NAME_AND_PORT_H_
