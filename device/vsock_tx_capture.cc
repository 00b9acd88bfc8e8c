// SPDX-License-Identifier: Apache-2.0
//
// VsockTx: what captures see of the packets that the guest sends (docs/adr/0018-capture.md).
#include <algorithm>
#include <cstdint>
#include <utility>

#include "device/vsock_tx.h"

namespace kinsock {

// Before anything is decided: what is refused or dropped is worth seeing, too.
void VsockTx::Capture(CaptureTap& tap, TxPacket& packet) {
  const VsockHeader& header = packet.header;
  // A length that is a lie counts as far as there is something behind it.
  const auto length = static_cast<uint32_t>(std::min<uint64_t>({header.len, packet.payload.size(), kMaxPayloadBytes}));
  const uint32_t wanted = tap.Reserve(env_.point, header, length);
  const bool has_payload = wanted > 0 && TakePayloadPrivately(tap, packet, wanted);
  tap.Fill(env_.point, header, length, packet.payload, 0, has_payload ? wanted : 0);
}

// From here on the beginning of the payload is a copy of ours. What a capture shows is then what is delivered, and the
// guest's memory is read once: it could write something else into it in between.
bool VsockTx::TakePayloadPrivately(CaptureTap& tap, TxPacket& packet, uint32_t bytes) {
  if (captured_bytes_ + CopyPool::SizeFor(bytes) > kMaxCapturedBytes) return false;
  packet.captured = tap.copies().Take(bytes);
  captured_bytes_ += packet.captured.size;
  char* const copy = packet.captured.bytes.get();
  packet.payload.CopyOut(0, copy, bytes);
  packet.payload.RemovePrefix(bytes);
  ScatterList payload;
  payload.Append(copy, bytes);
  for (const iovec& piece : packet.payload.segments()) payload.Append(piece.iov_base, piece.iov_len);
  packet.payload = std::move(payload);
  return true;
}

void VsockTx::ForgetPrivatePayload(TxPacket& packet) {
  captured_bytes_ -= packet.captured.size;
  CopyPool::Copy copy = std::exchange(packet.captured, {});
  if (CaptureTap* const tap = CaptureTap::Active()) tap->copies().Give(std::move(copy));
}

}  // namespace kinsock
