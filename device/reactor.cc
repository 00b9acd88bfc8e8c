// SPDX-License-Identifier: Apache-2.0
#include "device/reactor.h"

#include <pthread.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace kinsock {

Reactor::Reactor(uint16_t index, std::chrono::nanoseconds max_spin, Callbacks callbacks)
    : callbacks_(std::move(callbacks)), flow_ids_(index) {
  loop_.set_max_spin(max_spin);
  thread_ = std::thread([this] { loop_.Run(); });
  pthread_setname_np(thread_.native_handle(), absl::StrCat("reactor-", index).c_str());
}

Reactor::~Reactor() = default;

void Reactor::Stop() {
  Post([this] {
    devices_.clear();
    loop_.Stop();
  });
  thread_.join();
}

absl::StatusOr<std::shared_ptr<Port>> Reactor::AddDevice(DeviceSpec spec) {
  const DeviceId id = spec.id;
  const RouteTable& routes = Routes(spec.network);
  auto device =
      std::make_unique<VsockDevice>(std::move(spec), VsockDevice::Environment{.loop = loop_,
                                                                              .routes = routes,
                                                                              .flow_ids = flow_ids_,
                                                                              .on_status = callbacks_.on_status,
                                                                              .discard = callbacks_.discard});
  KINSOCK_RETURN_IF_ERROR(device->Start());
  std::shared_ptr<Port> port = device->port();
  devices_[id] = std::move(device);
  return port;
}

RouteTable& Reactor::Routes(NetworkId network) {
  std::unique_ptr<RouteTable>& routes = networks_[network];
  if (routes == nullptr) routes = std::make_unique<RouteTable>();
  return *routes;
}

void Reactor::RemoveDevice(DeviceId id) { devices_.erase(id); }

VsockDevice* Reactor::Find(DeviceId id) {
  const auto it = devices_.find(id);
  return it == devices_.end() ? nullptr : it->second.get();
}

void Reactor::DescribeFlows(std::vector<FlowInfo>& flows) const {
  for (const auto& [id, device] : devices_) device->DescribeFlows(flows);
}

}  // namespace kinsock
