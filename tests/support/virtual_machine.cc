// SPDX-License-Identifier: Apache-2.0
#include "tests/support/virtual_machine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kinsock::testing {
namespace {

constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

std::vector<SharedMemory::Region> LayoutOf(const GuestOptions& options) {
  if (!options.memory_layout.empty()) return options.memory_layout;
  return SharedMemory::AroundVgaHole(options.memory_bytes);
}

}  // namespace

VirtualMachine::VirtualMachine(const GuestOptions& options)
    : options_(options),
      memory_(LayoutOf(options), options.allow_sealing),
      rx_(memory_, options_, violations_),
      tx_(memory_, options_, violations_) {
  if (options.queues > 2) {
    events_ = std::make_unique<VringDriver>(memory_, options.ring_entries, "event", violations_);
  }
}

std::vector<VringDriver*> VirtualMachine::Rings() {
  std::vector<VringDriver*> rings = {&rx_.ring(), &tx_.ring()};
  if (events_ != nullptr) rings.push_back(events_.get());
  return rings;
}

uint64_t VirtualMachine::AcceptedFeatures() const {
  uint64_t wanted = Bit(VIRTIO_F_VERSION_1);
  if (options_.event_idx) wanted |= Bit(VIRTIO_RING_F_EVENT_IDX);
  if (options_.indirect) wanted |= Bit(VIRTIO_RING_F_INDIRECT_DESC);
  if (options_.seqpacket) wanted |= Bit(VIRTIO_VSOCK_F_SEQPACKET);
  return wanted & front_end_->offered_features();
}

absl::Status VirtualMachine::PowerOn(const std::string& path, VhostUserConnection::Idle idle) {
  KINSOCK_RETURN_IF_ERROR(StartVmm(path, std::move(idle)));
  return StartDriver();
}

absl::Status VirtualMachine::StartVmm(const std::string& path, VhostUserConnection::Idle idle) {
  KINSOCK_ASSIGN_OR_RETURN(VhostUserConnection connection, VhostUserConnection::Open(path, std::move(idle)));
  const bool had_one = front_end_ != nullptr;
  const uint64_t features = had_one ? front_end_->offered_features() : 0;
  const uint64_t protocol_features = had_one ? front_end_->protocol_features() : 0;
  front_end_ = std::make_unique<VhostUserFrontEnd>(std::move(connection), options_.front_end);
  if (options_.front_end.mid_protocol) {
    // Says nothing before its rings start or stop again.
    front_end_->AssumeAgreed(features, protocol_features);
    return absl::OkStatus();
  }
  KINSOCK_RETURN_IF_ERROR(front_end_->Realize(options_.queues));
  cid_ = front_end_->cid();
  return absl::OkStatus();
}

void VirtualMachine::EmptyRings() {
  const bool event_idx = (features_ & Bit(VIRTIO_RING_F_EVENT_IDX)) != 0;
  rx_.Reset(event_idx);
  tx_.Reset(event_idx);
  if (events_ != nullptr) events_->Reset(event_idx);
  bases_.assign(Rings().size(), 0);
}

absl::Status VirtualMachine::StartDriver() {
  features_ = AcceptedFeatures();
  if (configured_cid() != 0) cid_ = configured_cid();
  EmptyRings();
  if (events_ != nullptr) {
    const uint64_t buffer = memory_.Allocate(4);
    events_->Add(ChainBuilder().Writable(buffer, 4));
    events_->Publish();
  }
  return Resume();
}

bool VirtualMachine::ServeVmm() {
  if (front_end_ == nullptr || front_end_->connection().fd() < 0) return false;
  if (!options_.front_end.serves_back_channel) return false;
  const absl::StatusOr<bool> served = front_end_->ServeBackChannel();
  if (!served.ok()) violations_.Add(absl::StrCat("back channel: ", served.status().message()));
  return served.value_or(false);
}

void VirtualMachine::ReadCid() {
  const absl::StatusOr<uint64_t> cid = front_end_->GetConfigCid();
  if (!cid.ok()) return violations_.Add(absl::StrCat("GET_CONFIG: ", cid.status().message()));
  former_cid_ = std::exchange(cid_, *cid);
}

absl::Status VirtualMachine::Resume() {
  const std::vector<VringDriver*> rings = Rings();
  for (VringDriver* ring : rings) ring->RenewEventFds();
  KINSOCK_RETURN_IF_ERROR(front_end_->DriverOk(memory_, rings, bases_, features_));
  state_ = State::kOn;
  return absl::OkStatus();
}

absl::Status VirtualMachine::StopRings() {
  const std::vector<VringDriver*> rings = Rings();
  KINSOCK_ASSIGN_OR_RETURN(bases_, front_end_->Stop(rings));
  for (size_t i = 0; i < rings.size(); ++i) {
    const VringDriver& ring = *rings[i];
    // Whatever was taken from the ring but not returned would be lost for the driver when it goes on from the base.
    if (bases_[i] != ring.used_idx()) {
      violations_.Add(absl::StrCat("ring ", i, " stopped at base ", bases_[i], " with used.idx ", ring.used_idx()));
    }
  }
  return absl::OkStatus();
}

absl::Status VirtualMachine::Suspend() {
  KINSOCK_RETURN_IF_ERROR(StopRings());
  state_ = State::kSuspended;
  return absl::OkStatus();
}

absl::Status VirtualMachine::StopDriver() {
  if (state_ == State::kOn) KINSOCK_RETURN_IF_ERROR(StopRings());
  state_ = State::kOff;
  return absl::OkStatus();
}

absl::Status VirtualMachine::Reset() {
  KINSOCK_RETURN_IF_ERROR(StopDriver());
  return StartDriver();
}

void VirtualMachine::Kill() {
  if (front_end_ != nullptr) front_end_->connection().Close();
  state_ = State::kOff;
}

}  // namespace kinsock::testing
