// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_RESET_H_
#define KINSOCK_ROUTER_RESET_H_

#include "router/vsock_header.h"

namespace kinsock {

// The RST that answers `packet`: back where it came from, in the name of whom it was for. The caller has
// made sure that `packet` is not an RST itself: two switches that reset each other's resets never stop.
inline VsockHeader ResetFor(const VsockHeader& packet) {
  return {.src_cid = packet.dst_cid,
          .dst_cid = packet.src_cid,
          .src_port = packet.dst_port,
          .dst_port = packet.src_port,
          .type = packet.type,
          .op = VIRTIO_VSOCK_OP_RST};
}

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_RESET_H_
