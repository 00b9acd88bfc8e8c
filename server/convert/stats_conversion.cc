// SPDX-License-Identifier: Apache-2.0
#include "server/convert/stats_conversion.h"

#include <string>

#include "router/close_reason.h"
#include "server/convert/proto_time.h"

namespace kinsock {
namespace {

using Counts = google::protobuf::Map<std::string, google::protobuf::uint64>;

constexpr size_t kAccepted = static_cast<size_t>(CloseReason::kNone);

// Reasons that have not occurred are left out.
void SetReasons(const PortTotals::ByReason& counts, Counts& out) {
  for (size_t reason = 0; reason < counts.size(); ++reason) {
    if (reason == kAccepted || counts[reason] == 0) continue;
    out[CloseReasonName(static_cast<CloseReason>(reason))] = counts[reason];
  }
}

// What the guest's port knows of one direction.
template <typename Message>
void SetConnections(const PortTotals& port, Direction direction, Message& out) {
  const auto index = static_cast<size_t>(direction);
  out.set_connects_accepted(port.connects[index][kAccepted]);
  SetReasons(port.connects[index], *out.mutable_connects_refused());
  out.set_credit_stalls(port.credit_stalls[index]);
  SetDuration(*out.mutable_credit_stalled(), std::chrono::nanoseconds(port.stalled_nanoseconds[index]));
}

// What waits for `port`.
template <typename Message>
void SetBuffered(const PortTotals& port, Message& out) {
  out.set_buffered_bytes(port.buffered_bytes);
  out.set_limited_buffered_bytes(port.limited_buffered_bytes);
}

}  // namespace

v1::Stats ToProto(const VmStats& stats) {
  const DeviceTotals& totals = stats.totals;
  v1::Stats out;
  SetTimestamp(*out.mutable_since(), stats.since);
#define KINSOCK_SET(name, help) out.set_##name(totals.name);
  KINSOCK_DEVICE_STATS(KINSOCK_SET)
#undef KINSOCK_SET
  SetReasons(totals.guest_port.closes, *out.mutable_closes());

  v1::FromGuestStats& from = *out.mutable_from_guest();
#define KINSOCK_SET(name, help) from.set_##name(totals.from_guest_##name);
  KINSOCK_FROM_GUEST_STATS(KINSOCK_SET)
#undef KINSOCK_SET
  from.set_host_packets(totals.from_guest_host_packets());
  from.set_sibling_packets(totals.from_guest_sibling_packets());
  from.set_refused(totals.from_guest_refused());
  SetConnections(totals.guest_port, Direction::kOut, from);
  SetBuffered(totals.host_port, from);

  v1::ToGuestStats& to = *out.mutable_to_guest();
#define KINSOCK_SET(name, help) to.set_##name(totals.to_guest_##name);
  KINSOCK_TO_GUEST_STATS(KINSOCK_SET)
#undef KINSOCK_SET
  to.set_host_packets(totals.to_guest_host_packets());
  to.set_sibling_packets(totals.to_guest_sibling_packets());
  SetConnections(totals.guest_port, Direction::kIn, to);
  SetBuffered(totals.guest_port, to);
  return out;
}

}  // namespace kinsock
