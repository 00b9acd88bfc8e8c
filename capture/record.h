// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_CAPTURE_RECORD_H_
#define KINSOCK_CAPTURE_RECORD_H_

#include <cstdint>

#include "router/vsock_header.h"

namespace kinsock {

// A packet as it was seen, with the beginning of its payload behind it. Lies in a RecordRing.
struct CaptureRecord {
  uint64_t nanoseconds = 0;  // since 1970
  uint64_t point = 0;        // CapturePoint::key()
  uint32_t length = 0;       // bytes of payload that the packet had
  uint32_t captured = 0;     // of these, those that follow
  VsockHeaderWire header;    // as it was sent, or given
};

}  // namespace kinsock

#endif  // KINSOCK_CAPTURE_RECORD_H_
