// SPDX-License-Identifier: Apache-2.0
//
// VsockRx: what the device's own reactor does with the table of connections, and what its host side sends.
#include <utility>

#include "device/control_allowance.h"
#include "device/vsock_rx.h"

namespace kinsock {

VsockRx::AdmitResult VsockRx::Admit(const std::shared_ptr<Flow>& flow) {
  MutexLock lock(mutex_);
  if (flows_.size() + replies_.size() >= max_connections_) return AdmitResult::kFull;
  if (!MayConnect()) return AdmitResult::kTooOften;
  const Flow::Side me = flow->SideOf(*this);
  if (!flows_.Insert(FlowKey::Of(*flow, me), flow)) return AdmitResult::kTaken;
  flow->CountFor(me);
  return AdmitResult::kAdmitted;
}

std::shared_ptr<Flow> VsockRx::Find(const FlowKey& key) {
  MutexLock lock(mutex_);
  const std::shared_ptr<Flow>* found = flows_.Find(key);
  return found == nullptr ? nullptr : *found;
}

void VsockRx::Forget(const Flow& flow) {
  MutexLock lock(mutex_);
  Erase(FlowKey::Of(flow, flow.SideOf(*this)), flow);
}

FlowTable::Map VsockRx::TakeFlows() {
  MutexLock lock(mutex_);
  replies_.clear();
  FlowTable::Map flows = flows_.TakeAll();
  NoteIfDrained();
  return flows;
}

std::vector<std::shared_ptr<Flow>> VsockRx::Flows() {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<Flow>> flows;
  flows.reserve(flows_.size());
  for (const auto& [key, flow] : flows_.flows()) flows.push_back(flow);
  return flows;
}

void VsockRx::SendReply(const VsockHeader& header) {
  MutexLock lock(mutex_);
  if (mode_ == Mode::kClosed) return;
  replies_.push_back(header);
  Finish();
}

bool VsockRx::TrySend(const VsockHeader& header, const std::shared_ptr<Wakeup>& resume) {
  static const ScatterList kNoPayload;
  MutexLock lock(mutex_);
  while (mode_ != Mode::kRunning || !FlushReplies() || !ring_->Put(header, kNoPayload, 0).has_value()) {
    if (!WaitForBuffers(resume)) continue;
    Finish();
    return false;
  }
  TellProbe(header, 0);
  CountEarned(header, 1);
  Finish();
  return true;
}

ReceiveRing::ReadResult VsockRx::Read(
    uint32_t limit, const std::shared_ptr<Wakeup>& resume,
    absl::FunctionRef<ReceiveRing::ReadResult(ReceiveRing& ring, uint32_t limit)> read) {
  ReceiveRing::ReadResult result{.status = ReceiveRing::ReadResult::Status::kNoBuffers};
  if (OverRate(resume)) return result;
  limit = bytes_.AtMost(limit);
  do {
    if (mode_ == Mode::kRunning && FlushReplies()) result = read(*ring_, limit);
  } while (result.status == ReceiveRing::ReadResult::Status::kNoBuffers && !WaitForBuffers(resume));
  FinishRead(result);
  return result;
}

void VsockRx::FinishRead(const ReceiveRing::ReadResult& result) {
  bytes_.Spend(result.bytes);
  earned_.Add(result.packets * ControlAllowance::kPayload);
  Finish();
}

ReceiveRing::ReadResult VsockRx::ReadFrom(int fd, const VsockHeader& header, uint32_t limit,
                                          const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  return Read(limit, resume, [&](ReceiveRing& ring, uint32_t allowed) { return ring.ReadFrom(fd, header, allowed); });
}

ReceiveRing::ReadResult VsockRx::ReadMessage(int fd, const VsockHeader& header, uint32_t limit, uint32_t largest,
                                             const std::shared_ptr<Wakeup>& resume) {
  MutexLock lock(mutex_);
  return Read(limit, resume,
              [&](ReceiveRing& ring, uint32_t allowed) { return ring.ReadMessage(fd, header, allowed, largest); });
}

ReceiveRing::ReadResult VsockRx::PutBytes(absl::string_view bytes, const VsockHeader& header,
                                          const std::shared_ptr<Wakeup>& resume) {
  ScatterList payload;
  payload.Append(const_cast<char*>(bytes.data()), bytes.size());  // only read
  MutexLock lock(mutex_);
  ReceiveRing::ReadResult result{.status = ReceiveRing::ReadResult::Status::kNoBuffers};
  if (OverRate(resume)) return result;
  do {
    while (mode_ == Mode::kRunning && result.bytes < bytes.size() && FlushReplies()) {
      const std::optional<uint32_t> put = ring_->Put(header, payload, result.bytes);
      if (!put.has_value()) break;
      TellProbe(header, *put);
      result.bytes += *put;
      ++result.packets;
    }
  } while (result.bytes == 0 && !WaitForBuffers(resume));
  if (result.bytes > 0) result.status = ReceiveRing::ReadResult::Status::kOk;
  FinishRead(result);
  return result;
}

}  // namespace kinsock
