// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_CONNECT_LINE_H_
#define KINSOCK_DEVICE_CONNECT_LINE_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace kinsock {

// The first line of a host program on the hybrid socket: "CONNECT <port>\n", as Firecracker defined it. The
// word may be in any case (Kata's Rust client writes it in lower case); the port is decimal, without sign.
struct ConnectLine {
  enum class Status : uint8_t {
    kComplete,    // `port` and `bytes` are set
    kIncomplete,  // may become a line when more comes
    kInvalid,     // never will
  };

  // Longest line, its newline included: "CONNECT 4294967295\n" is 19 bytes, and some clients pad.
  static constexpr size_t kMaxBytes = 32;

  // Looks at what has come so far. What follows the newline belongs to the guest and is not looked at.
  static ConnectLine Parse(absl::string_view received);

  Status status = Status::kInvalid;
  uint32_t port = 0;
  size_t bytes = 0;  // length of the line with its newline
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_CONNECT_LINE_H_
