// SPDX-License-Identifier: Apache-2.0
//
// What two guests can say about one connection, in every order: the switch never loses its bearings, never answers an
// RST, and forgets the connection once both ends have ended it.
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::IsEmpty;

constexpr Port kCaller = 5000;
constexpr Port kCalled = 80;

class InterleavingTest : public SwitchTest {
 protected:
  void SetUp() override {
    caller_ = &Boot(Cid(3));
    called_ = &Boot(Cid(4));
    caller_->Capture(kCaller);
    called_->Capture(kCalled);
  }

  void Say(SimulatedGuest& from, uint16_t op, uint32_t flags = 0) {
    const bool is_caller = &from == caller_;
    VsockPacket packet =
        from.Packet(op, is_caller ? kCaller : kCalled, is_caller ? 4 : 3, is_caller ? kCalled : kCaller);
    packet.flags = flags;
    if (op == VIRTIO_VSOCK_OP_RW) packet.payload = "data";
    from.SendRaw(packet);
  }

  // Event `number` of all that can happen.
  void Happen(size_t number) {
    SimulatedGuest& from = number % 2 == 0 ? *caller_ : *called_;
    switch (number / 2) {
      case 0:
        return Say(from, &from == caller_ ? VIRTIO_VSOCK_OP_REQUEST : VIRTIO_VSOCK_OP_RESPONSE);
      case 1:
        return Say(from, VIRTIO_VSOCK_OP_RW);
      case 2:
        return Say(from, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
      case 3:
        return Say(from, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
      case 4:
        return Say(from, VIRTIO_VSOCK_OP_RST);
      default:
        EXPECT_TRUE(from.Reset().ok());
    }
  }
  static constexpr size_t kEvents = 12;

  // Both ends end what they may have; nothing is left, and nobody answers.
  void EndOfStory() {
    Say(*caller_, VIRTIO_VSOCK_OP_RST);
    RunUntilIdle();
    Say(*called_, VIRTIO_VSOCK_OP_RST);
    RunUntilIdle();
    caller_->captured().clear();
    called_->captured().clear();
    Say(*caller_, VIRTIO_VSOCK_OP_RST);
    Say(*called_, VIRTIO_VSOCK_OP_RST);
    RunUntilIdle();
    EXPECT_THAT(caller_->captured(), IsEmpty());
    EXPECT_THAT(called_->captured(), IsEmpty());
    EXPECT_THAT(switch_flows(), IsEmpty());
  }

  SimulatedGuest* caller_ = nullptr;
  SimulatedGuest* called_ = nullptr;
};

TEST_F(InterleavingTest, EveryOrderOfThreeEvents) {
  for (size_t order = 0; order < kEvents * kEvents * kEvents && !HasFailure(); ++order) {
    SCOPED_TRACE(order);
    for (size_t rest = order, i = 0; i < 3; ++i, rest /= kEvents) {
      Happen(rest % kEvents);
      if (order % 2 == 0) RunUntilIdle();  // else they meet half-way
    }
    EndOfStory();
  }
}

TEST_F(InterleavingTest, LongStoriesAtRandom) {
  std::mt19937 random(20'260'101);  // the same stories every time
  for (int story = 0; story < 300 && !HasFailure(); ++story) {
    SCOPED_TRACE(story);
    Happen(0);
    for (int i = 0; i < 8; ++i) {
      if (random() % 2 == 0) stage().Step();
      Happen(random() % kEvents);
    }
    EndOfStory();
  }
}

}  // namespace
}  // namespace kinsock::testing
