// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_ROUTER_PACKET_H_
#define KINSOCK_ROUTER_PACKET_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/scatter_list.h"
#include "router/close_reason.h"
#include "router/vsock_header.h"

namespace kinsock {

class Flow;

// A packet under way: a private header, and a payload that stays where the sender put it until the receiver
// takes it. Belongs to the thread of the sender's reactor; ports look at it only during Deliver().
struct Packet {
  // What became of it, in the eyes of the port that took it.
  enum class Outcome : uint8_t {
    kWaiting,    // not taken yet, or only in part
    kDelivered,  // with the receiver
    kClosed,     // with the receiver, and it ended `flow`: the sender forgets the flow too
    kRefused,    // not wanted, see `reason`: the sender forgets `flow`, if any, and gets an RST
    kHeld,       // not taken: `flow` waits until the receiver has read something; offer it again then
    kDropped,    // of no use any more (its flow was closed meanwhile) or without effect: nothing to do
  };

  VsockHeader header;
  ScatterList payload;    // header.len bytes
  uint32_t taken = 0;     // bytes of payload that the receiver has
  bool accepted = false;  // the flow's state machine has seen it
  Outcome outcome = Outcome::kWaiting;
  CloseReason reason = CloseReason::kNone;
  std::shared_ptr<Flow> flow;  // of a REQUEST, and of what kClosed, kRefused and kHeld name
  Packet* next = nullptr;      // in a PacketQueue
};

// First in, first out; links the packets themselves and owns none of them.
class PacketQueue {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t size() const { return size_; }
  Packet* front() { return head_; }

  void PushBack(Packet& packet) {
    packet.next = nullptr;
    (tail_ == nullptr ? head_ : tail_->next) = &packet;
    tail_ = &packet;
    ++size_;
  }

  // Puts all of `others` in front, in their order.
  void PushFront(PacketQueue others) {
    if (others.empty()) return;
    others.tail_->next = head_;
    if (tail_ == nullptr) tail_ = others.tail_;
    head_ = others.head_;
    size_ += others.size_;
  }

  // Precondition: not empty.
  Packet& PopFront() {
    Packet& packet = *head_;
    head_ = packet.next;
    if (head_ == nullptr) tail_ = nullptr;
    packet.next = nullptr;
    --size_;
    return packet;
  }

 private:
  Packet* head_ = nullptr;
  Packet* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace kinsock

#endif  // KINSOCK_ROUTER_PACKET_H_
