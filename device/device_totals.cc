// SPDX-License-Identifier: Apache-2.0
#include "device/device_totals.h"

#include <algorithm>
#include <cstddef>

namespace kinsock {
namespace {

template <size_t N>
void Add(std::array<uint64_t, N>& totals, const std::array<SharedCounter, N>& counters) {
  for (size_t i = 0; i < N; ++i) totals[i] += counters[i].value();
}

void Add(PortTotals& totals, const PortStats& stats) {
  for (size_t i = 0; i < kDirections; ++i) Add(totals.connects[i], stats.connects[i]);
  Add(totals.closes, stats.closes);
  Add(totals.credit_stalls, stats.credit_stalls);
  Add(totals.stalled_nanoseconds, stats.stalled_nanoseconds);
  totals.limited_buffered_bytes += stats.limited_buffered_bytes.value();
  totals.buffered_bytes += stats.buffered_bytes.load(std::memory_order_relaxed);
  for (size_t i = 0; i < kOpenFlowStates; ++i) {
    const int64_t now = stats.connections[i].load(std::memory_order_relaxed);
    totals.connections[i] += static_cast<uint64_t>(std::max<int64_t>(now, 0));
  }
}

template <size_t N>
void Subtract(std::array<uint64_t, N>& totals, const std::array<uint64_t, N>& earlier) {
  for (size_t i = 0; i < N; ++i) totals[i] -= earlier[i];
}

void Subtract(PortTotals& totals, const PortTotals& earlier) {
  for (size_t i = 0; i < kDirections; ++i) Subtract(totals.connects[i], earlier.connects[i]);
  Subtract(totals.closes, earlier.closes);
  Subtract(totals.credit_stalls, earlier.credit_stalls);
  Subtract(totals.stalled_nanoseconds, earlier.stalled_nanoseconds);
  totals.limited_buffered_bytes -= earlier.limited_buffered_bytes;
}

}  // namespace

DeviceTotals& DeviceTotals::operator+=(const DeviceStats& stats) {
#define KINSOCK_ADD(name, help) from_guest_##name += stats.from_guest_##name.value();
  KINSOCK_FROM_GUEST_STATS(KINSOCK_ADD)
#undef KINSOCK_ADD
#define KINSOCK_ADD(name, help) to_guest_##name += stats.to_guest_##name.value();
  KINSOCK_TO_GUEST_STATS(KINSOCK_ADD)
#undef KINSOCK_ADD
#define KINSOCK_ADD(name, help) name += stats.name.value();
  KINSOCK_DEVICE_STATS(KINSOCK_ADD)
#undef KINSOCK_ADD
  Add(guest_port, stats.guest_port);
  Add(host_port, stats.host_port);
  return *this;
}

DeviceTotals& DeviceTotals::operator-=(const DeviceTotals& earlier) {
#define KINSOCK_SUBTRACT(name, help) from_guest_##name -= earlier.from_guest_##name;
  KINSOCK_FROM_GUEST_STATS(KINSOCK_SUBTRACT)
#undef KINSOCK_SUBTRACT
#define KINSOCK_SUBTRACT(name, help) to_guest_##name -= earlier.to_guest_##name;
  KINSOCK_TO_GUEST_STATS(KINSOCK_SUBTRACT)
#undef KINSOCK_SUBTRACT
#define KINSOCK_SUBTRACT(name, help) name -= earlier.name;
  KINSOCK_DEVICE_STATS(KINSOCK_SUBTRACT)
#undef KINSOCK_SUBTRACT
  Subtract(guest_port, earlier.guest_port);
  Subtract(host_port, earlier.host_port);
  return *this;
}

}  // namespace kinsock
