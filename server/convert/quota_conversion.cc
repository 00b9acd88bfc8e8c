// SPDX-License-Identifier: Apache-2.0
#include "server/convert/quota_conversion.h"

namespace kinsock {
namespace {

void SetRate(const Rate& rate, v1::TokenBucket* (v1::Quota::*field)(), v1::Quota& out) {
  if (rate == Rate()) return;
  v1::TokenBucket& bucket = *(out.*field)();
  bucket.set_rate(rate.per_second);
  bucket.set_burst(rate.burst);
}

Rate ToRate(const v1::TokenBucket& bucket) { return {bucket.rate(), bucket.burst()}; }

}  // namespace

v1::Quota ToProto(const Quota& quota) {
  v1::Quota out;
  out.set_max_connections(quota.max_connections);
  out.set_max_pending_connections(quota.max_pending_connections);
  out.set_max_buffer_bytes(quota.max_buffer_bytes);
  SetRate(quota.connects_per_second, &v1::Quota::mutable_connects_per_second, out);
  SetRate(quota.bytes_to_guest, &v1::Quota::mutable_bytes_to_guest, out);
  SetRate(quota.bytes_from_guest, &v1::Quota::mutable_bytes_from_guest, out);
  SetRate(quota.packets_from_guest, &v1::Quota::mutable_packets_from_guest, out);
  return out;
}

Quota ToQuota(const v1::Quota& quota) {
  Quota out;
  out.max_connections = quota.max_connections();
  out.max_pending_connections = quota.max_pending_connections();
  out.max_buffer_bytes = quota.max_buffer_bytes();
  out.connects_per_second = ToRate(quota.connects_per_second());
  out.bytes_to_guest = ToRate(quota.bytes_to_guest());
  out.bytes_from_guest = ToRate(quota.bytes_from_guest());
  out.packets_from_guest = ToRate(quota.packets_from_guest());
  return out;
}

}  // namespace kinsock
