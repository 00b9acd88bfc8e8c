// SPDX-License-Identifier: Apache-2.0
//
// VsockRx: the guest's ring comes and goes, and its driver posts buffers.
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "device/vsock_rx.h"

namespace kinsock {

void VsockRx::Start(ReceiveRing ring) {
  MutexLock lock(mutex_);
  ring_.emplace(std::move(ring));
  mode_ = Mode::kRunning;
  Finish();
  WakeWaiters();
}

std::shared_ptr<const GuestMemory> VsockRx::Stop(uint16_t& next_avail) {
  MutexLock lock(mutex_);
  if (mode_ != Mode::kRunning) return nullptr;
  next_avail = ring_->next_avail();
  std::shared_ptr<const GuestMemory> memory = ring_->shared_memory();
  ring_.reset();
  StopPolling();
  mode_ = Mode::kStopped;
  return memory;
}

std::shared_ptr<const GuestMemory> VsockRx::Close() {
  MutexLock lock(mutex_);
  std::shared_ptr<const GuestMemory> memory;
  if (ring_.has_value()) memory = ring_->shared_memory();
  ring_.reset();
  StopPolling();
  mode_ = Mode::kClosed;
  replies_.clear();
  WakeWaiters();
  WakeLimited();
  return memory;
}

FlowTable::Map VsockRx::HandOver(VsockRx& next, Replies replies) {
  std::optional<Estate> estate;
  FlowTable::Map flows;
  {
    MutexLock lock(mutex_);
    estate.emplace(Estate{.mode = mode_,
                          .ring = std::move(ring_),
                          .replies = std::exchange(replies_, {}),
                          .connects = connects_,
                          .bytes = bytes_,
                          .earned = earned_.value(),
                          .drained = std::exchange(drained_, nullptr)});
    if (replies == Replies::kDrop) estate->replies.clear();
    ring_.reset();
    StopPolling();
    mode_ = Mode::kClosed;
    released_ = nullptr;
    flows = flows_.TakeAll();
    WakeWaiters();
    WakeLimited();
  }
  next.set_takes_seqpacket(takes_seqpacket());
  next.Inherit(*std::move(estate));
  return flows;
}

void VsockRx::Inherit(Estate estate) {
  MutexLock lock(mutex_);
  mode_ = estate.mode;
  if (estate.ring.has_value()) ring_.emplace(*std::move(estate.ring));
  replies_ = std::move(estate.replies);
  connects_ = estate.connects;
  bytes_ = estate.bytes;
  earned_.Add(estate.earned);
  drained_ = std::move(estate.drained);
  set_draining(drained_ != nullptr);
  NoteIfDrained();
  Finish();
}

void VsockRx::SetCall(std::shared_ptr<VmmEventFd> call) {
  MutexLock lock(mutex_);
  if (ring_.has_value()) ring_->SetCall(std::move(call));
}

absl::Status VsockRx::Relocate(std::shared_ptr<const GuestMemory> memory) {
  MutexLock lock(mutex_);
  return ring_.has_value() ? ring_->Relocate(std::move(memory)) : absl::OkStatus();
}

bool VsockRx::OnKick() {
  MutexLock lock(mutex_);
  stats_->to_guest_kicks.Add();
  if (mode_ != Mode::kRunning) return false;
  const bool useful = (!waiters_.empty() || !replies_.empty()) && ring_->HasBuffers();
  if (Finish()) WakeWaiters();
  polled_ = loop_.Poll(*this);
  return useful;
}

bool VsockRx::Poll() {
  MutexLock lock(mutex_);
  if (mode_ != Mode::kRunning || (waiters_.empty() && replies_.empty()) || !ring_->HasManyBuffers()) return false;
  if (Finish()) WakeWaiters();
  return true;
}

bool VsockRx::Rest() {
  MutexLock lock(mutex_);
  polled_ = false;
  if (mode_ != Mode::kRunning || (waiters_.empty() && replies_.empty()) || !ring_->AwaitBuffers()) return false;
  if (Finish()) WakeWaiters();
  return true;
}

bool VsockRx::broken() {
  MutexLock lock(mutex_);
  return ring_.has_value() && ring_->broken();
}

}  // namespace kinsock
