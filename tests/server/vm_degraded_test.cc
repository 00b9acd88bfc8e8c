// SPDX-License-Identifier: Apache-2.0
//
// The condition Degraded through the API: what goes wrong with a VM is said in one place, with what to do, and no
// longer than it lasts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "tests/server/vm_fixture.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::VmFixture;

class VmDegradedTest : public VmFixture {
 protected:
  v1::Condition Degraded(const std::string& id) {
    const v1::Vm vm = Get(id);
    for (const v1::Condition& condition : vm.status().conditions()) {
      if (condition.type() == "Degraded") return condition;
    }
    ADD_FAILURE() << "no condition Degraded";
    return {};
  }
  void AwaitReason(const std::string& id, const std::string& reason) {
    EXPECT_TRUE(stage_.RunUntil([&] { return Degraded(id).reason() == reason; })) << Degraded(id).DebugString();
  }
  grpc::Status WaitFor(const std::string& id, v1::Condition::Status status) {
    v1::WaitVmRequest request;
    request.set_name("vms/" + id);
    request.set_condition("Degraded");
    request.set_status(status);
    return Call(&v1::VmService::Stub::WaitVm, request);
  }
};

TEST_F(VmDegradedTest, AVmIsWellUntilSomethingIsKnown) {
  Boot("a", 3, a_);
  EXPECT_EQ(Degraded("a").status(), v1::Condition::FALSE);
  EXPECT_EQ(Degraded("a").reason(), "NothingWrong");
}

TEST_F(VmDegradedTest, ASocketThatSomebodyTookAwayIsMissed) {
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.uds");
  ASSERT_TRUE(Call(&v1::VmService::Stub::CreateVm, request).ok());
  ASSERT_TRUE(daemon_.Create("b").ok());
  const std::string path = daemon_ / "a.uds";
  const std::string aside = daemon_ / "aside";
  ASSERT_EQ(std::rename(path.c_str(), aside.c_str()), 0);
  ASSERT_TRUE(WaitFor("a", v1::Condition::TRUE).ok());
  EXPECT_EQ(Degraded("a").reason(), "SocketLost");
  EXPECT_THAT(Degraded("a").message(), AllOf(HasSubstr(path), HasSubstr("create it anew")));
  EXPECT_EQ(Degraded("b").status(), v1::Condition::FALSE);
  EXPECT_EQ(Get("a").status().state(), v1::VmStatus::LISTENING);

  ASSERT_EQ(std::rename(aside.c_str(), path.c_str()), 0);
  EXPECT_TRUE(WaitFor("a", v1::Condition::FALSE).ok());
  // Another file at the path is not the socket.
  ASSERT_EQ(unlink(path.c_str()), 0);
  const UniqueFd another = testing::ListenAt(path);
  EXPECT_TRUE(WaitFor("a", v1::Condition::TRUE).ok());
}

TEST_F(VmDegradedTest, AVmmThatWasSentAwayIsRemembered) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  const UniqueFd vmm = testing::NewUnixSocket();
  ASSERT_TRUE(testing::TryConnect(vmm, Get("a").status().vhost_user_socket()));
  const std::string nonsense(64, '\xff');
  ASSERT_EQ(send(vmm.get(), nonsense.data(), nonsense.size(), MSG_NOSIGNAL), 64);
  AwaitReason("a", "SessionFailed");
  PowerOn("a", a_);
  AwaitReason("a", "NothingWrong");
}

TEST_F(VmDegradedTest, BrokenRingsUntilTheGuestIsReset) {
  Boot("a", 3, a_);
  testing::VringDriver& ring = a_.machine().tx().ring();
  ring.PublishRaw(ring.entries());
  ring.set_kick_rule(testing::VringDriver::KickRule::kAlways);
  ring.Kick();
  AwaitReason("a", "RingsBroken");
  EXPECT_THAT(Degraded("a").message(), HasSubstr("reset the guest"));
  a_.Kill();
  AwaitReason("a", "NothingWrong");
  PowerOn("a", b_);
  EXPECT_EQ(Degraded("a").status(), v1::Condition::FALSE);
}

}  // namespace
}  // namespace kinsock
