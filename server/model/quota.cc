// SPDX-License-Identifier: Apache-2.0
#include "server/model/quota.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "base/text.h"

namespace kinsock {
namespace {

using Violations = std::vector<FieldViolation>;

std::string Below(std::string_view field, size_t index) {
  return absl::StrCat(AbslView(field), ".", AbslView(kQuotaFields[index]));
}

void CheckRange(uint64_t value, uint64_t least, uint64_t most, std::string field, Violations& violations) {
  if (value == 0 || (value >= least && value <= most)) return;
  violations.push_back(
      {std::move(field), absl::StrCat(value, " is not from ", least, " to ", most, "; 0 is what the others say")});
}

void CheckRate(const Rate& rate, uint64_t least, const std::string& field, Violations& violations) {
  CheckRange(rate.per_second, least, Rate::kMax, field + ".rate", violations);
  if (rate.burst == 0) return;
  if (rate.per_second == 0) {
    violations.push_back({field + ".burst", "is of no use without a rate; give one, or leave this out"});
    return;
  }
  CheckRange(rate.burst, std::max<uint64_t>(rate.per_second / kMinBurstDivisor, 1), Rate::kMax, field + ".burst",
             violations);
}

// Of two levels; what one does not say leaves the other as it is.
template <typename Number>
void Tighten(Number& limit, uint64_t said) {
  if (said != 0) limit = static_cast<Number>(std::min<uint64_t>(limit, said));
}

void Tighten(Rate& limit, const Rate& said) {
  if (said.per_second == 0) return;
  const Rate whole{said.per_second, said.burst != 0 ? said.burst : said.per_second};
  const bool is_less = std::tie(whole.per_second, whole.burst) < std::tie(limit.per_second, limit.burst);
  if (limit.per_second == 0 || is_less) limit = whole;
}

}  // namespace

void CheckQuota(const Quota& quota, std::string_view field, Violations& violations) {
  const DeviceLimits most;
  CheckRange(quota.max_connections, 1, most.max_connections, Below(field, 0), violations);
  CheckRange(quota.max_pending_connections, 1, most.max_pending_connections, Below(field, 1), violations);
  CheckRange(quota.max_buffer_bytes, kMinBufferBytes, most.max_buffered_bytes, Below(field, 2), violations);
  CheckRate(quota.connects_per_second, 1, Below(field, 3), violations);
  CheckRate(quota.bytes_to_guest, kMinByteRate, Below(field, 4), violations);
  CheckRate(quota.bytes_from_guest, kMinByteRate, Below(field, 5), violations);
  CheckRate(quota.packets_from_guest, 1, Below(field, 6), violations);
}

Quota Merge(const Quota& current, const Quota& said, const QuotaMask& mask) {
  const auto pick = [&](size_t index, const auto& of_current, const auto& of_said) {
    return mask[index] ? of_said : of_current;
  };
  Quota merged;
  merged.max_connections = pick(0, current.max_connections, said.max_connections);
  merged.max_pending_connections = pick(1, current.max_pending_connections, said.max_pending_connections);
  merged.max_buffer_bytes = pick(2, current.max_buffer_bytes, said.max_buffer_bytes);
  merged.connects_per_second = pick(3, current.connects_per_second, said.connects_per_second);
  merged.bytes_to_guest = pick(4, current.bytes_to_guest, said.bytes_to_guest);
  merged.bytes_from_guest = pick(5, current.bytes_from_guest, said.bytes_from_guest);
  merged.packets_from_guest = pick(6, current.packets_from_guest, said.packets_from_guest);
  return merged;
}

DeviceLimits ResolveLimits(std::initializer_list<const Quota*> levels) {
  DeviceLimits limits;
  for (const Quota* level : levels) {
    Tighten(limits.max_connections, level->max_connections);
    Tighten(limits.max_pending_connections, level->max_pending_connections);
    Tighten(limits.max_buffered_bytes, level->max_buffer_bytes);
    Tighten(limits.connects, level->connects_per_second);
    Tighten(limits.bytes_to_guest, level->bytes_to_guest);
    Tighten(limits.bytes_from_guest, level->bytes_from_guest);
    Tighten(limits.packets_from_guest, level->packets_from_guest);
  }
  return limits;
}

}  // namespace kinsock
