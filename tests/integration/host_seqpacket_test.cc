// SPDX-License-Identifier: Apache-2.0
//
// Guests exchange messages with host programs that listen with SOCK_SEQPACKET: one message there is one message here,
// whatever credit, buffers and sockets have room for at the moment.
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/message_program.h"
#include "tests/support/messages.h"
#include "tests/support/switch_test.h"

namespace kinsock::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint16_t kSeqpacket = VIRTIO_VSOCK_TYPE_SEQPACKET;
constexpr Port kPort = 1234;
constexpr uint32_t kHostWindow = 64 * 1024;  // what the daemon grants by default

class HostSeqpacketTest : public SwitchTest {
 protected:
  struct HostPair {
    std::unique_ptr<MessageProgram> program;
    Stream guest;
  };
  HostPair ConnectToHost(SimulatedGuest& guest) {
    HybridListener listener(uds_path(static_cast<Cid>(guest.cid())), kPort, 64, SOCK_SEQPACKET);
    Stream stream = guest.Connect(2, kPort, kSeqpacket);
    std::optional<UniqueFd> accepted;
    RunUntil([&] { return accepted.has_value() || (accepted = listener.TryAccept()).has_value(); });
    RunUntil([&] { return stream.established(); });
    unlink(listener.path().c_str());
    return {std::make_unique<MessageProgram>(stage(), accepted ? std::move(*accepted) : UniqueFd()), stream};
  }
  static std::vector<std::string> MessagesOf(const std::vector<size_t>& sizes) {
    std::vector<std::string> messages;
    for (const size_t size : sizes) messages.push_back(PatternMessage(static_cast<uint32_t>(messages.size()), size));
    return messages;
  }
  void ToHost(HostPair& pair, const std::vector<size_t>& sizes) {
    const std::vector<std::string> messages = MessagesOf(sizes);
    for (const std::string& message : messages) pair.guest.SendMessage(message);
    RunUntil([&] { return pair.program->Messages().size() >= messages.size(); });
    EXPECT_TRUE(pair.program->Messages() == messages);
  }
  void ToGuest(HostPair& pair, const std::vector<size_t>& sizes) {
    const std::vector<std::string> messages = MessagesOf(sizes);
    for (const std::string& message : messages) pair.program->SendMessage(message);
    RunUntil([&] { return pair.guest.Messages().size() >= messages.size(); });
    EXPECT_TRUE(pair.guest.Messages() == messages);
  }
  VsockPacket MessagePacket(const SimulatedGuest& from, const Stream& stream, std::string payload, uint32_t flags) {
    VsockPacket packet = from.Packet(VIRTIO_VSOCK_OP_RW, stream.local_port(), 2, kPort);
    packet.type = kSeqpacket;
    packet.payload = std::move(payload);
    packet.flags = flags;
    return packet;
  }
};

const std::vector<size_t> kSizes = {1, 0, 100, 3731, 3732, 3733, 0, 0, 20'000, 40'000, 65535, 65536, 33'000, 65536, 2};

TEST_F(HostSeqpacketTest, MessagesOfAllSizesKeepTheirBoundaries) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  ToHost(pair, kSizes);
  ToGuest(pair, kSizes);
  ASSERT_EQ(switch_flows().size(), 1u);
  EXPECT_EQ(switch_flows()[0].type, kSeqpacket);
}

TEST_F(HostSeqpacketTest, ManySmallMessages) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  ToHost(pair, std::vector<size_t>(3000, 7));
  ToGuest(pair, std::vector<size_t>(3000, 7));
}

TEST_F(HostSeqpacketTest, AMessageInManyPacketsIsPutTogether) {
  GuestOptions small;
  small.tx_packet_bytes = 100;
  SimulatedGuest& guest = Boot(Cid(3), small);
  HostPair pair = ConnectToHost(guest);
  ToHost(pair, kSizes);
}

TEST_F(HostSeqpacketTest, APayloadInManyPiecesIsOneMessage) {
  GuestOptions pages;
  pages.tx_layout = TxLayout::kPages;
  SimulatedGuest& guest = Boot(Cid(3), pages);
  HostPair pair = ConnectToHost(guest);
  ToHost(pair, kSizes);
}

TEST_F(HostSeqpacketTest, AGuestWithFewBuffersGetsWholeMessages) {
  GuestOptions few;
  few.rx_buffers = 2;
  SimulatedGuest& guest = Boot(Cid(3), few);
  HostPair pair = ConnectToHost(guest);
  ToGuest(pair, kSizes);
}

TEST_F(HostSeqpacketTest, AGuestWithTinyBuffersGetsWholeMessages) {
  GuestOptions tiny;
  tiny.rx_buffer_bytes = 64;
  SimulatedGuest& guest = Boot(Cid(3), tiny);
  HostPair pair = ConnectToHost(guest);
  ToGuest(pair, {1, 0, 19, 20, 21, 5000, 0});
}

