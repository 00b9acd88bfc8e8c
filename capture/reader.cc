// SPDX-License-Identifier: Apache-2.0
#include "capture/reader.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "absl/container/flat_hash_map.h"

namespace kinsock {
namespace {

uint64_t Now() {
  return static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
}

CaptureRecord RecordOf(absl::Span<const char> bytes) {
  CaptureRecord record;
  std::memcpy(&record, bytes.data(), sizeof(record));
  return record;
}

// What PointCounters counts together.
constexpr uint64_t kFurtherPoints = 0;

}  // namespace

CaptureReader::CaptureReader(std::shared_ptr<CaptureSession> session, std::unique_ptr<CaptureWriter> writer,
                             Limits limits)
    : session_(std::move(session)), writer_(std::move(writer)), limits_(limits) {
  Name(kFurtherPoints, {.name = "others", .description = "VMs beyond those that are told apart"});
}

void CaptureReader::Begin(std::string& out) {
  began_ = Now();
  const size_t before = out.size();
  writer_->Begin(out);
  bytes_ += out.size() - before;
}

void CaptureReader::Name(uint64_t point, CaptureInterface interface) { interfaces_[point].what = std::move(interface); }

// The lane whose oldest record is older than those of the others.
CaptureReader::Run CaptureReader::Earliest() {
  Run earliest{.ring = nullptr, .until = UINT64_MAX};
  uint64_t time = UINT64_MAX;
  for (size_t i = 0; i < session_->lanes(); ++i) {
    RecordRing& ring = session_->lane(i).ring();
    const absl::Span<const char> front = ring.Front();
    if (front.empty()) continue;
    const uint64_t its_time = RecordOf(front).nanoseconds;
    if (earliest.ring != nullptr && its_time >= time) {
      earliest.until = std::min(earliest.until, its_time);
      continue;
    }
    earliest = {.ring = &ring, .until = time};
    time = its_time;
  }
  return earliest;
}

CaptureReader::Progress CaptureReader::Read(size_t most, std::string& out) {
  while (!full_ && out.size() < most) {
    const Run run = Earliest();
    if (run.ring == nullptr) return Progress::kDrained;
    if (TakeRun(run, most, out) == Progress::kNeedsNames) return Progress::kNeedsNames;
  }
  return full_ ? Progress::kFull : Progress::kMore;
}

// What of a lane stands before what the others have.
CaptureReader::Progress CaptureReader::TakeRun(const Run& run, size_t most, std::string& out) {
  for (int i = 0; i < kRun && !full_ && out.size() < most; ++i) {
    const absl::Span<const char> front = run.ring->Front();
    if (front.empty()) break;
    const CaptureRecord record = RecordOf(front);
    if (record.nanoseconds > run.until) break;
    if (TakePacket(*run.ring, front, record, out) == Progress::kNeedsNames) return Progress::kNeedsNames;
  }
  return Progress::kMore;
}

CaptureReader::Interface* CaptureReader::Find(uint64_t point) {
  if (last_interface_ != nullptr && point == last_point_) return last_interface_;
  auto found = interfaces_.find(point);
  if (found == interfaces_.end()) {
    // VMs come and go while a capture lasts; beyond the bound no more are told apart.
    if (interfaces_.size() <= PointCounters::kMaxPoints) return nullptr;
    found = interfaces_.find(kFurtherPoints);
  }
  last_point_ = point;
  return last_interface_ = &found->second;
}

CaptureReader::Interface& CaptureReader::Added(Interface& interface, std::string& out) {
  if (!std::exchange(interface.added, true)) {
    interface.number = added_++;
    writer_->AddInterface(interface.what, out);
  }
  return interface;
}

CaptureReader::Progress CaptureReader::TakePacket(RecordRing& ring, absl::Span<const char> front,
                                                  const CaptureRecord& record, std::string& out) {
  Interface* const known = Find(record.point);
  if (known == nullptr) {
    unnamed_ = {record.point};
    return Progress::kNeedsNames;
  }
  const size_t before = out.size();
  const Interface& interface = Added(*known, out);
  const size_t described = out.size();
  writer_->AddPacket(interface.number, interface.what.direction, record,
                     std::string_view(front.data() + sizeof(record), record.captured), out);
  if (limits_.bytes != 0 && bytes_ + out.size() - before > limits_.bytes) {
    out.resize(described);
    full_ = true;
    return Progress::kFull;
  }
  bytes_ += out.size() - before;
  ring.Pop();
  full_ = ++packets_ == limits_.packets;
  return Progress::kMore;
}

bool CaptureReader::AddStatistics(std::string& out) {
  struct Sum {
    uint64_t seen = 0;
    uint64_t lost = 0;
  };
  absl::flat_hash_map<uint64_t, Sum> sums;
  for (size_t i = 0; i < session_->lanes(); ++i) {
    session_->lane(i).counters().ForEach([&](uint64_t key, const PointCounters::Counts& counts) {
      sums[key].seen += counts.seen.value();
      sums[key].lost += counts.lost.value();
    });
  }
  unnamed_.clear();
  const uint64_t now = Now();
  for (const auto& [key, sum] : sums) {
    const auto found = interfaces_.find(key);
    if (found == interfaces_.end()) {
      unnamed_.push_back(key);
      continue;
    }
    Interface& interface = found->second;
    if (interface.seen_told == sum.seen && interface.lost_told == sum.lost) continue;
    writer_->AddStatistics(Added(interface, out).number, sum.seen, sum.lost, began_, now, out);
    interface.seen_told = sum.seen;
    interface.lost_told = sum.lost;
  }
  return unnamed_.empty();
}

}  // namespace kinsock
