// SPDX-License-Identifier: Apache-2.0
//
// VsockTx: what captures see of the packets that the guest sends (docs/adr/0018-capture.md).
#include <algorithm>
#include <memory>
#include <utility>

#include "device/vsock_tx.h"

namespace kinsock {

// Before anything is decided: what is refused or dropped is worth seeing, too.
void VsockTx::Capture(CaptureTap& tap, TxPacket& packet) {
  const VsockHeader& header = packet.header;
  // A length that is a lie counts as far as there is something behind it.
  const auto length = static_cast<uint32_t>(std::min<uint64_t>({header.len, packet.payload.size(), kMaxPayloadBytes}));
  const uint32_t wanted = length == 0 ? 0 : std::min(tap.PayloadWanted(env_.point, header), length);
  const bool has_payload = wanted > 0 && TakePayloadPrivately(packet, wanted);
  tap.Take(env_.point, header, length, packet.payload, 0, has_payload ? wanted : 0);
}

// From here on the beginning of the payload is a copy of ours. What a capture shows is then what is delivered, and the
// guest's memory is read once: it could write something else into it in between.
bool VsockTx::TakePayloadPrivately(TxPacket& packet, uint32_t bytes) {
  if (captured_bytes_ + bytes > kMaxCapturedBytes) return false;
  packet.captured = std::make_unique_for_overwrite<char[]>(bytes);
  packet.captured_bytes = bytes;
  captured_bytes_ += bytes;
  packet.payload.CopyOut(0, packet.captured.get(), bytes);
  packet.payload.RemovePrefix(bytes);
  ScatterList payload;
  payload.Append(packet.captured.get(), bytes);
  for (const iovec& piece : packet.payload.segments()) payload.Append(piece.iov_base, piece.iov_len);
  packet.payload = std::move(payload);
  return true;
}

}  // namespace kinsock
