// SPDX-License-Identifier: Apache-2.0
#include "device/receive_ring.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/probes.h"
#include "capture/tap.h"
#include "device/message_socket.h"
#include "router/cid.h"

namespace kinsock {
namespace {

// Buffers filled by one readv(): a full window of Linux' 3.7 KiB buffers.
constexpr size_t kBuffersPerRead = 72;
// Pieces of one readv(), within the kernel's IOV_MAX of 1024.
constexpr size_t kPiecesPerRead = 2 * kBuffersPerRead;

void WriteHeader(const VsockHeader& header, ScatterList& buffer) {
  const VsockHeaderWire wire = Encode(header);
  buffer.CopyIn(0, &wire, sizeof(wire));
}

// What the guest's buffer holds is what it was given: its payload is captured from there, and the sender's memory is
// not read again.
void Capture(const CapturePoint& point, const VsockHeader& header, const ScatterList& buffer) {
  CaptureTap* const tap = CaptureTap::Active();
  if (tap == nullptr) [[likely]]
    return;
  tap->Take(point, header, buffer, kVsockHeaderBytes);
}

}  // namespace

ReceiveRing::ReceiveRing(Virtqueue queue, std::shared_ptr<VmmEventFd> call, DeviceStats& stats, CapturePoint point)
    : queue_(std::move(queue)), call_(std::move(call)), stats_(stats), point_(point) {
  queue_.DisableKicks();
}

// The next buffer with room for a header and at least one byte behind it. Unusable ones are returned empty;
// with `stop_at_unusable` the first of them ends the search and stays where it is.
bool ReceiveRing::PopBuffer(DescriptorChain& chain, bool stop_at_unusable) {
  while (!broken_) {
    const Virtqueue::PopResult result = queue_.Pop(chain);
    if (result == Virtqueue::PopResult::kEmpty) return false;
    if (result == Virtqueue::PopResult::kBroken) {
      broken_ = true;
      return false;
    }
    if (result == Virtqueue::PopResult::kChain && chain.readable.size() == 0 &&
        chain.writable.size() > kVsockHeaderBytes) {
      ++taken_;
      return true;
    }
    if (stop_at_unusable) {
      queue_.TakeBack(absl::MakeSpan(&chain, 1));
      return false;
    }
    stats_.to_guest_malformed_chains.Add();
    queue_.Return(chain, 0);
  }
  return false;
}

std::optional<uint32_t> ReceiveRing::Put(VsockHeader header, const ScatterList& payload, uint32_t offset) {
  if (ContinuesOpenBuffer(header)) {
    open_header_.buf_alloc = header.buf_alloc;
    open_header_.fwd_cnt = header.fwd_cnt;
  } else {
    SealOpenBuffer();
    if (!PopBuffer(open_, /*stop_at_unusable=*/false)) return std::nullopt;
    open_header_ = header;
    open_header_.len = 0;
  }
  const uint32_t put = Fill(payload, offset);
  // A message ends with the last piece of its last packet (5.10.6.6.3).
  open_header_.flags = offset + put == payload.size() ? header.flags : 0;
  return put;
}

// The receiver cannot notice the boundary between two packets of a stream, or of one message (5.10.6.6).
bool ReceiveRing::ContinuesOpenBuffer(const VsockHeader& header) const {
  return open_.owed() && header.op == VIRTIO_VSOCK_OP_RW && open_header_.op == VIRTIO_VSOCK_OP_RW &&
         header.type == open_header_.type && open_header_.flags == 0 && open_header_.src_port == header.src_port &&
         open_header_.dst_port == header.dst_port && open_header_.src_cid == header.src_cid &&
         open_.writable.size() > kVsockHeaderBytes + open_header_.len;
}

// Payload from `offset` into the rest of the open buffer; returns how much there was room for.
uint32_t ReceiveRing::Fill(const ScatterList& payload, uint32_t offset) {
  const size_t filled = kVsockHeaderBytes + open_header_.len;
  const size_t n = std::min(open_.writable.size() - filled, payload.size() - offset);
  if (n > 0) CopyBytes(payload, offset, open_.writable, filled, n);
  open_header_.len += static_cast<uint32_t>(n);
  return static_cast<uint32_t>(n);
}

void ReceiveRing::SealOpenBuffer() {
  if (!open_.owed()) return;
  WriteHeader(open_header_, open_.writable);
  Capture(point_, open_header_, open_.writable);
  queue_.Return(open_, kVsockHeaderBytes + open_header_.len);
  const bool from_host = open_header_.src_cid == kHostCid;
  const StatsPeer peer = from_host ? StatsPeer::kHost : StatsPeer::kSibling;
  stats_.to_guest_packets_of(peer, OpClassOf(open_header_.op)).Add();
  (from_host ? stats_.to_guest_host_bytes : stats_.to_guest_sibling_bytes).Add(open_header_.len);
}

// Buffers that a system call is to fill, and where their payload goes.
struct ReceiveRing::ReadBuffers {
  std::array<DescriptorChain, kBuffersPerRead> chains;
  std::array<iovec, kPiecesPerRead> pieces;
  size_t used_chains = 0;
  size_t used_pieces = 0;
  uint32_t room = 0;  // bytes, no more than the limit
};

void ReceiveRing::PopForRead(uint32_t limit, ReadBuffers& buffers) {
  SealOpenBuffer();
  auto& [chains, pieces, used_chains, used_pieces, room] = buffers;
  while (room < limit && used_chains < chains.size() && used_pieces < pieces.size()) {
    DescriptorChain& chain = chains[used_chains];
    // What is taken back must be one run of entries: an unusable one between them ends the batch.
    if (!PopBuffer(chain, /*stop_at_unusable=*/used_chains > 0)) break;
    ++used_chains;
    ScatterList body = chain.writable;
    body.RemovePrefix(kVsockHeaderBytes);
    body.Truncate(std::min<size_t>(body.size(), limit - room));
    for (const iovec& piece : body.segments()) {
      if (used_pieces == pieces.size()) break;
      pieces[used_pieces++] = piece;
      room += piece.iov_len;
    }
  }
}

// Gives the guest the buffers that hold `bytes`, and takes back the others; returns how many it got. An empty message
// has a buffer too.
KINSOCK_HAS_PROBE uint32_t ReceiveRing::ReturnAfterRead(const VsockHeader& header, size_t bytes, bool ends_message,
                                                        ReadBuffers& buffers) {
  size_t filled = 0;
  size_t left = bytes;
  for (; left > 0 || (ends_message && filled == 0); ++filled) {
    DescriptorChain& chain = buffers.chains[filled];
    VsockHeader piece = header;
    piece.len = static_cast<uint32_t>(std::min(left, chain.writable.size() - kVsockHeaderBytes));
    left -= piece.len;
    if (ends_message && left == 0) piece.flags = VIRTIO_VSOCK_SEQ_EOM;
    WriteHeader(piece, chain.writable);
    ProbePacket(piece.src_cid, piece.src_port, piece.dst_cid, piece.dst_port, piece.op, piece.len);
    Capture(point_, piece, chain.writable);
    queue_.Return(chain, kVsockHeaderBytes + piece.len);
    stats_.to_guest_host_data_packets.Add();
    stats_.to_guest_host_bytes.Add(piece.len);
  }
  queue_.TakeBack(absl::MakeSpan(buffers.chains).subspan(filled, buffers.used_chains - filled));
  return static_cast<uint32_t>(filled);
}

ReceiveRing::ReadResult ReceiveRing::ReadFrom(int fd, const VsockHeader& header, uint32_t limit) {
  ReadBuffers buffers;
  PopForRead(limit, buffers);
  if (buffers.used_chains == 0) return {.status = ReadResult::Status::kNoBuffers};

  const ssize_t got = readv(fd, buffers.pieces.data(), static_cast<int>(buffers.used_pieces));
  const int error = errno;
  const uint32_t packets =
      ReturnAfterRead(header, got > 0 ? static_cast<size_t>(got) : 0, /*ends_message=*/false, buffers);
  if (got > 0) {
    return {.status = ReadResult::Status::kOk, .bytes = static_cast<uint32_t>(got), .packets = packets};
  }
  if (got == 0) return {.status = ReadResult::Status::kEndOfFile};
  if (error == EAGAIN || error == EINTR) return {.status = ReadResult::Status::kWouldBlock};
  return {.status = ReadResult::Status::kError};
}

ReceiveRing::ReadResult ReceiveRing::ReadMessage(int fd, const VsockHeader& header, uint32_t limit, uint32_t largest) {
  ReadBuffers buffers;
  PopForRead(limit, buffers);
  if (buffers.used_chains == 0) return {.status = ReadResult::Status::kNoBuffers};

  const auto message = PeekMessage(fd, absl::MakeSpan(buffers.pieces).first(buffers.used_pieces));
  // The beginning of one that is too large lies in buffers that are taken back: they hold what is behind their used
  // length, which a driver ignores (2.7.8.2), when they are used next.
  const bool usable = message.status == PeekedMessage::Status::kMessage && message.rest <= largest;
  const uint32_t bytes = usable ? std::min(message.rest, buffers.room) : 0;
  const bool ends_message = usable && bytes == message.rest;
  const uint32_t packets = ReturnAfterRead(header, bytes, ends_message, buffers);
  if (ends_message) DropMessage(fd);
  switch (message.status) {
    case PeekedMessage::Status::kMessage:
      if (!usable) return {.status = ReadResult::Status::kTooLarge};
      return {.status = ReadResult::Status::kOk, .bytes = bytes, .packets = packets, .ends_message = ends_message};
    case PeekedMessage::Status::kEndOfFile:
      return {.status = ReadResult::Status::kEndOfFile};
    case PeekedMessage::Status::kWouldBlock:
      return {.status = ReadResult::Status::kWouldBlock};
    case PeekedMessage::Status::kError:
      break;
  }
  return {.status = ReadResult::Status::kError};
}

void ReceiveRing::Flush() {
  SealOpenBuffer();
  if (!queue_.Publish()) return;
  stats_.to_guest_interrupts.Add();
  if (call_ != nullptr) call_->Signal();
}

}  // namespace kinsock
