// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_WEB_JSON_TEXT_H_
#define KINSOCK_WEB_JSON_TEXT_H_

#include <google/protobuf/message.h>

#include <string>

#include "absl/status/status.h"

namespace kinsock {

inline constexpr char kJsonType[] = "application/json";

// `message` as protobuf JSON, on one line, as kinsockctl -o jsonl prints it. Pure function; any thread.
std::string JsonOf(const google::protobuf::Message& message);

// What is wrong, as the JSON of a google.rpc.Status, with its details. Likewise.
std::string JsonOf(const absl::Status& status);

// The HTTP status that goes with it. Likewise.
int HttpStatusOf(absl::StatusCode code);

}  // namespace kinsock

#endif  // KINSOCK_WEB_JSON_TEXT_H_
