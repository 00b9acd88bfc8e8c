// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SUPPORT_BACKEND_H_
#define KINSOCK_TESTS_SUPPORT_BACKEND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "device/device_spec.h"
#include "router/flow_info.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// What starts the devices that guests attach to. One thread: that of the stage.
class Backend : public Actor {
 public:
  struct Vm {
    DeviceId id = 0;
    std::string vhost_user_socket;
    std::string uds_path;
  };

  // How a VM's device differs from the default one.
  // Guests of tests say much that moves nothing, and whether all is quiet is looked at in between.
  static DeviceLimits Unhurried() {
    DeviceLimits limits;
    limits.control_per_second = limits.control_burst = 1'000'000'000;
    return limits;
  }

  struct VmOptions {
    std::vector<std::string> groups = {"default"};
    bool host_side = true;
    uint32_t queue_size = 32768;
    uint32_t tx_buffer_bytes = 65536;
    bool seqpacket = true;
    DeviceLimits limits = Unhurried();
    Readiness readiness;
  };

  virtual ~Backend() = default;

  // Returns when the device serves its sockets and all others route to it.
  virtual absl::StatusOr<Vm> AddVm(uint64_t cid, const VmOptions& options) = 0;
  // Returns when nothing of it is left.
  virtual void RemoveVm(const Vm& vm) = 0;

  virtual std::vector<FlowInfo> Flows() = 0;
  virtual DeviceStatus Status(const Vm& vm) = 0;

  // Returns when every thread of the back-end has been through what was asked of it before.
  virtual void Settle() = 0;
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SUPPORT_BACKEND_H_
