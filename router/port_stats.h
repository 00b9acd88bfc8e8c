// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_PORT_STATS_H_
#define KINSOCK_ROUTER_PORT_STATS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/counter.h"
#include "router/close_reason.h"
#include "router/flow_info.h"

namespace kinsock {

// Which way a connection, or payload on it, goes from the point of view of a port.
enum class Direction : uint8_t {
  kOut,  // the port asked, or sends
  kIn,   // the port was asked, or receives
};
inline constexpr size_t kDirections = 2;

// What happens to the connections of one port. Both ends of a connection, and whoever else ends it, write here from
// their own reactors, a few times in its life and at most twice for each window of payload.
struct alignas(kCacheLineBytes) PortStats {
  using ByReason = std::array<SharedCounter, kCloseReasons>;

  std::array<ByReason, kDirections> connects;  // that were answered; kNone: accepted, else why not
  ByReason closes;                             // of accepted connections: those accepted less these are open
  std::array<SharedCounter, kDirections> credit_stalls;
  std::array<SharedCounter, kDirections> stalled_nanoseconds;  // of stalls that are over
  SharedCounter limited_buffered_bytes;                        // times that the limit did not let payload wait
  std::atomic<uint64_t> buffered_bytes{0};                     // what waits for the port now
  // Connections that it has now, by FlowInfo::State. Two threads may write what they did to one connection in another
  // order than they did it: for a moment one can be below zero.
  std::array<std::atomic<int64_t>, kOpenFlowStates> connections{};

  // A request has been answered: accepted (kNone), or refused.
  void CountConnect(Direction direction, CloseReason result) {
    connects[static_cast<size_t>(direction)][static_cast<size_t>(result)].Add();
  }
  // A connection of the port has come into a state (+1), or gone out of it (-1).
  void CountState(FlowInfo::State state, int change) {
    if (state == FlowInfo::State::kClosed) return;
    connections[static_cast<size_t>(state)].fetch_add(change, std::memory_order_relaxed);
  }
  void CountClose(CloseReason reason) { closes[static_cast<size_t>(reason)].Add(); }
  void CountStall(Direction direction) { credit_stalls[static_cast<size_t>(direction)].Add(); }
  void CountStalled(Direction direction, uint64_t nanoseconds) {
    stalled_nanoseconds[static_cast<size_t>(direction)].Add(nanoseconds);
  }
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_PORT_STATS_H_
