// SPDX-License-Identifier: Apache-2.0
//
// VsockDevice: the host's side of it: programs that come to its sockets, and forwards.
#include <utility>

#include "base/status_macros.h"
#include "device/vsock_device.h"

namespace kinsock {

// Also of a VM that has no host programs: the daemon may be one.
void VsockDevice::MakeHostSide() {
  host_ = std::make_shared<HostSide>(spec_.id, HostSide::Environment{.loop = env_.loop,
                                                                     .routes = env_.routes,
                                                                     .rx = rx_.get(),
                                                                     .stats = *stats_,
                                                                     .port_stats = {stats_, &stats_->host_port},
                                                                     .limits = spec_.limits,
                                                                     .journal = env_.journal,
                                                                     .address = spec_.host,
                                                                     .readiness = readiness_,
                                                                     .window = spec_.tx_buffer_bytes});
  host_->set_limited(limit_watch_.hit());
}

// Who was made without one gets it when there is somebody.
void VsockDevice::NeedHostSide() {
  if (host_ != nullptr) return;
  MakeHostSide();
  tx_->SetHost(host_);
}

absl::Status VsockDevice::StartHostSide() {
  const auto is_attached = [this] { return IsAttached(); };
  const auto connect = [this](UniqueFd program, uint32_t port) {
    host_->Connect(std::move(program), port);
    ArmStaleSearch();
  };
  if (spec_.host_listener.valid()) {
    host_programs_.emplace(env_.loop, std::move(spec_.host_listener), is_attached, connect);
    KINSOCK_RETURN_IF_ERROR(host_programs_->Start());
  }
  for (ForwardSocket& forward : spec_.forwards) {
    forwards_.emplace_back(env_.loop, std::move(forward.listener), forward.port, is_attached, connect);
    KINSOCK_RETURN_IF_ERROR(forwards_.back().Start());
  }
  return absl::OkStatus();
}

absl::Status VsockDevice::AddForward(std::shared_ptr<Forward> forward, UniqueFd listener) {
  NeedHostSide();
  PortForward& added = port_forwards_[forward->id];
  added.forward = forward;
  if (forward->direction == Forward::Direction::kFromGuest) {
    host_->AddForward(forward);
    return absl::OkStatus();
  }
  added.listener = std::make_unique<Listener>(
      env_.loop, std::move(listener), [this, forward](UniqueFd program) { OnForwarded(std::move(program), forward); });
  return added.listener->Start();
}

void VsockDevice::OnForwarded(UniqueFd program, const std::shared_ptr<Forward>& forward) {
  if (IsAttached()) {
    host_->Connect(std::move(program), forward);
    return ArmStaleSearch();
  }
  // There is no guest to ask. Who connects tries again.
  stats_->forward_connects.Add();
  stats_->forward_refused.Add();
  forward->stats->connects.Add();
  forward->CountRefused(CloseReason::kPeerGone);
  ResetOnClose(program.get());
}

void VsockDevice::Connect(UniqueFd socket, const std::shared_ptr<Dial>& dial) {
  if (!IsAttached()) return dial->OnEnded(CloseReason::kPeerGone, nullptr);
  NeedHostSide();
  host_->Connect(std::move(socket), dial);
  ArmStaleSearch();
}

void VsockDevice::ChangeForward(ForwardId id, uint32_t guest_port, const HostEndpoint& host, bool proxy_header) {
  const auto found = port_forwards_.find(id);
  if (found == port_forwards_.end()) return;
  Forward& forward = *found->second.forward;
  host_->RemoveForward(forward);
  forward.guest_port = guest_port;
  forward.host = host;
  forward.proxy_header = proxy_header;
  if (forward.direction == Forward::Direction::kFromGuest) host_->AddForward(found->second.forward);
}

void VsockDevice::RemoveForward(ForwardId id, bool reset) {
  const auto found = port_forwards_.find(id);
  if (found == port_forwards_.end()) return;
  const std::shared_ptr<Forward> forward = found->second.forward;
  port_forwards_.erase(found);
  host_->RemoveForward(*forward);
  if (reset) host_->ResetThrough(*forward);
}

}  // namespace kinsock
