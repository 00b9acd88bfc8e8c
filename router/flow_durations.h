// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_FLOW_DURATIONS_H_
#define KINSOCK_ROUTER_FLOW_DURATIONS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/counter.h"
#include "base/duration_histogram.h"
#include "router/cid.h"

namespace kinsock {

// Between whom a connection is.
enum class FlowWay : uint8_t {
  kFromHost,  // a host program called a guest
  kToHost,    // a guest called a host program
  kSibling,   // a guest called another
};
inline constexpr std::array<FlowWay, 3> kFlowWays{FlowWay::kFromHost, FlowWay::kToHost, FlowWay::kSibling};

inline FlowWay FlowWayOf(Cid initiator, Cid target) {
  if (initiator == kHostCid) return FlowWay::kFromHost;
  return target == kHostCid ? FlowWay::kToHost : FlowWay::kSibling;
}

// As metrics call it. Static storage.
inline const char* FlowWayName(FlowWay way) {
  constexpr std::array<const char*, kFlowWays.size()> kNames{"from_host", "to_host", "sibling"};
  return kNames[static_cast<size_t>(way)];
}

// A guest that is awake answers in tens of microseconds; its kernel gives up after two seconds.
inline constexpr std::array<std::chrono::nanoseconds, 9> kConnectTimes{
    std::chrono::microseconds(20),  std::chrono::microseconds(50),  std::chrono::microseconds(100),
    std::chrono::microseconds(250), std::chrono::milliseconds(1),   std::chrono::milliseconds(5),
    std::chrono::milliseconds(25),  std::chrono::milliseconds(250), std::chrono::seconds(2)};
// From a request and its answer to what stays open for days.
inline constexpr std::array<std::chrono::nanoseconds, 8> kConnectionTimes{
    std::chrono::milliseconds(1), std::chrono::milliseconds(10), std::chrono::milliseconds(100),
    std::chrono::seconds(1),      std::chrono::seconds(10),      std::chrono::minutes(1),
    std::chrono::hours(1),        std::chrono::hours(24)};

// How long the connections that began on one reactor waited for their answer, and lasted. Those that were refused are
// in neither: what they took is the refuser's.
//
// Any thread: both ends of a connection may be on other reactors. Each connection adds twice in its life.
struct alignas(kCacheLineBytes) FlowDurations {
  // From the request to the answer that accepts it.
  std::array<DurationHistogram<SharedCounter, kConnectTimes>, kFlowWays.size()> connects;
  // From the request to the end, of accepted ones.
  std::array<DurationHistogram<SharedCounter, kConnectionTimes>, kFlowWays.size()> connections;

  void CountConnect(FlowWay way, std::chrono::nanoseconds took) { connects[static_cast<size_t>(way)].Add(took); }
  void CountConnection(FlowWay way, std::chrono::nanoseconds lasted) {
    connections[static_cast<size_t>(way)].Add(lasted);
  }
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_FLOW_DURATIONS_H_
