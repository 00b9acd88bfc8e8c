// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_SERVER_MODEL_QUOTA_H_
#define KINSOCK_SERVER_MODEL_QUOTA_H_

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/token_bucket.h"
#include "device/device_spec.h"
#include "server/status/error.h"

namespace kinsock {

// What a VM may take of the host, as one level says it: the VM itself, or the configuration for all VMs. What is zero
// is not said. Plain value.
struct Quota {
  uint32_t max_connections = 0;
  uint32_t max_pending_connections = 0;
  uint64_t max_buffer_bytes = 0;
  Rate connects_per_second;  // of these: a burst of zero is as much as the rate
  Rate bytes_to_guest;
  Rate bytes_from_guest;
  Rate packets_from_guest;
  friend bool operator==(const Quota&, const Quota&) = default;
};

// The fields of a Quota as the API and the configuration spell them, in the order of QuotaMask.
inline constexpr std::array<std::string_view, 7> kQuotaFields = {
    "max_connections", "max_pending_connections", "max_buffer_bytes",  "connects_per_second",
    "bytes_to_guest",  "bytes_from_guest",        "packets_from_guest"};
using QuotaMask = std::bitset<kQuotaFields.size()>;
inline QuotaMask AllQuotaFields() { return QuotaMask().set(); }

// The least that may be said. One packet of a guest has up to 64 KiB: less in a second would hold up a guest for longer
// than connections live, and less that may wait would not hold one.
inline constexpr uint64_t kMinByteRate = 65536;
inline constexpr uint64_t kMinBufferBytes = 65536;
// The burst is at least the rate over this: a reactor looks at a rate when it wakes up, which may be some milliseconds
// late, and what does not fit into the burst meanwhile is lost to the guest.
inline constexpr uint64_t kMinBurstDivisor = 100;

// Adds what is wrong with `quota`, below `field`.
void CheckQuota(const Quota& quota, std::string_view field, std::vector<FieldViolation>& violations);

// `current` with the fields of `said` that are in `mask`.
Quota Merge(const Quota& current, const Quota& said, const QuotaMask& mask);

// What holds for a device: of each limit the smallest that any of `levels` says, or the daemon's own bound
// (DeviceLimits). A level can take away from what the others give, and never adds.
DeviceLimits ResolveLimits(std::initializer_list<const Quota*> levels);

}  // namespace kinsock

#endif  // KINSOCK_SERVER_MODEL_QUOTA_H_
