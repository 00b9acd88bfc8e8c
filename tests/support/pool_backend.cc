// SPDX-License-Identifier: Apache-2.0
#include "tests/support/pool_backend.h"

#include <chrono>
#include <string>
#include <utility>

#include "device/vsock_device.h"
#include "tests/support/require.h"
#include "tests/support/unix_socket.h"

namespace kinsock::testing {
namespace {

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kTurn{100};

// Both ways of waiting for a guest take part in every test: whoever is quick is found by looking, the others kick.
constexpr std::chrono::microseconds kMaxSpin{50};

}  // namespace

PoolBackend::PoolBackend(size_t reactors, const Clock& clock)
    : pool_(std::make_unique<ReactorPool>(
          loop_, ReactorPool::Options{.reactors = reactors, .max_spin = kMaxSpin, .clock = &clock},
          [this](DeviceId id, const DeviceStatus& status) { history_[id].push_back(status); })) {}

PoolBackend::~PoolBackend() { ShutDown(); }

void PoolBackend::ShutDown() {
  pool_.reset();
  while (loop_.RunOnce()) {
  }
}

void PoolBackend::Await(const bool& done) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!done) {
    Require(std::chrono::steady_clock::now() < deadline, "the reactor pool does not answer");
    loop_.RunOnce(kTurn);
  }
}

absl::StatusOr<Backend::Vm> PoolBackend::AddVm(uint64_t cid, const VmOptions& options) {
  Vm vm;
  vm.id = next_id_++;
  const std::string name = "vm" + std::to_string(vm.id);
  vm.vhost_user_socket = dir_ / (name + ".vhost");

  DeviceSpec spec;
  spec.id = vm.id;
  spec.name = name;
  spec.cid = static_cast<Cid>(cid);
  spec.network = options.network;
  spec.groups = options.groups;
  spec.labels = options.labels;
  spec.vhost_user_listener = ListenAt(vm.vhost_user_socket);
  spec.queue_size = options.queue_size;
  spec.tx_buffer_bytes = options.tx_buffer_bytes;
  spec.seqpacket = options.seqpacket;
  spec.limits = options.limits;
  spec.readiness = options.readiness;
  if (options.host_side) {
    vm.uds_path = dir_ / (name + ".vsock");
    spec.host_listener = ListenAt(vm.uds_path);
    spec.host = HostAddress::Unix(vm.uds_path);
  }

  stats_[vm.id] = spec.stats;

  bool done = false;
  absl::Status result;
  pool_->AddDevice(std::move(spec), [&](absl::Status status) {
    result = std::move(status);
    done = true;
  });
  Await(done);
  if (!result.ok()) return result;
  return vm;
}

void PoolBackend::RemoveVm(const Vm& vm) {
  bool done = false;
  pool_->RemoveDevice(vm.id, [&] { done = true; });
  Await(done);
}

void PoolBackend::SetPolicies(NetworkId network, DefaultPolicy otherwise,
                              std::vector<std::shared_ptr<const Policy>> policies) {
  bool done = false;
  pool_->SetPolicies(network, std::make_shared<const PolicySet>(std::move(policies), otherwise), [&] { done = true; });
  Await(done);
}

void PoolBackend::SetIdentity(const Vm& vm, std::vector<std::string> groups,
                              std::map<std::string, std::string> labels) {
  bool done = false;
  pool_->SetIdentity(vm.id, std::move(groups), std::move(labels), [&] { done = true; });
  Await(done);
}

std::vector<FlowInfo> PoolBackend::List(ReactorPool::Flows which) {
  if (pool_ == nullptr) return {};
  bool done = false;
  std::vector<FlowInfo> flows;
  pool_->ListFlows(which, [&](std::vector<FlowInfo> list) {
    flows = std::move(list);
    done = true;
  });
  Await(done);
  return flows;
}

std::vector<FlowInfo> PoolBackend::ClosedFlows() {
  std::vector<FlowInfo> flows = List(ReactorPool::Flows::kWithClosed);
  std::erase_if(flows, [](const FlowInfo& flow) { return flow.state != FlowInfo::State::kClosed; });
  return flows;
}

std::optional<FlowInfo> PoolBackend::ResetFlow(uint64_t id) {
  bool done = false;
  std::optional<FlowInfo> flow;
  pool_->ResetFlow(id, CloseReason::kAdminReset, [&](std::optional<FlowInfo> result) {
    flow = std::move(result);
    done = true;
  });
  Await(done);
  return flow;
}

void PoolBackend::Tell(const Vm& vm, std::function<void(VsockDevice&)> command) {
  bool done = false;
  pool_->Tell(vm.id, std::move(command), [&] { done = true; });
  Await(done);
}

void PoolBackend::SetLimits(const Vm& vm, const DeviceLimits& limits) {
  Tell(vm, [limits](VsockDevice& device) { device.SetLimits(limits); });
}

void PoolBackend::AddForward(const Vm& vm, const std::shared_ptr<Forward>& forward, UniqueFd listener) {
  forward->id = next_forward_++;
  auto shared = std::make_shared<UniqueFd>(std::move(listener));
  Tell(vm, [forward, shared](VsockDevice& device) {
    Require(device.AddForward(forward, std::move(*shared)).ok(), "the forward cannot be added");
  });
}

void PoolBackend::ChangeForward(const Vm& vm, ForwardId id, uint32_t guest_port, const HostEndpoint& host,
                                bool proxy_header) {
  Tell(vm, [=](VsockDevice& device) { device.ChangeForward(id, guest_port, host, proxy_header); });
}

void PoolBackend::RemoveForward(const Vm& vm, ForwardId id, bool reset) {
  Tell(vm, [=](VsockDevice& device) { device.RemoveForward(id, reset); });
}

void PoolBackend::SetReadiness(const Vm& vm, const Readiness& readiness) {
  Tell(vm, [readiness](VsockDevice& device) { device.SetReadiness(readiness); });
}

DeviceTotals PoolBackend::Stats(const Vm& vm) {
  DeviceTotals totals;
  totals += *stats_.at(vm.id);
  return totals;
}

DeviceStatus PoolBackend::Status(const Vm& vm) {
  const std::vector<DeviceStatus>& history = history_[vm.id];
  return history.empty() ? DeviceStatus() : history.back();
}

}  // namespace kinsock::testing
