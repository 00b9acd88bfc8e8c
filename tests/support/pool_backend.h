// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_POOL_BACKEND_H_
#define KINSOCK_TESTS_SUPPORT_POOL_BACKEND_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "device/device_totals.h"
#include "device/forward.h"
#include "server/reactors/reactor_pool.h"
#include "tests/support/backend.h"
#include "tests/support/temp_dir.h"

namespace kinsock::testing {

// The real data plane in the test's process: reactors on their own threads, the main loop on the stage's.
class PoolBackend final : public Backend {
 public:
  explicit PoolBackend(size_t reactors, const Clock& clock = Clock::Monotonic());
  ~PoolBackend() override;

  absl::StatusOr<Vm> AddVm(uint64_t cid, const VmOptions& options) override;
  void RemoveVm(const Vm& vm) override;
  std::vector<FlowInfo> Flows() override { return List(ReactorPool::Flows::kOpen); }
  DeviceStatus Status(const Vm& vm) override;
  void Settle() override { Flows(); }

  // Return when every reactor goes by it.
  void SetPolicies(NetworkId network, DefaultPolicy otherwise, std::vector<std::shared_ptr<const Policy>> policies);
  void SetIdentity(const Vm& vm, std::vector<std::string> groups, std::map<std::string, std::string> labels);
  // No connection begins at it any more.
  void Drain(const Vm& vm);
  // Returns when every reactor goes by it.
  void ChangeCid(const Vm& vm, Cid cid);
  // Returns when the device goes by them.
  void SetLimits(const Vm& vm, const DeviceLimits& limits);
  void SetReadiness(const Vm& vm, const Readiness& readiness);

  // --- Forwards. Each returns when the device has done it. ---

  // `listener`: for Forward::Direction::kToGuest. Its id is chosen here.
  void AddForward(const Vm& vm, const std::shared_ptr<Forward>& forward, UniqueFd listener);
  void ChangeForward(const Vm& vm, ForwardId id, uint32_t guest_port, const HostEndpoint& host, bool proxy_header);
  void RemoveForward(const Vm& vm, ForwardId id, bool reset = false);

  // The pool goes, whatever is under way.
  void ShutDown();

  // Those that ended lately.
  std::vector<FlowInfo> ClosedFlows();
  // An administrator's reset; what the connection is then.
  std::optional<FlowInfo> ResetFlow(uint64_t id);

  // What a device has counted, also after it is gone.
  DeviceTotals Stats(const Vm& vm);

  // Every status a device had, in order.
  const std::vector<DeviceStatus>& History(const Vm& vm) { return history_[vm.id]; }

  bool Poll() override { return loop_.RunOnce(); }

 private:
  void Await(const bool& done);
  void Tell(const Vm& vm, std::function<void(VsockDevice&)> command);
  std::vector<FlowInfo> List(ReactorPool::Flows which);

  EventLoop loop_;
  TempDir dir_;
  std::map<DeviceId, std::vector<DeviceStatus>> history_;
  std::map<DeviceId, std::shared_ptr<const DeviceStats>> stats_;
  std::unique_ptr<ReactorPool> pool_;
  DeviceId next_id_ = 1;
  ForwardId next_forward_ = 1;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_POOL_BACKEND_H_
