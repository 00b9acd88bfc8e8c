// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CLI_TEXT_DURATION_H_
#define KINSOCK_CLI_TEXT_DURATION_H_

#include <chrono>
#include <optional>
#include <string>

#include "google/protobuf/duration.pb.h"

namespace kinsock {

// "30s", "1m30s", "500ms", or a plain number of seconds. Nothing if it is none of these, negative, or above a year.
std::optional<std::chrono::milliseconds> ParseDuration(const std::string& text);

// How long ago, as tables show it: "5s", "3m", "2h", "4d".
std::string ShortAge(std::chrono::seconds age);

// For a field of a request.
void SetDuration(std::chrono::milliseconds from, google::protobuf::Duration& to);

}  // namespace kinsock

#endif  // KINSOCK_CLI_TEXT_DURATION_H_
