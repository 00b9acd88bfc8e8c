// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_GUEST_OPTIONS_H_
#define KINSOCK_TESTS_SUPPORT_GUEST_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/shared_memory.h"
#include "tests/support/vhost_user_front_end.h"
#include "tests/support/vring_driver.h"

namespace kinsock::testing {

// How a guest driver lays a packet out for the device (virtio 1.3, 2.7.4.2 allows all of them).
enum class TxLayout : uint8_t {
  kHeaderAndPayload,  // two descriptors; Linux
  kOnePiece,          // header and payload in one
  kPages,             // the payload in pieces of 4 KiB; Linux since 6.17
  kShreddedHeader,    // the header in 44 descriptors of one byte
};

// How a simulated guest differs from a Linux one under QEMU. Plain value.
struct GuestOptions {
  uint64_t memory_bytes = 32u << 20;
  std::vector<SharedMemory::Region> memory_layout;  // empty: memory_bytes around the VGA hole, as q35
  bool allow_sealing = true;

  uint16_t ring_entries = 128;
  size_t queues = 2;          // 3: with the event queue, as crosvm and Cloud Hypervisor
  bool takes_events = false;  // with three queues: reads its CID anew when it is told to, as Linux does
  bool event_idx = true;
  bool indirect = true;
  VringDriver::KickRule kick_rule = VringDriver::KickRule::kAsSpecified;

  // Looks into the rings without being called. Off: a call that the device forgets makes the test hang, as it
  // would make a guest hang.
  bool polling = false;

  // What a socket may hold unread: VIRTIO_VSOCK_DEFAULT_BUF_SIZE.
  uint32_t window = 256 * 1024;

  // Receive buffers, header included: VIRTIO_VSOCK_DEFAULT_RX_BUF_SIZE. 45 leaves room for one byte.
  uint32_t rx_buffer_bytes = 3776;
  size_t rx_buffers = 256;          // at most so many are posted
  std::vector<uint32_t> rx_pieces;  // a buffer is cut into descriptors of these sizes, and one for the rest
  bool posts_rx = true;

  TxLayout tx_layout = TxLayout::kHeaderAndPayload;
  uint32_t tx_packet_bytes = 64 * 1024;  // VIRTIO_VSOCK_MAX_PKT_BUF_SIZE
  bool seqpacket = true;                 // acknowledges VIRTIO_VSOCK_F_SEQPACKET; Linux since 5.14
  bool requests_credit = false;          // sends CREDIT_REQUEST when it has none; Linux waits in silence

  FrontEndOptions front_end;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_GUEST_OPTIONS_H_
