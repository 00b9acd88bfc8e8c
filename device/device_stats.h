// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_DEVICE_DEVICE_STATS_H_
#define KINSOCK_DEVICE_DEVICE_STATS_H_

#include <cstdint>

#include "base/counter.h"

namespace kinsock {

// Every statistic of a device: name, and what it counts. "From" and "to" are seen from the guest.
// Those from the guest are written by the device's reactor, those to the guest under the lock of its receive
// side; anyone may read.
#define KINSOCK_DEVICE_STATS(X)                                                           \
  X(from_guest_packets, "packets taken from the guest")                                   \
  X(from_guest_bytes, "payload bytes taken from the guest")                               \
  X(from_guest_kicks, "notifications received for the transmit ring")                     \
  X(from_guest_interrupts, "interrupts sent for the transmit ring")                       \
  X(from_guest_malformed_chains, "transmit chains without a usable packet")               \
  X(from_guest_refused, "packets answered with an RST by the switch")                     \
  X(from_guest_connects, "requests for a connection")                                     \
  X(from_guest_spoofed_source, "packets dropped: src_cid is not the guest's own")         \
  X(from_guest_reserved_bits, "packets dropped: upper half of a CID is not zero")         \
  X(from_guest_reset_of_reset, "RSTs dropped: they concern no connection")                \
  X(from_guest_copied_bytes, "payload copied aside because the receiver had no room")     \
  X(from_guest_credit_violations, "connections reset: sent beyond the receiver's window") \
  X(from_guest_over_quota, "connections refused or reset: a limit of the VM")             \
  X(from_guest_unsupported_type, "requests reset: an end cannot do that type")            \
  X(from_guest_messages_too_large, "connections reset: larger than the host's window")    \
  X(to_guest_packets, "packets put into receive buffers")                                 \
  X(to_guest_bytes, "payload bytes put into receive buffers")                             \
  X(to_guest_interrupts, "interrupts sent for the receive ring")                          \
  X(to_guest_starved, "times that a packet found no receive buffer")                      \
  X(to_guest_malformed_chains, "receive chains that could not be used")                   \
  X(to_guest_credit_clamped, "packets whose granted window was cut to the limit")         \
  X(to_guest_messages_too_large, "connections reset: larger than the guest's window")     \
  X(timed_out_flows, "connections reset: no answer, or no end, in time")                  \
  X(rings_broken, "rings stopped because they made no sense")                             \
  X(front_end_connects, "sessions of a front-end")                                        \
  X(front_end_errors, "sessions closed because of what the front-end sent")

struct DeviceStats {
#define KINSOCK_DECLARE_STAT(name, help) Counter name;
  KINSOCK_DEVICE_STATS(KINSOCK_DECLARE_STAT)
#undef KINSOCK_DECLARE_STAT
};

}  // namespace kinsock

#endif  // KINSOCK_DEVICE_DEVICE_STATS_H_
