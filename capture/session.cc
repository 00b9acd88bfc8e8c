// SPDX-License-Identifier: Apache-2.0
#include "capture/session.h"

#include <time.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace kinsock {
namespace {

// Of the day, since captures are compared with logs and with those of other machines.
uint64_t Now() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

CaptureSession::CaptureSession(CaptureFilter filter, uint32_t payload_bytes, size_t reactors,
                               std::shared_ptr<Wakeup> filled)
    : filter_(std::move(filter)), payload_bytes_(payload_bytes), filled_(std::move(filled)) {
  const size_t bytes = std::clamp(std::bit_floor(kMaxBytes / reactors), kMinLaneBytes, kMaxLaneBytes);
  for (size_t i = 0; i < reactors; ++i) lanes_.push_back(std::make_unique<Lane>(*this, bytes));
}

bool CaptureSession::Lane::Reserve(const CapturePoint& point, const VsockHeader& header, uint32_t length) {
  if (!session_.filter_.Matches(point, header)) return false;
  PointCounters::Counts& counts = counters_.Of(point.key());
  counts.seen.Add();
  wanted_ = std::min(length, session_.payload_bytes_);
  place_ = ring_.Reserve(sizeof(CaptureRecord) + wanted_);
  if (place_ != nullptr) return true;
  counts.lost.Add();
  lost_.Add();
  return false;
}

void CaptureSession::Lane::Fill(const CapturePoint& point, const VsockHeader& header, uint32_t length,
                                const ScatterList& payload, size_t offset, uint32_t available) {
  const uint32_t captured = std::min(available, wanted_);
  if (captured < wanted_) {
    cut_.Add();
    place_ = ring_.Reserve(sizeof(CaptureRecord) + captured);  // less, so there is room
  }
  const CaptureRecord record{
      .nanoseconds = Now(), .point = point.key(), .length = length, .captured = captured, .header = Encode(header)};
  std::memcpy(place_, &record, sizeof(record));
  if (captured > 0) payload.CopyOut(offset, place_ + sizeof(record), captured);
  // Looked at before and after: one packet may be more than that, in a lane that was emptied since the last one.
  const size_t wake_at = ring_.capacity() / kWakeAt;
  const bool was_filled = ring_.Used(wake_at) >= wake_at;
  ring_.Commit();
  if (!was_filled && session_.filled_ != nullptr && ring_.Used(wake_at) >= wake_at) session_.filled_->Notify();
}

uint64_t CaptureSession::lost() const {
  uint64_t sum = 0;
  for (const auto& lane : lanes_) sum += lane->lost();
  return sum;
}

uint64_t CaptureSession::cut() const {
  uint64_t sum = 0;
  for (const auto& lane : lanes_) sum += lane->cut();
  return sum;
}

}  // namespace kinsock
