// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_FLAGS_TIME_FLAG_H_
#define KINSOCK_CLI_FLAGS_TIME_FLAG_H_

#include <chrono>
#include <optional>
#include <string>

namespace kinsock {

// The time that `flag` was given, in the forms of ParseDuration(). Nothing: `text` is none, and standard error says so.
std::optional<std::chrono::milliseconds> TimeOf(const char* flag, const std::string& text);

}  // namespace kinsock

#endif  // KINSOCK_CLI_FLAGS_TIME_FLAG_H_
