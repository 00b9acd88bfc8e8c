// SPDX-License-Identifier: Apache-2.0
//
// Sending and checking pattern bytes (pattern.h) on a stream.
#ifndef KINSOCK_TESTS_E2E_GUEST_TRAFFIC_H_
#define KINSOCK_TESTS_E2E_GUEST_TRAFFIC_H_

#include <cstdint>
#include <string>

#include "tests/e2e/guest/digest.h"
#include "tests/e2e/guest/stream.h"

namespace kinsock::guest {

// Larger than the 64 KiB that a Linux guest puts into one packet.
inline constexpr size_t kChunkBytes = 256 * 1024;

struct Sent {
  uint64_t bytes;
  int error;
};
Sent SendPattern(Stream& stream, uint32_t seed, uint64_t bytes, Digest& digest);

// After this much has come, a receiver reports "flowing": traffic is under way.
inline constexpr uint64_t kFlowingBytes = 1 << 20;

struct Received {
  uint64_t bytes;
  int error;            // 0: the peer finished sending
  int64_t ms;           // from the first byte to the end
  std::string verdict;  // "exact", or what was wrong (PatternChecker::Verdict)
};

// Reads until the peer has finished sending or the stream breaks.
Received ReceivePattern(Stream& stream, uint32_t seed, uint64_t expected_bytes, Digest& digest);

}  // namespace kinsock::guest

#endif  // KINSOCK_TESTS_E2E_GUEST_TRAFFIC_H_
