// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_PROTO_TIME_H_
#define KINSOCK_SERVER_PROTO_TIME_H_

#include <chrono>

#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"

namespace kinsock {

inline void SetTimestamp(google::protobuf::Timestamp& out, std::chrono::system_clock::time_point time) {
  const auto since_epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<int32_t>((since_epoch - seconds).count()));
}

inline void SetDuration(google::protobuf::Duration& out, std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<int32_t>((duration - seconds).count()));
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_PROTO_TIME_H_
