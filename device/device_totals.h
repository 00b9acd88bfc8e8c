// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DEVICE_TOTALS_H_
#define KINSOCK_DEVICE_DEVICE_TOTALS_H_

#include <array>
#include <cstdint>

#include "device/device_stats.h"
#include "router/flow_info.h"

namespace kinsock {

// PortStats at a moment.
struct PortTotals {
  using ByReason = std::array<uint64_t, kCloseReasons>;

  std::array<ByReason, kDirections> connects{};
  ByReason closes{};
  std::array<uint64_t, kDirections> credit_stalls{};
  std::array<uint64_t, kDirections> stalled_nanoseconds{};
  uint64_t limited_buffered_bytes = 0;
  uint64_t buffered_bytes = 0;
  std::array<uint64_t, kOpenFlowStates> connections{};  // now, by FlowInfo::State
};

// DeviceStats at a moment, or the sum of several: plain values, under the same names.
struct DeviceTotals {
#define KINSOCK_DECLARE_TOTAL(name, help) uint64_t from_guest_##name = 0;
  KINSOCK_FROM_GUEST_STATS(KINSOCK_DECLARE_TOTAL)
#undef KINSOCK_DECLARE_TOTAL
#define KINSOCK_DECLARE_TOTAL(name, help) uint64_t to_guest_##name = 0;
  KINSOCK_TO_GUEST_STATS(KINSOCK_DECLARE_TOTAL)
#undef KINSOCK_DECLARE_TOTAL
#define KINSOCK_DECLARE_TOTAL(name, help) uint64_t name = 0;
  KINSOCK_DEVICE_STATS(KINSOCK_DECLARE_TOTAL)
#undef KINSOCK_DECLARE_TOTAL
  PortTotals guest_port;
  PortTotals host_port;

  // What is counted in parts only: packets by OpClass, refusals by Refusal. Sums of what only grows only grow.
  uint64_t from_guest_host_packets() const {
    return from_guest_host_data_packets + from_guest_host_credit_packets + from_guest_host_control_packets;
  }
  uint64_t from_guest_sibling_packets() const {
    return from_guest_sibling_data_packets + from_guest_sibling_credit_packets + from_guest_sibling_control_packets;
  }
  uint64_t to_guest_host_packets() const {
    return to_guest_host_data_packets + to_guest_host_credit_packets + to_guest_host_control_packets;
  }
  uint64_t to_guest_sibling_packets() const {
    return to_guest_sibling_data_packets + to_guest_sibling_credit_packets + to_guest_sibling_control_packets;
  }
  uint64_t from_guest_refused() const {
    return from_guest_refused_bad_length + from_guest_refused_bad_op + from_guest_refused_bad_type +
           from_guest_refused_no_route + from_guest_refused_no_connection + from_guest_refused_request +
           from_guest_refused_violation + from_guest_former_cid;
  }

  // Counters are read one by one while traffic goes on: each is right, sums of several may be off by what happened
  // meanwhile.
  DeviceTotals& operator+=(const DeviceStats& stats);
  // What was counted since `earlier`, a reading of the same devices. What waits now stays what it is.
  DeviceTotals& operator-=(const DeviceTotals& earlier);
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DEVICE_TOTALS_H_
