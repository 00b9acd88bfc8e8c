// SPDX-License-Identifier: Apache-2.0
#include "router/switch.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/router/fake_port.h"

namespace kinsock {
namespace {

using Action = Decision::Action;

// Guests 3 and 4 share a group, 5 is in another one; nobody is 9.
class SwitchTest : public ::testing::Test {
 protected:
  SwitchTest() {
    routes_.Add(asker_, Groups({"a"}));
    routes_.Add(teller_, Groups({"a", "b"}));
    routes_.Add(stranger_, Groups({"b"}));
  }
  std::shared_ptr<const PolicySubject> Groups(std::vector<std::string> names) {
    return policies_->Identify({.groups = std::make_shared<const GroupSet>(std::move(names))});
  }
  VsockHeader From3To(uint64_t dst, uint16_t op = VIRTIO_VSOCK_OP_REQUEST) const {
    VsockHeader header;
    header.src_cid = 3;
    header.dst_cid = dst;
    header.op = op;
    return header;
  }
  Decision Decide(const VsockHeader& header, uint64_t payload = 0) {
    return DecideRoute(header, payload, *asker_, host_.get(), routes_);
  }

  std::shared_ptr<FakePort> asker_ = std::make_shared<FakePort>(3);
  std::shared_ptr<FakePort> teller_ = std::make_shared<FakePort>(4);
  std::shared_ptr<FakePort> stranger_ = std::make_shared<FakePort>(5);
  std::shared_ptr<FakePort> host_ = std::make_shared<FakePort>(2);
  std::shared_ptr<const PolicySet> policies_ =
      std::make_shared<const PolicySet>(std::vector<std::shared_ptr<const Policy>>(), DefaultPolicy::kSharedGroup);
  RouteTable routes_;
};

TEST_F(SwitchTest, ASiblingOfTheSameGroupIsReached) {
  const Decision decision = Decide(From3To(4));
  EXPECT_EQ(decision.action, Action::kDeliver);
  EXPECT_EQ(decision.port, teller_.get());
}

TEST_F(SwitchTest, TheHostIsReachedWithoutAGroup) { EXPECT_EQ(Decide(From3To(2)).port, host_.get()); }

TEST_F(SwitchTest, AVmWithoutHostSideGetsAReset) {
  host_.reset();
  EXPECT_EQ(Decide(From3To(2)).action, Action::kReset);
}

TEST_F(SwitchTest, AStrangerIsDenied) {
  const Decision decision = Decide(From3To(5));
  EXPECT_EQ(decision.action, Action::kReset);
  EXPECT_EQ(decision.reason, CloseReason::kPolicyDenied);
}

TEST_F(SwitchTest, GroupsConcernNewConnectionsOnly) {
  EXPECT_EQ(Decide(From3To(5, VIRTIO_VSOCK_OP_CREDIT_UPDATE)).action, Action::kDeliver);
}

TEST_F(SwitchTest, OtherGroupsConcernTheNextConnection) {
  routes_.SetSubject(3, Groups({"b"}));
  EXPECT_EQ(Decide(From3To(5)).action, Action::kDeliver);
  routes_.SetSubject(3, Groups({"c"}));
  EXPECT_EQ(Decide(From3To(4)).reason, CloseReason::kPolicyDenied);
  EXPECT_EQ(Decide(From3To(4, VIRTIO_VSOCK_OP_CREDIT_UPDATE)).action, Action::kDeliver);
  routes_.SetSubject(9, Groups({"a"}));  // nobody
  EXPECT_EQ(Decide(From3To(9)).reason, CloseReason::kPeerGone);
}

TEST_F(SwitchTest, ADrainingEndBeginsNothingAndGoesOnWithWhatItHas) {
  for (const std::shared_ptr<FakePort>& end : {asker_, teller_}) {
    end->set_draining(true);
    EXPECT_EQ(Decide(From3To(4)).reason, CloseReason::kDrain);
    EXPECT_EQ(Decide(From3To(2)).action, end == asker_ ? Action::kReset : Action::kDeliver);
    EXPECT_EQ(Decide(From3To(4, VIRTIO_VSOCK_OP_CREDIT_UPDATE)).action, Action::kDeliver);
    end->set_draining(false);
    EXPECT_EQ(Decide(From3To(4)).action, Action::kDeliver);
  }
}

TEST_F(SwitchTest, APolicyIsAskedAboutNewConnectionsOnlyAndAboutTheHostToo) {
  auto policy = std::make_shared<Policy>();
  policy->name = "closed";
  policy->ports = {{80, 80}};
  policies_ = std::make_shared<const PolicySet>(std::vector<std::shared_ptr<const Policy>>{policy},
                                                DefaultPolicy::kSharedGroup);
  for (const Cid cid : {3, 4, 5}) routes_.SetSubject(cid, Groups({"a"}));
  for (const Cid cid : {2, 4}) {
    VsockHeader header = From3To(cid);
    header.dst_port = 80;
    EXPECT_EQ(Decide(header).action, Action::kReset) << cid;
    EXPECT_EQ(Decide(header).reason, CloseReason::kPolicyDenied) << cid;
    header.op = VIRTIO_VSOCK_OP_RW;
    EXPECT_EQ(Decide(header).action, Action::kDeliver) << cid;
    header.op = VIRTIO_VSOCK_OP_REQUEST;
    header.dst_port = 81;
    EXPECT_EQ(Decide(header).action, Action::kDeliver) << cid;
  }
  EXPECT_EQ(policy->hits->value(), 4u);
}

TEST_F(SwitchTest, NobodyIsAReset) {
  for (const uint64_t cid : {0, 1, 3, 9}) {
    const Decision decision = Decide(From3To(cid));
    EXPECT_EQ(decision.action, Action::kReset) << cid;
    EXPECT_EQ(decision.reason, CloseReason::kPeerGone) << cid;
  }
  EXPECT_EQ(Decide(From3To(kAnyCid)).action, Action::kReset);
}

TEST_F(SwitchTest, AResetToNobodyIsNotAnswered) {
  const Decision decision = Decide(From3To(9, VIRTIO_VSOCK_OP_RST));
  EXPECT_EQ(decision.action, Action::kDrop);
  EXPECT_EQ(decision.drop, DropReason::kResetOfReset);
}

TEST_F(SwitchTest, AForgedSourceIsDropped) {
  for (const uint64_t source : {0u, 1u, 2u, 4u, 0xffff'ffffu}) {
    VsockHeader header = From3To(4);
    header.src_cid = source;
    EXPECT_EQ(Decide(header).drop, DropReason::kSpoofedSource) << source;
  }
}

TEST_F(SwitchTest, ReservedBitsOfACidAreDropped) {
  VsockHeader header = From3To((uint64_t{1} << 32) | 4);
  EXPECT_EQ(Decide(header).drop, DropReason::kReservedBits);
  header = From3To(4);
  header.src_cid |= uint64_t{1} << 63;
  EXPECT_EQ(Decide(header).drop, DropReason::kReservedBits);
}

TEST_F(SwitchTest, UnknownOperationsAndTypesAreReset) {
  for (const uint16_t op : {0, 8, 0xffff}) EXPECT_EQ(Decide(From3To(4, op)).action, Action::kReset) << op;
  VsockHeader header = From3To(4);
  for (const uint16_t type : {0, 3, 0xffff}) {
    header.type = type;
    EXPECT_EQ(Decide(header).reason, CloseReason::kMalformed) << type;
  }
}

TEST_F(SwitchTest, MessagesNeedADriverThatAskedForThem) {
  VsockHeader header = From3To(4);
  header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  EXPECT_EQ(Decide(header).action, Action::kDeliver);
  asker_->set_takes_seqpacket(false);
  EXPECT_EQ(Decide(header).action, Action::kReset);
  EXPECT_EQ(Decide(header).reason, CloseReason::kTypeUnsupported);
  header.op = VIRTIO_VSOCK_OP_RST;
  EXPECT_EQ(Decide(header).action, Action::kDrop);
  EXPECT_EQ(Decide(From3To(4)).action, Action::kDeliver);
}

TEST_F(SwitchTest, ThePayloadMustBeThere) {
  VsockHeader header = From3To(4, VIRTIO_VSOCK_OP_RW);
  header.len = 100;
  EXPECT_EQ(Decide(header, 99).reason, CloseReason::kMalformed);
  EXPECT_EQ(Decide(header, 100).action, Action::kDeliver);
  EXPECT_EQ(Decide(header, 101).action, Action::kDeliver);
}

TEST_F(SwitchTest, ThePayloadIsBounded) {
  VsockHeader header = From3To(4, VIRTIO_VSOCK_OP_RW);
  header.len = kMaxPayloadBytes;
  EXPECT_EQ(Decide(header, 1 << 20).action, Action::kDeliver);
  header.len = kMaxPayloadBytes + 1;
  EXPECT_EQ(Decide(header, 1 << 20).reason, CloseReason::kMalformed);
  header.len = 0xffff'ffff;
  EXPECT_EQ(Decide(header, 0xffff'ffff).reason, CloseReason::kMalformed);
}

TEST_F(SwitchTest, OnlyPayloadPacketsCarryPayload) {
  VsockHeader header = From3To(4, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  header.len = 1;
  EXPECT_EQ(Decide(header, 1).reason, CloseReason::kMalformed);
}

TEST_F(SwitchTest, ARefusalSaysWhatIsWrongWithThePacket) {
  struct Case {
    const char* what;
    void (*change)(VsockHeader&);
    Refusal refusal;
  };
  const Case cases[] = {
      {"more than is there", [](VsockHeader& h) { h.len = 101; }, Refusal::kBadLength},
      {"payload of what has none", [](VsockHeader& h) { h.op = VIRTIO_VSOCK_OP_SHUTDOWN; }, Refusal::kBadLength},
      {"no operation", [](VsockHeader& h) { h.op = VIRTIO_VSOCK_OP_INVALID; }, Refusal::kBadOp},
      {"beyond the last one", [](VsockHeader& h) { h.op = VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1; }, Refusal::kBadOp},
      {"no type", [](VsockHeader& h) { h.type = 0; }, Refusal::kBadType},
      {"nobody there", [](VsockHeader& h) { h.dst_cid = 9; }, Refusal::kNoRoute},
      {"itself", [](VsockHeader& h) { h.dst_cid = 3; }, Refusal::kNoRoute},
      {"a stranger's port", [](VsockHeader& h) { h = {.src_cid = 3, .dst_cid = 5, .op = VIRTIO_VSOCK_OP_REQUEST}; },
       Refusal::kRequest},
  };
  for (const Case& each : cases) {
    VsockHeader header = From3To(4, VIRTIO_VSOCK_OP_RW);
    header.len = 100;
    each.change(header);
    const Decision decision = Decide(header, 100);
    EXPECT_EQ(decision.action, Action::kReset) << each.what;
    EXPECT_EQ(decision.refusal, each.refusal) << each.what;
  }
  EXPECT_EQ(Decide(From3To(4)).refusal, Refusal::kNone);
  host_.reset();
  EXPECT_EQ(Decide(From3To(2)).refusal, Refusal::kNoRoute);
  asker_->set_takes_seqpacket(false);
  VsockHeader message = From3To(4);
  message.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  EXPECT_EQ(Decide(message).refusal, Refusal::kBadType);
}

TEST_F(SwitchTest, AWithdrawnRouteIsForgotten) {
  const uint64_t before = routes_.version();
  routes_.Remove(4);
  EXPECT_NE(routes_.version(), before);
  EXPECT_EQ(Decide(From3To(4)).action, Action::kReset);
}

}  // namespace
}  // namespace kinsock
