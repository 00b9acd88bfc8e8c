// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_FLAG_FAULT_H_
#define KINSOCK_CLI_FLAGS_FLAG_FAULT_H_

#include <cstdio>
#include <string>

namespace kinsock {

// Says on standard error that `text`, the value of `flag`, is not of a form. Always false.
inline bool Fault(const char* flag, const std::string& text, const char* form) {
  std::fprintf(stderr, "kinsockctl: %s: \"%s\" is not %s\n", flag, text.c_str(), form);
  return false;
}

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_FLAG_FAULT_H_
