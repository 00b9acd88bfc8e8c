// SPDX-License-Identifier: Apache-2.0
#include "device/tx_backlog.h"

#include <algorithm>

#include "router/credit.h"

namespace kinsock {
namespace {

bool IsPayload(const TxPacket& packet) { return packet.header.op == VIRTIO_VSOCK_OP_RW; }
bool IsCredit(const TxPacket& packet) {
  return packet.header.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE || packet.header.op == VIRTIO_VSOCK_OP_CREDIT_REQUEST;
}

bool IsEmptyMessage(const TxPacket& packet) { return IsPayload(packet) && packet.header.len == 0; }

// Only what is left of it: the receiver may have taken the beginning.
void CopyPayload(TxPacket& packet) {
  const size_t bytes = packet.payload.size();
  if (bytes == 0) return;
  packet.copy = std::make_unique_for_overwrite<char[]>(bytes);
  packet.payload.CopyOut(0, packet.copy.get(), bytes);
  packet.payload.Clear();
  packet.payload.Append(packet.copy.get(), bytes);
}

}  // namespace

// The packet itself counts too: a backlog of empty ones is not free.
uint64_t TxBacklog::Cost(const TxPacket& packet) { return sizeof(TxPacket) + packet.header.len; }

TxBacklog::Result TxBacklog::Keep(TxPacket& packet, const std::shared_ptr<Flow>& flow, Port& receiver,
                                  CloseReason& reason) {
  packet.payload.RemovePrefix(packet.taken);
  packet.header.len -= packet.taken;
  packet.taken = 0;
  Account& account = accounts_[flow.get()];
  if (IsCredit(packet)) {
    TxPacket*& earlier =
        packet.header.op == VIRTIO_VSOCK_OP_CREDIT_UPDATE ? account.credit_update : account.credit_request;
    if (earlier != nullptr) {
      // Said through the flow, whose newest grant the earlier packet will carry (Flow::StampGrant).
      const Flow::Side from = Opposite(flow->SideOf(receiver));
      flow->Grant(from, std::min(packet.header.buf_alloc, kMaxWindow), packet.header.fwd_cnt);
      return Result::kMerged;
    }
    earlier = &packet;
  }
  const uint32_t payload = IsPayload(packet) ? packet.header.len : 0;
  const uint32_t control = IsPayload(packet) || IsCredit(packet) ? 0 : 1;
  const uint32_t empty = IsEmptyMessage(packet) ? 1 : 0;
  if (account.payload_bytes + payload > kMaxWindow) {
    reason = CloseReason::kCreditViolation;
  } else if (account.control_packets + control > kMaxControlPackets) {
    reason = CloseReason::kMalformed;
  } else if (account.empty_messages + empty > kMaxEmptyMessages) {
    reason = CloseReason::kQuota;
  } else if (!receiver.ChargeBuffered(Cost(packet))) {
    reason = CloseReason::kQuota;
  } else {
    account.payload_bytes += payload;
    account.control_packets += control;
    account.empty_messages += empty;
    ++account.packets;
    packet.backlogged = flow;
    CopyPayload(packet);
    return Result::kKept;
  }
  if (account.credit_update == &packet) account.credit_update = nullptr;
  if (account.credit_request == &packet) account.credit_request = nullptr;
  if (account.packets == 0) accounts_.erase(flow.get());
  return Result::kRefused;
}

void TxBacklog::Release(TxPacket& packet, Port& receiver) {
  if (packet.backlogged == nullptr) return;
  const auto it = accounts_.find(packet.backlogged.get());
  Account& account = it->second;
  if (IsPayload(packet)) {
    account.payload_bytes -= packet.header.len;
    if (IsEmptyMessage(packet)) --account.empty_messages;
  } else if (!IsCredit(packet)) {
    --account.control_packets;
  }
  if (account.credit_update == &packet) account.credit_update = nullptr;
  if (account.credit_request == &packet) account.credit_request = nullptr;
  if (--account.packets == 0) accounts_.erase(it);
  receiver.ReleaseBuffered(Cost(packet));
  packet.backlogged.reset();
  packet.copy.reset();
}

}  // namespace kinsock
