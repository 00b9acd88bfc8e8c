// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_HOST_CONNECTION_H_
#define KINSOCK_DEVICE_HOST_CONNECTION_H_

#include <cstdint>

#include "base/unique_fd.h"

namespace kinsock {

// What became of an attempt to reach the host program that listens for a guest's port. Nothing was waited for.
struct HostConnection {
  enum class Status : uint8_t {
    kConnected,
    kConnecting,  // the kernel is at it: the socket becomes writable when it knows
    kBusy,        // the listener's backlog is full: worth another try
    kRefused,     // nobody listens, or nobody that this port may lead to
    kForbidden    // the port leads to another guest of this daemon
  };
  Status status = Status::kRefused;
  UniqueFd socket;  // kConnected, kConnecting; non-blocking
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_HOST_CONNECTION_H_
