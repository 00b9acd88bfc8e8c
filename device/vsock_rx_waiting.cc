// SPDX-License-Identifier: Apache-2.0
//
// VsockRx: who has to wait, for buffers or for the rate, and when he is told to go on.
#include <algorithm>

#include "device/vsock_rx.h"

namespace kinsock {

// Whether payload has to wait: the guest has got as much as it may, for now. Then `resume` will be notified.
bool VsockRx::OverRate(const std::shared_ptr<Wakeup>& resume) {
  if (!bytes_.Spent()) return false;
  bytes_.Refill(loop_.clock().Now());
  if (!bytes_.Spent()) return false;
  if (limited_waiters_.empty()) {
    stats_->to_guest_limited_bytes.Add();
    NoteLimited();
    over_rate_->Notify();
  }
  if (std::find(limited_waiters_.begin(), limited_waiters_.end(), resume) == limited_waiters_.end()) {
    limited_waiters_.push_back(resume);
  }
  return true;
}

// Counts a connection that begins, unless too many have.
bool VsockRx::MayConnect() {
  if (connects_.Spent()) connects_.Refill(loop_.clock().Now());
  if (connects_.Spent()) return false;
  connects_.Spend(1);
  return true;
}

void VsockRx::SetLimits(const DeviceLimits& limits) {
  const MonotonicTime now = loop_.clock().Now();
  MutexLock lock(mutex_);
  max_connections_ = limits.max_connections;
  set_max_buffered_bytes(limits.max_buffered_bytes);
  connects_.SetRate(limits.connects, now);
  bytes_.SetRate(limits.bytes_to_guest, now);
  WakeLimited();
}

std::chrono::nanoseconds VsockRx::TimeToRefill() {
  MutexLock lock(mutex_);
  return bytes_.TimeToRefill();
}

void VsockRx::Refill() {
  MutexLock lock(mutex_);
  bytes_.Refill(loop_.clock().Now());
  WakeLimited();
}

// Who still has to wait says so again, after those that could not go on last time.
void VsockRx::WakeLimited() {
  for (const std::shared_ptr<Wakeup>& waiter : limited_waiters_) waiter->Notify();
  limited_waiters_.clear();
}

// True if `resume` will be notified; false if there are buffers after all.
bool VsockRx::WaitForBuffers(const std::shared_ptr<Wakeup>& resume) {
  if (mode_ == Mode::kRunning && HasOrAwaitsBuffers()) return false;
  if (std::find(waiters_.begin(), waiters_.end(), resume) == waiters_.end()) waiters_.push_back(resume);
  return true;
}

// True if there are buffers; else news of some will come, from the loop that looks or by a kick.
bool VsockRx::HasOrAwaitsBuffers() { return polled_ ? ring_->HasBuffers() : ring_->AwaitBuffers(); }

void VsockRx::StopPolling() {
  loop_.Unpoll(*this);
  polled_ = false;
}

void VsockRx::WakeWaiters() {
  contenders_ = waiters_.size();
  for (const std::shared_ptr<Wakeup>& waiter : waiters_) waiter->Notify();
  waiters_.clear();
}

bool VsockRx::RepliesBackedUp(const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  return replies_.size() >= kMaxQueuedReplies && WaitForBuffers(resume);
}

}  // namespace kinsock
