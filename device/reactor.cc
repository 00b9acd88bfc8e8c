// SPDX-License-Identifier: Apache-2.0
#include "device/reactor.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "device/wait_breaker.h"

namespace kinsock {

Reactor::Reactor(uint16_t index, const Clock& clock, std::chrono::nanoseconds max_spin, Callbacks callbacks)
    : loop_(clock),
      callbacks_(std::move(callbacks)),
      journal_(loop_, index),
      denials_(loop_, callbacks_.on_denials),
      logged_(loop_, callbacks_.on_logged) {
  journal_.set_on_closed([this](const FlowInfo& flow) {
    if (flow.denied()) denials_.Add(flow);
  });
  journal_.set_on_logged([this](const FlowInfo& flow) { logged_.Add(flow); });
  loop_.set_max_spin(max_spin);
  thread_ = std::thread([this] {
    thread_number_.store(gettid(), std::memory_order_relaxed);
    loop_.Run();
    ended_.release();
  });
  pthread_setname_np(thread_.native_handle(), absl::StrCat("reactor-", index).c_str());
}

// The journal takes over what is left, and tells nobody any more.
Reactor::~Reactor() { journal_.set_on_closed(nullptr); }

void Reactor::BeginStop() {
  Post([this] {
    walks_.clear();
    devices_.clear();
    loop_.Stop();
  });
}

bool Reactor::AwaitStop(std::chrono::nanoseconds patience) {
  if (!ended_.try_acquire_for(patience)) return false;
  thread_.join();
  return true;
}

ReactorActivity Reactor::activity() const {
  const EventLoop::Activity loop = loop_.activity();
  ReactorActivity activity{.thread = thread_number_.load(std::memory_order_relaxed),
                           .sleeps = loop.sleeps,
                           .rounds = loop_.rounds(),
                           .since_round = loop_.clock().Now() - loop.last_round,
                           .asleep = loop.asleep};
  clockid_t clock;
  timespec used;
  // std::thread gives its handle to who may change the thread only; the clock is merely read.
  const pthread_t handle = const_cast<std::thread&>(thread_).native_handle();
  if (pthread_getcpuclockid(handle, &clock) == 0 && clock_gettime(clock, &used) == 0) {
    activity.cpu_time = std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
  }
  return activity;
}

void Reactor::BreakWait(std::chrono::nanoseconds too_long) {
  const EventLoop::Activity loop = loop_.activity();
  if (!loop.asleep && loop_.clock().Now() - loop.last_round > too_long) kinsock::BreakWait(thread_.native_handle());
}

absl::StatusOr<std::shared_ptr<Port>> Reactor::AddDevice(DeviceSpec spec) {
  const DeviceId id = spec.id;
  const RouteTable& routes = Routes(spec.network);
  auto device =
      std::make_unique<VsockDevice>(std::move(spec), VsockDevice::Environment{.loop = loop_,
                                                                              .routes = routes,
                                                                              .journal = journal_,
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

void Reactor::DescribeFlows(FlowWalk::Done done) {
  std::vector<DeviceId> devices;
  devices.reserve(devices_.size());
  for (const auto& [id, device] : devices_) devices.push_back(id);
  const uint64_t walk = next_walk_++;
  walks_[walk] = std::make_unique<FlowWalk>(std::move(devices), journal_, std::move(done));
  GoOn(walk);
}

void Reactor::GoOn(uint64_t walk) {
  const auto found = walks_.find(walk);
  if (found == walks_.end()) return;  // stopped
  if (found->second->Step([this](DeviceId id) { return Find(id); })) return Post([this, walk] { GoOn(walk); });
  const std::unique_ptr<FlowWalk> over = std::move(found->second);
  walks_.erase(found);
  over->Finish();
}

std::optional<FlowInfo> Reactor::ResetFlow(uint64_t id, CloseReason reason) {
  for (const auto& [device_id, device] : devices_) {
    if (device->ResetFlow(id, reason)) break;
  }
  const FlowInfo* closed = journal_.Find(id);
  return closed != nullptr ? std::optional<FlowInfo>(*closed) : std::nullopt;
}

}  // namespace kinsock
