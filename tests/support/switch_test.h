// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_SWITCH_TEST_H_
#define KINSOCK_TESTS_SUPPORT_SWITCH_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "router/cid.h"
#include "tests/support/hybrid_client.h"
#include "tests/support/pool_backend.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// A switch and the guests on it. Every test ends with the checks that no guest saw anything illegal, that no memory
// was written that nobody had offered, and that all descriptors were given back.
class SwitchTest : public ::testing::Test {
 protected:
  // Two reactors: siblings are served by different threads, which is the harder case.
  // `clock`: of the reactors.
  explicit SwitchTest(size_t reactors = 2, const Clock& clock = Clock::Monotonic());
  ~SwitchTest() override;
  void TearDown() override;

  // A VM with a running guest. The reference lives as long as the test.
  SimulatedGuest& Boot(Cid cid, GuestOptions options = {}, Backend::VmOptions vm_options = {});
  // Its two halves.
  const Backend::Vm& AddVm(Cid cid, Backend::VmOptions options = {});
  SimulatedGuest& NewGuest(GuestOptions options = {});

  const Backend::Vm& vm(Cid cid) const { return vms_.at(cid); }
  std::string uds_path(Cid cid) const { return vms_.at(cid).uds_path; }
  void RemoveVm(Cid cid);

  // A program in each guest, connected to each other.
  struct Pair {
    Stream client;
    Stream server;
  };
  Pair Connect(SimulatedGuest& from, SimulatedGuest& to, Port port = 80, uint16_t type = VIRTIO_VSOCK_TYPE_STREAM);

  // Runs the stage; a wait in vain fails the test and tells what everybody is doing.
  void RunUntil(const std::function<bool()>& done, std::chrono::milliseconds patience = Stage::kPatience);
  void RunUntilIdle();
  // What the switch knows of its connections, for failures.
  std::string DescribeFlows();
  // Runs until `guest`'s device has this state, as reported.
  void AwaitState(Cid cid, DeviceState state);

  // What the VM's device has counted until now.
  DeviceTotals stats(Cid cid) { return backend_->Stats(vm(cid)); }

  std::vector<FlowInfo> switch_flows() { return backend_->Flows(); }
  // Runs until no connection is known to the switch.
  void AwaitNoFlows();

  // This test's guests are hostile: what they see themselves is no reproach to the device.
  void IgnoreViolationsOf(const SimulatedGuest& guest) { ignored_.push_back(&guest); }
  // Sends `packet` from the guest's raw port and runs until a packet for that port comes back.
  VsockPacket Answer(SimulatedGuest& guest, const VsockPacket& packet);

  Stage& stage() { return stage_; }
  PoolBackend& backend() { return *backend_; }

 private:
  size_t descriptors_before_;
  Stage stage_;
  std::unique_ptr<PoolBackend> backend_;
  std::map<Cid, Backend::Vm> vms_;
  std::vector<std::unique_ptr<SimulatedGuest>> guests_;
  std::vector<const SimulatedGuest*> ignored_;
};

// Descriptors that this process has open.
size_t OpenDescriptors();
// Mappings that this process has; 0 where a sanitizer's own would be counted.
size_t Mappings();

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_SWITCH_TEST_H_
