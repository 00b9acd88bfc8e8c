// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_CONVERT_PROTO_TIME_H_
#define KINSOCK_SERVER_CONVERT_PROTO_TIME_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>

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

// Nothing for one that the API does not allow: its parts have different signs, or there is more than a second of
// nanoseconds.
inline std::optional<std::chrono::nanoseconds> ToNanoseconds(const google::protobuf::Duration& duration) {
  constexpr int64_t kMaxSeconds = 315'576'000'000;  // google.protobuf.Duration's own
  constexpr int64_t kLongest = 9'000'000'000;       // what nanoseconds in 64 bits can say
  const bool sane =
      duration.seconds() >= -kMaxSeconds && duration.seconds() <= kMaxSeconds &&
      std::abs(duration.nanos()) < 1'000'000'000 &&
      (duration.seconds() == 0 || duration.nanos() == 0 || (duration.seconds() < 0) == (duration.nanos() < 0));
  if (!sane) return std::nullopt;
  const int64_t seconds = std::clamp(duration.seconds(), -kLongest, kLongest);
  return std::chrono::seconds(seconds) + std::chrono::nanoseconds(duration.nanos());
}

}  // namespace kinsock

#endif  // KINSOCK_SERVER_CONVERT_PROTO_TIME_H_
