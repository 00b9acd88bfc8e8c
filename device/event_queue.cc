// SPDX-License-Identifier: Apache-2.0
#include "device/event_queue.h"

#include <linux/virtio_vsock.h>

#include <utility>

namespace kinsock {
namespace {

// struct virtio_vsock_event: little-endian, as everything in virtio 1.
constexpr uint8_t kTransportReset[4] = {VIRTIO_VSOCK_EVENT_TRANSPORT_RESET, 0, 0, 0};

}  // namespace

void EventQueue::Start(Virtqueue queue, std::shared_ptr<VmmEventFd> call) {
  queue_.emplace(std::move(queue));
  call_ = std::move(call);
  broken_ = false;
  has_driver_ = true;
  Flush();
}

void EventQueue::Forget() {
  has_driver_ = false;
  reset_waits_ = false;
}

uint16_t EventQueue::Stop(std::shared_ptr<const GuestMemory>& memory) {
  if (!queue_.has_value()) return 0;
  const uint16_t next_avail = queue_->next_avail();
  memory = queue_->shared_memory();
  queue_.reset();
  call_.reset();
  return next_avail;
}

absl::Status EventQueue::Relocate(std::shared_ptr<const GuestMemory> memory) {
  return queue_.has_value() ? queue_->Relocate(std::move(memory)) : absl::OkStatus();
}

bool EventQueue::SendTransportReset() {
  if (!has_driver_) return false;
  reset_waits_ = true;
  Flush();
  return true;
}

bool EventQueue::OnKick() {
  const bool awaited = reset_waits_;
  Flush();
  return awaited && !reset_waits_;
}

void EventQueue::Flush() {
  if (!queue_.has_value() || broken_) return;
  queue_->DisableKicks();
  // A chain that is too short for the event is given back empty. A driver that posts such chains without end is left
  // after a ring full of them.
  for (uint32_t turn = 0; reset_waits_ && turn <= queue_->size(); ++turn) {
    const Virtqueue::PopResult result = queue_->Pop(chain_);
    if (result == Virtqueue::PopResult::kBroken) broken_ = true;
    if (result == Virtqueue::PopResult::kEmpty && queue_->EnableKicks()) continue;
    if (result == Virtqueue::PopResult::kEmpty || broken_) break;
    uint32_t written = 0;
    if (result == Virtqueue::PopResult::kChain && chain_.writable.size() >= sizeof(kTransportReset)) {
      written = static_cast<uint32_t>(chain_.writable.CopyIn(0, kTransportReset, sizeof(kTransportReset)));
      reset_waits_ = false;
    }
    queue_->Return(chain_, written);
  }
  if (queue_->Publish() && call_ != nullptr) call_->Signal();
}

}  // namespace kinsock