TEST_F(HostSeqpacketTest, TheLargestMessagesThatWindowsAllow) {
  Backend::VmOptions wide;
  wide.tx_buffer_bytes = 256 * 1024;
  SimulatedGuest& guest = Boot(Cid(3), {}, wide);
  HostPair pair = ConnectToHost(guest);
  const int buffer = 512 * 1024;
  setsockopt(pair.program->fd(), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
  ToHost(pair, {256 * 1024, 1, 200'000, 256 * 1024});
  ToGuest(pair, {256 * 1024, 1, 200'000, 256 * 1024});
}

// What was granted for the first message must be told although it is less than half of the window: the second one's
// rest does not come without it.
TEST_F(HostSeqpacketTest, HalfAMessageIsGrantedItsOtherHalf) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  ToHost(pair, {30'000, 65536});
}

// The guest reads nothing while it lacks the end, and tells of room only when it has read.
TEST_F(HostSeqpacketTest, CreditForAPartIsUsed) {
  GuestOptions options;
  options.window = 70'000;
  SimulatedGuest& guest = Boot(Cid(3), options);
  HostPair pair = ConnectToHost(guest);
  pair.guest.PauseReading();
  pair.program->SendMessage(PatternMessage(1, 40'000));
  pair.program->SendMessage(PatternMessage(2, 65'000));
  RunUntil([&] { return pair.guest.connection().unread() == 70'000; });
  EXPECT_THAT(pair.guest.Messages(), IsEmpty());
  pair.guest.ResumeReading();
  RunUntil([&] { return pair.guest.Messages().size() == 2; });
  EXPECT_TRUE(pair.guest.Messages()[1] == PatternMessage(2, 65'000));
}

TEST_F(HostSeqpacketTest, AProgramThatPausesHoldsUpOnlyItself) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair paused = ConnectToHost(guest);
  HostPair other = ConnectToHost(guest);
  paused.program->PauseReading();
  std::vector<std::string> messages;
  for (uint32_t i = 0; i < 2000; ++i) {
    messages.push_back(PatternMessage(i, i % 20 == 0 ? 0 : i));
    paused.guest.SendMessage(messages.back());
  }
  RunUntilIdle();
  EXPECT_FALSE(paused.guest.all_sent());
  ToHost(other, kSizes);
  paused.program->ResumeReading();
  RunUntil([&] { return paused.program->Messages().size() >= messages.size(); });
  EXPECT_TRUE(paused.program->Messages() == messages);
}

TEST_F(HostSeqpacketTest, AGuestThatPausesLosesNothing) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.guest.PauseReading();
  const std::vector<std::string> messages = MessagesOf(std::vector<size_t>(40, 50'000));
  for (const std::string& message : messages) pair.program->SendMessage(message);
  RunUntilIdle();
  EXPECT_FALSE(pair.program->all_sent());
  pair.guest.ResumeReading();
  RunUntil([&] { return pair.guest.Messages().size() >= messages.size(); });
  EXPECT_TRUE(pair.guest.Messages() == messages);
}

// --- Ends ---

TEST_F(HostSeqpacketTest, TheGuestMayStopSendingFirst) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.guest.SendMessage("the question");
  pair.guest.SendMessage("");
  pair.guest.ShutdownSend();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_THAT(pair.program->Messages(), ElementsAre("the question", ""));
  ToGuest(pair, kSizes);
  pair.program->Close();
  RunUntil([&] { return pair.guest.closed() || pair.guest.at_eof(); });
  EXPECT_FALSE(pair.guest.was_reset());
}

TEST_F(HostSeqpacketTest, TheProgramMayStopSendingFirst) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.program->SendMessage("the question");
  pair.program->SendMessage("");
  pair.program->ShutdownSend();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_THAT(pair.guest.Messages(), ElementsAre("the question", ""));
  ToHost(pair, kSizes);
  pair.guest.Close();
  RunUntil([&] { return pair.program->at_eof(); });
  AwaitNoFlows();
}

TEST_F(HostSeqpacketTest, WhatTheGuestSentBeforeItClosedIsDelivered) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.program->PauseReading();
  const std::vector<std::string> messages = MessagesOf(std::vector<size_t>(9, 30'000));
  for (const std::string& message : messages) pair.guest.SendMessage(message);
  RunUntil([&] { return pair.guest.all_sent(); });
  pair.guest.Close();
  RunUntil([&] { return pair.guest.closed(); });
  pair.program->ResumeReading();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_TRUE(pair.program->Messages() == messages);
}

TEST_F(HostSeqpacketTest, AMessageWithoutEndIsNotDelivered) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.guest.SendMessage("whole");
  pair.guest.SendUnfinished("half");
  pair.guest.ShutdownSend();
  RunUntil([&] { return pair.program->at_eof(); });
  EXPECT_THAT(pair.program->Messages(), ElementsAre("whole"));
}

TEST_F(HostSeqpacketTest, AProgramThatGoesAwayEndsTheConnection) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  pair.program->PauseReading();
  pair.guest.SendMessage("unread");
  pair.program->SendMessage("last words");
  RunUntilIdle();
  pair.program->Close();
  RunUntil([&] { return pair.guest.at_eof(); });
  EXPECT_THAT(pair.guest.Messages(), ElementsAre("last words"));
  pair.guest.Close();
  AwaitNoFlows();
}

// --- Refusals ---

TEST_F(HostSeqpacketTest, NobodyListensWithThatType) {
  SimulatedGuest& guest = Boot(Cid(3));
  HybridListener streams(uds_path(3), kPort);
  HybridListener messages(uds_path(3), kPort + 1, 64, SOCK_SEQPACKET);
  for (const auto& [port, type] :
       {std::pair<Port, uint16_t>{kPort, kSeqpacket}, {kPort + 1, VIRTIO_VSOCK_TYPE_STREAM}, {kPort + 2, kSeqpacket}}) {
    Stream call = guest.Connect(2, port, type);
    RunUntil([&] { return call.closed(); });
    EXPECT_TRUE(call.was_reset());
    AwaitNoFlows();
  }
}

TEST_F(HostSeqpacketTest, AMessageLargerThanTheGuestsWindowIsAReset) {
  GuestOptions narrow;
  narrow.window = 10'000;
  SimulatedGuest& guest = Boot(Cid(3), narrow);
  HostPair pair = ConnectToHost(guest);
  ToGuest(pair, {10'000, 1, 10'000});
  pair.program->SendMessage(std::string(10'001, 'x'));
  RunUntil([&] { return pair.guest.closed() && pair.program->at_eof(); });
  EXPECT_TRUE(pair.guest.was_reset());
  EXPECT_EQ(pair.guest.connection().unread(), 0u);
  AwaitNoFlows();
  // The buffer of the reset held the beginning of it: legal (virtio 1.3, 2.7.8.2), and the guest's own.
  EXPECT_THAT(guest.violations().Take(), ElementsAre("the device wrote behind the used length 44"));
}

TEST_F(HostSeqpacketTest, AMessageThatFillsTheWindowWithoutEndIsAReset) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  HostPair other = ConnectToHost(guest);
  pair.guest.SendUnfinished(std::string(kHostWindow - 1, 'x'));
  RunUntilIdle();
  EXPECT_TRUE(pair.guest.established());
  pair.guest.SendUnfinished("x");
  RunUntil([&] { return pair.guest.closed() && pair.program->at_eof(); });
  EXPECT_TRUE(pair.guest.was_reset());
  EXPECT_THAT(pair.program->Messages(), IsEmpty());
  ToHost(other, {1, 2, 3});
}

TEST_F(HostSeqpacketTest, MoreThanTheHostGrantedIsAReset) {
  SimulatedGuest& liar = Boot(Cid(3));
  HostPair pair = ConnectToHost(liar);
  pair.program->PauseReading();
  for (int i = 0; i < 32; ++i) {
    liar.SendRaw(MessagePacket(liar, pair.guest, std::string(32 * 1024, 'x'), VIRTIO_VSOCK_SEQ_EOM));
  }
  IgnoreViolationsOf(liar);
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_TRUE(pair.guest.was_reset());
  AwaitNoFlows();
}

TEST_F(HostSeqpacketTest, AFloodOfEmptyMessagesIsBounded) {
  SimulatedGuest& guest = Boot(Cid(3));
  HostPair pair = ConnectToHost(guest);
  HostPair other = ConnectToHost(guest);
  pair.program->PauseReading();
  for (int i = 0; i < 10'000; ++i) pair.guest.SendMessage("");
  RunUntil([&] { return pair.guest.closed(); });
  EXPECT_TRUE(pair.guest.was_reset());
  ToHost(other, kSizes);
}

TEST_F(HostSeqpacketTest, APacketOfTheOtherTypeEndsTheConnection) {
  SimulatedGuest& liar = Boot(Cid(3));
  HostPair pair = ConnectToHost(liar);
  VsockPacket packet = MessagePacket(liar, pair.guest, "which one?", 0);
  packet.type = VIRTIO_VSOCK_TYPE_STREAM;
  liar.SendRaw(packet);
  IgnoreViolationsOf(liar);
  RunUntil([&] { return pair.guest.closed() && pair.program->at_eof(); });
  EXPECT_THAT(pair.program->Messages(), IsEmpty());
}

}  // namespace
}  // namespace kinsock::testing
