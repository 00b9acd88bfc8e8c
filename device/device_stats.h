// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DEVICE_STATS_H_
#define KINSOCK_DEVICE_DEVICE_STATS_H_

#include <cstddef>
#include <cstdint>

#include "base/counter.h"
#include "router/port_stats.h"
#include "router/vsock_header.h"

namespace kinsock {

// Every statistic of a device: name, and what it counts. "From" and "to" are seen from the guest. The API has a field
// of the same name for each (api/kinsock/v1/stats.proto), or the daemon does not compile.

// Written by the device's reactor: what the guest sends. Members are called from_guest_<name>.
#define KINSOCK_FROM_GUEST_STATS(X)                                                         \
  X(packets, "chains with a packet taken off the transmit ring")                            \
  X(host_data_packets, "packets with payload passed on to the host")                        \
  X(host_bytes, "payload bytes passed on to the host")                                      \
  X(sibling_data_packets, "packets with payload passed on to other guests")                 \
  X(sibling_bytes, "payload bytes passed on to other guests")                               \
  X(host_credit_packets, "packets about credit passed on to the host")                      \
  X(host_control_packets, "packets that begin or end connections passed on to the host")    \
  X(sibling_credit_packets, "packets about credit passed on to other guests")               \
  X(sibling_control_packets, "packets that begin or end connections passed on to others")   \
  X(refused_bad_length, "packets refused: more payload than is there, or may be")           \
  X(refused_bad_op, "packets refused: no operation that there is")                          \
  X(refused_bad_type, "packets refused: no type that there is, or that was agreed on")      \
  X(refused_no_route, "packets refused: nobody is at the CID")                              \
  X(refused_no_connection, "packets refused: of no connection")                             \
  X(refused_request, "packets refused: calls that nobody takes, or that may not be made")   \
  X(refused_violation, "packets refused: not allowed at this point of the connection")      \
  X(malformed_chains, "transmit chains without a usable packet")                            \
  X(former_cid, "packets refused: under the CID that the guest had before a change")        \
  X(dropped_spoofed_source, "packets dropped: src_cid is not the guest's own")              \
  X(dropped_reserved_bits, "packets dropped: upper half of a CID is not zero")              \
  X(dropped_reset_of_reset, "RSTs dropped: they concern no connection")                     \
  X(credit_violations, "connections reset: sent beyond the receiver's window")              \
  X(copied_bytes, "payload copied aside because the receiver had no room")                  \
  X(limited_connections, "connections refused: the guest has as many as it may")            \
  X(limited_pending_connections, "connections refused: too many await their answer")        \
  X(limited_replies, "times the ring was left alone: too many RSTs await buffers")          \
  X(limited_connects, "connections refused: more are begun in a second than may be")        \
  X(limited_bytes, "times the ring was left alone: as many bytes were sent as may be")      \
  X(limited_packets, "times the ring was left alone: as many packets were sent as may be")  \
  X(limited_control, "times the guest was left alone: it sent too much that moves nothing") \
  X(kicks, "notifications received for the transmit ring")                                  \
  X(interrupts, "interrupts sent for the transmit ring")                                    \
  X(rests, "times the ring was left alone: half of it awaits busy receivers")               \
  X(rested_nanoseconds, "time of these rests")

// Written under the lock of the device's receive side: what the guest gets. Members are called to_guest_<name>.
#define KINSOCK_TO_GUEST_STATS(X)                                                    \
  X(host_data_packets, "packets with payload from the host put into buffers")        \
  X(host_bytes, "payload bytes from the host put into receive buffers")              \
  X(sibling_data_packets, "packets with payload from other guests put into buffers") \
  X(sibling_bytes, "payload bytes from other guests put into receive buffers")       \
  X(host_credit_packets, "packets about credit from the host")                       \
  X(host_control_packets, "packets that begin or end connections from the host")     \
  X(sibling_credit_packets, "packets about credit from other guests")                \
  X(sibling_control_packets, "packets that begin or end connections from others")    \
  X(malformed_chains, "receive chains that could not be used")                       \
  X(credit_clamped, "packets whose granted window was cut to the limit")             \
  X(limited_connections, "connections refused: the guest has as many as it may")     \
  X(limited_connects, "connections refused: more are begun in a second than may be") \
  X(limited_bytes, "times that payload waited: the guest got as much as it may")     \
  X(kicks, "notifications received for the receive ring")                            \
  X(interrupts, "interrupts sent for the receive ring")                              \
  X(credit_requests, "times the guest was asked what it has read")                   \
  X(full_flows, "times a connection waited: too many of its packets are unread")     \
  X(starved, "times that a packet found no receive buffer")

// Written by the device's reactor: its sessions, and what belongs to no direction.
#define KINSOCK_DEVICE_STATS(X)                                                              \
  X(front_end_connects, "sessions of a front-end")                                           \
  X(front_end_errors, "sessions closed because of what the front-end sent")                  \
  X(front_end_messages, "vhost-user messages received")                                      \
  X(front_end_refused_messages, "vhost-user messages that could not be done")                \
  X(broken_rings, "times that rings were stopped because they made no sense")                \
  X(timed_out_flows, "connections reset: no answer, or no end, in time")                     \
  X(transport_resets, "times that the driver was told to reset its connections")             \
  X(unanswered_config_changes, "times a front-end did not say that it knows of another CID") \
  X(readiness_probes, "times that the guest's port was tried, to see whether it is ready")   \
  X(refused_notices, "connections that say READY=1 ended: too many, or a line too long")     \
  X(forward_connects, "connections asked for through forwards")                              \
  X(forward_refused, "of these: not made, whatever the reason")

// Who is at the other end.
enum class StatsPeer : uint8_t { kSibling, kHost };

// A packet is counted once, under its peer and class: how many there are of all is for who reads them to add up.
#define KINSOCK_PACKET_COUNTERS(Stats, prefix)                                       \
  {                                                                                  \
    {&Stats::prefix##_sibling_data_packets, &Stats::prefix##_sibling_credit_packets, \
     &Stats::prefix##_sibling_control_packets},                                      \
        {&Stats::prefix##_host_data_packets, &Stats::prefix##_host_credit_packets,   \
         &Stats::prefix##_host_control_packets},                                     \
  }

struct alignas(kCacheLineBytes) ReactorStats {
#define KINSOCK_DECLARE_STAT(name, help) Counter from_guest_##name;
  KINSOCK_FROM_GUEST_STATS(KINSOCK_DECLARE_STAT)
#undef KINSOCK_DECLARE_STAT
#define KINSOCK_DECLARE_STAT(name, help) Counter name;
  KINSOCK_DEVICE_STATS(KINSOCK_DECLARE_STAT)
#undef KINSOCK_DECLARE_STAT

  // Where a packet that is passed on is counted.
  Counter& from_guest_packets_of(StatsPeer peer, OpClass op_class) {
    static constexpr Counter ReactorStats::*kCounters[2][kOpClasses] =
        KINSOCK_PACKET_COUNTERS(ReactorStats, from_guest);
    return this->*kCounters[static_cast<size_t>(peer)][static_cast<size_t>(op_class)];
  }
};

struct alignas(kCacheLineBytes) ReceiveStats {
#define KINSOCK_DECLARE_STAT(name, help) Counter to_guest_##name;
  KINSOCK_TO_GUEST_STATS(KINSOCK_DECLARE_STAT)
#undef KINSOCK_DECLARE_STAT

  // Where a packet that is put into a buffer is counted.
  Counter& to_guest_packets_of(StatsPeer peer, OpClass op_class) {
    static constexpr Counter ReceiveStats::*kCounters[2][kOpClasses] = KINSOCK_PACKET_COUNTERS(ReceiveStats, to_guest);
    return this->*kCounters[static_cast<size_t>(peer)][static_cast<size_t>(op_class)];
  }
};

#undef KINSOCK_PACKET_COUNTERS

// The statistics of one device, from its making to its end: sessions come and go, these stay. Each part has cache
// lines of its own. Anyone may read at any time, and disturbs nobody by it.
struct DeviceStats : ReactorStats, ReceiveStats {
  PortStats guest_port;
  PortStats host_port;
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DEVICE_STATS_H_
