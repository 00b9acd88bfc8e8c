// SPDX-License-Identifier: Apache-2.0
//
// orphan_ttl and allow_seqpacket, as clients and guests meet them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/virtio_vsock.h>

#include <string>

#include "tests/server/running_daemon.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/simulated_guest.h"

namespace kinsock {
namespace {

using ::testing::ElementsAre;
using testing::VmFixture;

class VmOrphanTest : public VmFixture {
 protected:
  bool IsGone(const std::string& id) {
    return stage_.RunUntil([&] { return daemon_.Get("vms/" + id).error_code() == grpc::StatusCode::NOT_FOUND; });
  }
  static v1::UpdateVmRequest Ttl(const std::string& id, int64_t seconds, int32_t nanos) {
    v1::UpdateVmRequest request;
    request.mutable_vm()->set_name("vms/" + id);
    request.mutable_update_mask()->add_paths("spec.orphan_ttl");
    request.mutable_vm()->mutable_spec()->mutable_orphan_ttl()->set_seconds(seconds);
    request.mutable_vm()->mutable_spec()->mutable_orphan_ttl()->set_nanos(nanos);
    return request;
  }
};

TEST_F(VmOrphanTest, AVmThatNobodyComesForIsDeleted) {
  v1::CreateVmRequest creation;
  creation.set_vm_id("a");
  creation.mutable_vm()->mutable_spec()->mutable_orphan_ttl()->set_nanos(1);
  ASSERT_TRUE(daemon_.Create(creation).ok());
  EXPECT_TRUE(IsGone("a"));
}

TEST_F(VmOrphanTest, ItLivesAsLongAsItsVmm) {
  Boot("a", 3, a_);
  v1::Vm vm;
  ASSERT_TRUE(Update(Ttl("a", 0, 1'000'000), &vm).ok());
  EXPECT_EQ(vm.generation(), 2);
  EXPECT_EQ(vm.status().observed_generation(), 2);
  Boot("b", 4, b_);  // which takes longer
  EXPECT_EQ(Get("a").status().state(), v1::VmStatus::ACTIVE);
  a_.Kill();
  EXPECT_TRUE(IsGone("a"));
  EXPECT_EQ(Get("b").status().state(), v1::VmStatus::ACTIVE);
}

TEST_F(VmOrphanTest, TheTimeMayBeChangedAndCountsFromWhenItWasLeft) {
  ASSERT_TRUE(daemon_.Create("a").ok());
  ASSERT_TRUE(Update(Ttl("a", 3600, 0)).ok());
  ASSERT_TRUE(Update(Ttl("a", 0, 0)).ok());
  EXPECT_FALSE(Get("a").spec().has_orphan_ttl());
  EXPECT_THAT(Fields(Update(Ttl("a", 31 * 86400, 0))), ElementsAre("vm.spec.orphan_ttl"));
  EXPECT_THAT(Fields(Update(Ttl("a", -1, 0))), ElementsAre("vm.spec.orphan_ttl"));
  ASSERT_TRUE(Update(Ttl("a", 0, 1)).ok());
  EXPECT_TRUE(IsGone("a"));
}

TEST_F(VmOrphanTest, MessagesAreOfferedUnlessTheyAreNotAllowed) {
  Boot("b", 4, b_);
  v1::CreateVmRequest creation;
  creation.set_vm_id("a");
  creation.mutable_vm()->mutable_spec()->set_allow_seqpacket(false);
  ASSERT_TRUE(daemon_.Create(creation).ok());
  PowerOn("a", a_);
  const uint64_t seqpacket = uint64_t{1} << VIRTIO_VSOCK_F_SEQPACKET;
  EXPECT_EQ(Get("a").status().front_end().features() & seqpacket, 0u);
  EXPECT_EQ(Get("b").status().front_end().features() & seqpacket, seqpacket);
  EXPECT_FALSE(Get("a").spec().allow_seqpacket());
  EXPECT_FALSE(Get("b").spec().has_allow_seqpacket());
  v1::ApplyVmRequest wanted;
  wanted.set_vm_id("b");
  wanted.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(4);
  wanted.mutable_vm()->mutable_spec()->set_allow_seqpacket(true);
  EXPECT_TRUE(Apply(wanted).ok()) << "it is the default";
  wanted.mutable_vm()->mutable_spec()->set_allow_seqpacket(false);
  EXPECT_EQ(testing::Reason(Apply(wanted)), "IMMUTABLE_FIELD");
}

}  // namespace
}  // namespace kinsock
