// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_CREDIT_H_
#define KINSOCK_ROUTER_CREDIT_H_

#include <algorithm>
#include <cstdint>

namespace kinsock {

// The largest receive window that is believed. A guest that advertises 4 GiB is treated as if it had said this
// much: the rest of its promise would be paid with our memory when it stops taking packets. It is what Linux
// grants by default. Counted as `credit_clamped`.
inline constexpr uint32_t kMaxWindow = 256 * 1024;

// What one end of a stream may still send (virtio 1.3, 5.10.6.3, buffer space management).
//
//     room = peer_buf_alloc - (tx_cnt - peer_fwd_cnt)        all modulo 2^32
//
// The counters run freely and wrap: only their difference means anything. A peer may shrink buf_alloc
// below what is under way, or claim to have consumed what was never sent; the room is then zero, not four
// gigabytes.
//
// Thread: that of the owner. Arithmetic only.
class Credit {
 public:
  // Takes over both fields from any packet of the peer, whatever its operation.
  void Update(uint32_t peer_buf_alloc, uint32_t peer_fwd_cnt) {
    peer_buf_alloc_ = std::min(peer_buf_alloc, kMaxWindow);
    peer_fwd_cnt_ = peer_fwd_cnt;
  }

  // Bytes that may go out now. Zero: ask with CREDIT_REQUEST once, then wait for an update.
  uint32_t room() const {
    const uint32_t under_way = tx_cnt_ - peer_fwd_cnt_;
    return under_way >= peer_buf_alloc_ ? 0 : peer_buf_alloc_ - under_way;
  }

  // Precondition: bytes <= room().
  void Spend(uint32_t bytes) { tx_cnt_ += bytes; }

  uint32_t peer_buf_alloc() const { return peer_buf_alloc_; }
  uint32_t peer_fwd_cnt() const { return peer_fwd_cnt_; }

 private:
  uint32_t peer_buf_alloc_ = 0;
  uint32_t peer_fwd_cnt_ = 0;
  uint32_t tx_cnt_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_CREDIT_H_
