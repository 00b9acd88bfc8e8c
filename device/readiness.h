// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_READINESS_H_
#define KINSOCK_DEVICE_READINESS_H_

#include <cstdint>

namespace kinsock {

// Who says that the programs in a guest are ready, which nobody can tell from its driver. Plain value.
struct Readiness {
  enum class Source : uint8_t {
    kNone,           // nobody
    kGuestConnects,  // the guest asks for a connection to `port` of the host; what becomes of it does not matter
    kProbe,          // a program in the guest accepts a connection to `port` of the guest
    kNotify,         // the guest sends READY=1 to `port` of the host, as systemd does (sd_notify(3))
  };
  Source source = Source::kNone;
  uint32_t port = 0;
  friend bool operator==(const Readiness&, const Readiness&) = default;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_READINESS_H_
