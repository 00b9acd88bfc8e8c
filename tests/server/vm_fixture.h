// SPDX-License-Identifier: Apache-2.0
#ifndef KINSOCK_TESTS_SERVER_VM_FIXTURE_H_
#define KINSOCK_TESTS_SERVER_VM_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/server/running_daemon.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"

namespace kinsock::testing {

// All of the daemon, a client of its API, and two guests that may be started on VMs.
class VmFixture : public ::testing::Test {
 protected:
  explicit VmFixture(Config config = {}) : daemon_(std::move(config)) {}

  // A call to a method of VmService, with a deadline.
  template <typename Request>
  grpc::Status Call(grpc::Status (v1::VmService::Stub::*method)(grpc::ClientContext*, const Request&, v1::Vm*),
                    const Request& request, v1::Vm* vm = nullptr) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::Vm ignored;
    return (daemon_.vms().*method)(&context, request, vm != nullptr ? vm : &ignored);
  }
  grpc::Status Update(const v1::UpdateVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::UpdateVm, request, vm);
  }
  grpc::Status Apply(const v1::ApplyVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::ApplyVm, request, vm);
  }

  grpc::Status Drain(const v1::DrainVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::DrainVm, request, vm);
  }
  grpc::Status Resume(const v1::ResumeVmRequest& request, v1::Vm* vm = nullptr) {
    return Call(&v1::VmService::Stub::ResumeVm, request, vm);
  }

  v1::Vm Get(const std::string& id) {
    v1::Vm vm;
    EXPECT_TRUE(daemon_.Get("vms/" + id, &vm).ok());
    return vm;
  }

  static std::vector<std::string> Fields(const grpc::Status& status) {
    std::vector<std::string> fields;
    const google::rpc::BadRequest bad = BadFields(status);
    for (const auto& violation : bad.field_violations()) fields.push_back(violation.field());
    return fields;
  }

  // Starts a machine on the VM's socket.
  void PowerOn(const std::string& id, SimulatedGuest& guest) {
    ASSERT_TRUE(guest.PowerOn(Get(id).status().vhost_user_socket()).ok());
    Await(id, v1::VmStatus::ACTIVE);
  }
  void Boot(const std::string& id, uint32_t cid, SimulatedGuest& guest) {
    ASSERT_TRUE(daemon_.Create(id, cid).ok());
    PowerOn(id, guest);
  }
  void Await(const std::string& id, v1::VmStatus::State state) {
    EXPECT_TRUE(stage_.RunUntil([&] { return Get(id).status().state() == state; }))
        << v1::VmStatus::State_Name(Get(id).status().state());
  }

  RunningDaemon daemon_;
  Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_};
};

}  // namespace kinsock::testing

#endif  // KINSOCK_TESTS_SERVER_VM_FIXTURE_H_
