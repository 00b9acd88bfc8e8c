// SPDX-License-Identifier: Apache-2.0
//
// A VMM shares the eventfds that it hands over, and can make a write to one wait: on the thread that serves its
// neighbours, too. It loses its session, is sent away for a while, and they go on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <string>

#include "tests/server/talking_guests.h"
#include "tests/server/vm_fixture.h"
#include "tests/support/uapi.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::TalkingGuests;
using testing::VmFixture;

Config WithOneReactor() {
  Config config;
  config.reactors = 1;
  return config;
}

// An eventfd to which nobody can write without waiting, once the back-end has it.
class FullEventFd {
 public:
  int fd() const { return fd_.get(); }
  bool Fill() const {
    return fcntl(fd(), F_SETFL, fcntl(fd(), F_GETFL) & ~O_NONBLOCK) == 0 && eventfd_write(fd(), UINT64_MAX - 1) == 0;
  }

 private:
  UniqueFd fd_{eventfd(0, EFD_CLOEXEC)};
};

class HeldReactorTest : public VmFixture {
 protected:
  HeldReactorTest() : VmFixture(WithOneReactor()) {
    for (const char* id : {"asker", "teller"}) EXPECT_TRUE(daemon_.Create(id).ok());
  }

  TalkingGuests Neighbours() {
    return {Get("asker").status().vhost_user_socket(), Get("teller").status().vhost_user_socket()};
  }
  // One of `ring`'s descriptors is another from now on, and the back-end knows.
  void HandOver(uint32_t request, uint32_t ring, int fd) {
    testing::VhostUserFrontEnd& vmm = a_.machine().front_end();
    ASSERT_TRUE(vmm.SetVringFd(request, ring, fd).ok());
    ASSERT_TRUE(vmm.GetU64(testing::VHOST_USER_GET_FEATURES).ok());
  }
  void ExpectSentAway() {
    Await("mallory", v1::VmStatus::LISTENING);
    EXPECT_THAT(Get("mallory").status().ShortDebugString(),
                HasSubstr("made the back-end wait for one of its eventfds"));
    a_.Kill();
    EXPECT_FALSE(a_.PowerOn(Get("mallory").status().vhost_user_socket()).ok());
  }
  void ExpectUndisturbed(TalkingGuests& neighbours) {
    const uint64_t before = neighbours.received();
    EXPECT_TRUE(stage_.RunUntil([&] { return neighbours.received() > before + (4 << 20); }));
    neighbours.Finish();
  }
};

TEST_F(HeldReactorTest, AnInterruptThatWaits) {
  Boot("mallory", 66, a_);
  TalkingGuests neighbours = Neighbours();
  const FullEventFd full;
  for (const uint32_t ring : {0u, 1u}) HandOver(testing::VHOST_USER_SET_VRING_CALL, ring, full.fd());
  ASSERT_TRUE(full.Fill());
  a_.Connect(2, 1);  // a packet is taken, and the driver is to be told
  ExpectSentAway();
  ExpectUndisturbed(neighbours);
}

TEST_F(HeldReactorTest, AnErrorThatWaits) {
  Boot("mallory", 66, a_);
  TalkingGuests neighbours = Neighbours();
  const FullEventFd full;
  HandOver(testing::VHOST_USER_SET_VRING_ERR, 1, full.fd());
  ASSERT_TRUE(full.Fill());
  testing::VringDriver& ring = a_.machine().tx().ring();
  ring.SetAvailIdx(static_cast<uint16_t>(ring.avail_idx() + ring.entries() + 1));  // more than there can be
  ring.Kick();
  ExpectSentAway();
  ExpectUndisturbed(neighbours);
}

// A sender interrupts the receiver's driver from its own reactor, and is another VM.
TEST_F(HeldReactorTest, ANeighboursPacketWhoseInterruptWaits) {
  Boot("mallory", 66, a_);
  Boot("sender", 67, b_);
  TalkingGuests neighbours = Neighbours();
  const FullEventFd full;
  HandOver(testing::VHOST_USER_SET_VRING_CALL, 0, full.fd());
  ASSERT_TRUE(full.Fill());
  b_.Connect(66, 1);
  ExpectSentAway();
  ExpectUndisturbed(neighbours);
}

}  // namespace
}  // namespace kinsock
