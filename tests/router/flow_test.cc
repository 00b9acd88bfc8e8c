// SPDX-License-Identifier: Apache-2.0
#include "router/flow.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/event_loop.h"
#include "tests/router/fake_port.h"

namespace kinsock {
namespace {

constexpr auto kAsker = Flow::Side::kInitiator;
constexpr auto kTeller = Flow::Side::kTarget;
using Verdict = Flow::Verdict;
using State = Flow::State;

// Guest 3 asks guest 4, port 80, from port 1025.
class FlowTest : public ::testing::Test {
 protected:
  VsockHeader Packet(uint16_t op, uint32_t flags = 0, uint32_t len = 0) const {
    VsockHeader header;
    header.op = op;
    header.flags = flags;
    header.len = len;
    header.buf_alloc = 262144;
    return header;
  }
  Verdict Send(Flow::Side from, uint16_t op, uint32_t flags = 0, uint32_t len = 0) {
    return flow_.Accept(Packet(op, flags, len), from);
  }
  void Establish() { ASSERT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_RESPONSE), Verdict::kForward); }

  std::shared_ptr<FakePort> asker_ = std::make_shared<FakePort>(3);
  std::shared_ptr<FakePort> teller_ = std::make_shared<FakePort>(4);
  Flow flow_{7, Packet(VIRTIO_VSOCK_OP_REQUEST), {asker_, 1025}, {teller_, 80}};
};

TEST_F(FlowTest, ARequestThatIsAnsweredEstablishes) {
  EXPECT_EQ(flow_.state(), State::kConnecting);
  EXPECT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_RESPONSE), Verdict::kForward);
  EXPECT_EQ(flow_.state(), State::kEstablished);
}

TEST_F(FlowTest, ARequestThatIsRefusedCloses) {
  EXPECT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_RST), Verdict::kForwardAndClose);
  EXPECT_EQ(flow_.state(), State::kClosed);
  EXPECT_EQ(flow_.Info().close_reason, CloseReason::kGuestReset);
}

struct Illegal {
  const char* what;
  bool established;
  Flow::Side from;
  uint16_t op;
};

class FlowViolationTest : public FlowTest, public ::testing::WithParamInterface<Illegal> {};

TEST_P(FlowViolationTest, IsNotForwarded) {
  if (GetParam().established) Establish();
  EXPECT_EQ(Send(GetParam().from, GetParam().op, 0, 1), Verdict::kViolation);
}

INSTANTIATE_TEST_SUITE_P(All, FlowViolationTest,
                         ::testing::Values(Illegal{"AnswerByTheAsker", false, kAsker, VIRTIO_VSOCK_OP_RESPONSE},
                                           Illegal{"PayloadBeforeTheAnswer", false, kAsker, VIRTIO_VSOCK_OP_RW},
                                           Illegal{"PayloadInsteadOfTheAnswer", false, kTeller, VIRTIO_VSOCK_OP_RW},
                                           Illegal{"ShutdownBeforeTheAnswer", false, kAsker, VIRTIO_VSOCK_OP_SHUTDOWN},
                                           Illegal{"SecondRequest", false, kAsker, VIRTIO_VSOCK_OP_REQUEST},
                                           Illegal{"RequestOnAConnection", true, kAsker, VIRTIO_VSOCK_OP_REQUEST},
                                           Illegal{"SecondAnswer", true, kTeller, VIRTIO_VSOCK_OP_RESPONSE}),
                         [](const auto& info) { return info.param.what; });

TEST_F(FlowTest, AHalfCloseEndsOneDirectionOnly) {
  Establish();
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND), Verdict::kForward);
  EXPECT_EQ(flow_.Info().state, FlowInfo::State::kHalfClosed);
  EXPECT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_RW, 0, 5), Verdict::kForward);
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 5), Verdict::kViolation);
}

TEST_F(FlowTest, AShutdownThatSaysNothingNewIsNotRepeated) {
  Establish();
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV), Verdict::kForward);
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV), Verdict::kIgnore);
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, 0), Verdict::kIgnore);
}

// It waits for credit, which the receiver gives unasked only when its whole window runs low.
TEST_F(FlowTest, ASenderThatHasUsedUpWhatItWasToldOfItsShareIsAskedFor) {
  Establish();
  flow_.ShareWindow(kAsker, 50'000);
  VsockHeader grant = Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  flow_.StampGrant(kTeller, grant);
  ASSERT_EQ(grant.buf_alloc, 50'000u);
  // The share grows, of which it is not told.
  flow_.ShareWindow(kAsker, 131'072);
  ASSERT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 50'000), Verdict::kForward);
  EXPECT_TRUE(flow_.ShouldAskForCredit(kAsker));
  EXPECT_FALSE(flow_.ShouldAskForCredit(kAsker)) << "once is enough";
  ASSERT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_CREDIT_UPDATE), Verdict::kForward);
  flow_.StampGrant(kTeller, grant);
  EXPECT_GT(grant.buf_alloc, 50'000u) << "the answer tells it, though nothing was read";
}

TEST_F(FlowTest, EmptyPayloadIsIgnored) {
  Establish();
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 0), Verdict::kIgnore);
}

TEST_F(FlowTest, AnEmptyMessageIsOneThatEnds) {
  VsockHeader header = Packet(VIRTIO_VSOCK_OP_REQUEST);
  header.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
  Flow flow(8, header, {asker_, 1026}, {teller_, 80});
  header.op = VIRTIO_VSOCK_OP_RESPONSE;
  ASSERT_EQ(flow.Accept(header, kTeller), Verdict::kForward);
  header.op = VIRTIO_VSOCK_OP_RW;
  EXPECT_EQ(flow.Accept(header, kAsker), Verdict::kIgnore);
  header.flags = VIRTIO_VSOCK_SEQ_EOM;
  EXPECT_EQ(flow.Accept(header, kAsker), Verdict::kForward);
  EXPECT_EQ(flow.Info().type, VIRTIO_VSOCK_TYPE_SEQPACKET);
  header.type = VIRTIO_VSOCK_TYPE_STREAM;
  EXPECT_EQ(flow.Accept(header, kAsker), Verdict::kViolation);
}

TEST_F(FlowTest, AStreamHasNoMessagesToEnd) {
  Establish();
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_SEQ_EOM, 0), Verdict::kIgnore);
}

TEST_F(FlowTest, ABufferSizeThatIsSetWhileConnectingIsHarmless) {
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_CREDIT_UPDATE), Verdict::kIgnore);
  Establish();
}

TEST_F(FlowTest, AnotherTypeIsAViolation) {
  Establish();
  VsockHeader header = Packet(VIRTIO_VSOCK_OP_RW, 0, 1);
  header.type = 2;
  EXPECT_EQ(flow_.Accept(header, kAsker), Verdict::kViolation);
}

TEST_F(FlowTest, NothingPassesAfterTheEnd) {
  Establish();
  ASSERT_TRUE(flow_.Close(CloseReason::kPeerGone));
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 1), Verdict::kOver);
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RST), Verdict::kOver);
  EXPECT_EQ(flow_.Info().close_reason, CloseReason::kPeerGone);
}

TEST_F(FlowTest, TheResetNamesTheOtherEndAsItsSender) {
  const VsockHeader reset = flow_.ResetTo(kAsker);
  EXPECT_EQ(reset.op, VIRTIO_VSOCK_OP_RST);
  EXPECT_EQ(reset.src_cid, 4u);
  EXPECT_EQ(reset.src_port, 80u);
  EXPECT_EQ(reset.dst_cid, 3u);
  EXPECT_EQ(reset.dst_port, 1025u);
}

TEST_F(FlowTest, OnlyWaitingFlowsCountAsTransient) {
  EXPECT_EQ(asker_->transient_flows(), 1);
  Establish();
  EXPECT_EQ(asker_->transient_flows(), 0);
  Send(kTeller, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
  EXPECT_EQ(asker_->transient_flows(), 1);
  EXPECT_EQ(Send(kAsker, VIRTIO_VSOCK_OP_RST), Verdict::kForwardAndClose);
  EXPECT_EQ(asker_->transient_flows(), 0);
}

TEST_F(FlowTest, TheReportTellsBothDirections) {
  Establish();
  flow_.CountDelivered(kAsker, 100);
  flow_.CountDelivered(kTeller, 7);
  const FlowInfo info = flow_.Info();
  EXPECT_EQ(info.id, 7u);
  EXPECT_EQ(info.initiator.cid, 3u);
  EXPECT_EQ(info.target.port, 80u);
  EXPECT_EQ(info.to_target.bytes, 100u);
  EXPECT_EQ(info.to_initiator.bytes, 7u);
  EXPECT_EQ(info.to_target.buf_alloc, 262144u);
}

TEST_F(FlowTest, AResetThatConfirmsAShutdownIsNoAbruptEnd) {
  Establish();
  Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND);
  EXPECT_EQ(Send(kTeller, VIRTIO_VSOCK_OP_RST), Verdict::kForwardAndClose);
  EXPECT_EQ(flow_.Info().close_reason, CloseReason::kFinished);
}

TEST_F(FlowTest, TheEndsThatKnowOfItCountItsBeginningAndItsEnd) {
  const auto out = static_cast<size_t>(Direction::kOut), in = static_cast<size_t>(Direction::kIn);
  const auto accepted = static_cast<size_t>(CloseReason::kNone);
  flow_.CountFor(kAsker);
  flow_.CountFor(kTeller);
  Establish();
  EXPECT_EQ(asker_->port_stats().connects[out][accepted].value(), 1u);
  EXPECT_EQ(teller_->port_stats().connects[in][accepted].value(), 1u);
  Send(kAsker, VIRTIO_VSOCK_OP_RST);
  const auto reset = static_cast<size_t>(CloseReason::kGuestReset);
  EXPECT_EQ(asker_->port_stats().closes[reset].value(), 1u);
  EXPECT_EQ(teller_->port_stats().closes[reset].value(), 1u);
  EXPECT_EQ(asker_->port_stats().connects[in][accepted].value(), 0u);
}

class FlowStateTest : public FlowTest {
 protected:
  using State = FlowInfo::State;
  // Of one port, by state.
  static std::vector<int64_t> Connections(const FakePort& port) {
    std::vector<int64_t> counts;
    for (const std::atomic<int64_t>& each : port.port_stats().connections) counts.push_back(each);
    return counts;
  }
  static std::vector<int64_t> OneIn(State state) {
    std::vector<int64_t> counts(kOpenFlowStates);
    if (state != State::kClosed) counts[static_cast<size_t>(state)] = 1;
    return counts;
  }
  void ExpectBothIn(State state) {
    EXPECT_EQ(Connections(*asker_), OneIn(state));
    EXPECT_EQ(Connections(*teller_), OneIn(state));
    EXPECT_EQ(flow_.Info().state, state);
  }
};

TEST_F(FlowStateTest, BothEndsHaveItInTheStateThatItIsIn) {
  flow_.CountFor(kAsker);
  EXPECT_EQ(Connections(*teller_), OneIn(State::kClosed)) << "it does not know of it yet";
  flow_.CountFor(kTeller);
  flow_.CountFor(kTeller);
  ExpectBothIn(State::kConnecting);
  Establish();
  ExpectBothIn(State::kEstablished);
  Send(kAsker, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
  ExpectBothIn(State::kHalfClosed);
  Send(kTeller, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
  ExpectBothIn(State::kClosing);
  Send(kAsker, VIRTIO_VSOCK_OP_RST);
  ExpectBothIn(State::kClosed);
}

TEST_F(FlowStateTest, WhoLearnsOfItAfterItsEndHasNone) {
  flow_.CountFor(kAsker);
  ASSERT_TRUE(flow_.Close(CloseReason::kConnectTimeout));
  flow_.CountFor(kTeller);
  ExpectBothIn(State::kClosed);
}

TEST_F(FlowStateTest, WhoeverChangesItAtTheSameTimeNothingIsLeftOver) {
  for (int round = 0; round < 2000; ++round) {
    Flow flow(1, Packet(VIRTIO_VSOCK_OP_REQUEST), {asker_, 1025}, {teller_, 80});
    flow.CountFor(kAsker);
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      flow.CountFor(kTeller);
      flow.Accept(Packet(VIRTIO_VSOCK_OP_RESPONSE), kTeller);
      VsockHeader shutdown = Packet(VIRTIO_VSOCK_OP_SHUTDOWN);
      shutdown.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
      flow.Accept(shutdown, kTeller);
    });
    threads.emplace_back([&] {
      VsockHeader shutdown = Packet(VIRTIO_VSOCK_OP_SHUTDOWN);
      shutdown.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
      flow.Accept(shutdown, kAsker);
      flow.Close(CloseReason::kPeerGone);
    });
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(Connections(*asker_), OneIn(State::kClosed)) << round;
    ASSERT_EQ(Connections(*teller_), OneIn(State::kClosed)) << round;
  }
}

TEST_F(FlowTest, ARequestThatNeverReachedTheTargetIsNotItsRefusal) {
  flow_.CountFor(kAsker);
  ASSERT_TRUE(flow_.Close(CloseReason::kConnectTimeout));
  const auto out = static_cast<size_t>(Direction::kOut), in = static_cast<size_t>(Direction::kIn);
  const auto timeout = static_cast<size_t>(CloseReason::kConnectTimeout);
  EXPECT_EQ(asker_->port_stats().connects[out][timeout].value(), 1u);
  EXPECT_EQ(asker_->port_stats().closes[timeout].value(), 0u) << "it never was open";
  EXPECT_EQ(teller_->port_stats().connects[in][timeout].value(), 0u);
}

TEST_F(FlowTest, ASenderThatUsesUpItsCreditStallsUntilTheNextGrant) {
  Establish();
  EXPECT_EQ(flow_.Info().to_target.credit, 262144u);
  Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 262143);
  EXPECT_EQ(flow_.Info().to_target.credit, 1u);
  EXPECT_EQ(flow_.Info().to_target.credit_stalls, 0u);
  Send(kAsker, VIRTIO_VSOCK_OP_RW, 0, 1);
  EXPECT_EQ(flow_.Info().to_target.credit, 0u);
  EXPECT_EQ(flow_.Info().to_target.credit_stalls, 1u);
  const auto so_far = flow_.Info().to_target.stalled;
  EXPECT_LT(so_far, flow_.Info().to_target.stalled) << "it goes on";

  VsockHeader update = Packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
  update.fwd_cnt = 1000;
  ASSERT_EQ(flow_.Accept(update, kTeller), Verdict::kForward);
  EXPECT_EQ(flow_.Info().to_target.credit, 1000u);
  const auto stalled = flow_.Info().to_target.stalled;
  EXPECT_GT(stalled.count(), 0);
  EXPECT_EQ(flow_.Info().to_target.stalled, stalled) << "it is over";
  EXPECT_EQ(flow_.Info().to_initiator.credit_stalls, 0u);
  const auto out = static_cast<size_t>(Direction::kOut), in = static_cast<size_t>(Direction::kIn);
  EXPECT_EQ(asker_->port_stats().credit_stalls[out].value(), 1u);
  EXPECT_EQ(teller_->port_stats().credit_stalls[in].value(), 1u);
  EXPECT_EQ(asker_->port_stats().stalled_nanoseconds[out].value(), static_cast<uint64_t>(stalled.count()));
}

class FlowDurationTest : public FlowTest {
 protected:
  static uint64_t Connects(const FlowJournal& journal, FlowWay way) {
    return journal.durations().connects[static_cast<size_t>(way)].Read().total();
  }
  static uint64_t Connections(const FlowJournal& journal, FlowWay way) {
    return journal.durations().connections[static_cast<size_t>(way)].Read().total();
  }

  EventLoop loop_;
  FlowJournal journal_{loop_, 0};
  std::shared_ptr<FakePort> host_ = std::make_shared<FakePort>(kHostCid);
};

TEST_F(FlowDurationTest, AnAnswerAndAnEndAreTimedByTheWayOfTheConnection) {
  Flow flow(7, Packet(VIRTIO_VSOCK_OP_REQUEST), {asker_, 1025}, {teller_, 80}, &journal_);
  flow.CountFor(kAsker);
  ASSERT_EQ(flow.Accept(Packet(VIRTIO_VSOCK_OP_RESPONSE), kTeller), Verdict::kForward);
  EXPECT_EQ(Connects(journal_, FlowWay::kSibling), 1u);
  EXPECT_EQ(Connections(journal_, FlowWay::kSibling), 0u);
  EXPECT_TRUE(flow.Close(CloseReason::kFinished));
  EXPECT_FALSE(flow.Close(CloseReason::kFinished));
  EXPECT_EQ(Connections(journal_, FlowWay::kSibling), 1u);

  for (const auto& [from, to] : {std::pair(host_, teller_), std::pair(asker_, host_), std::pair(asker_, host_)}) {
    Flow other(8, Packet(VIRTIO_VSOCK_OP_REQUEST), {from, 1025}, {to, 80}, &journal_);
    other.CountFor(kTeller);
    ASSERT_EQ(other.Accept(Packet(VIRTIO_VSOCK_OP_RESPONSE), kTeller), Verdict::kForward);
    other.Close(CloseReason::kFinished);
  }
  EXPECT_EQ(Connects(journal_, FlowWay::kFromHost), 1u);
  EXPECT_EQ(Connections(journal_, FlowWay::kFromHost), 1u);
  EXPECT_EQ(Connects(journal_, FlowWay::kToHost), 2u);
  EXPECT_EQ(Connections(journal_, FlowWay::kToHost), 2u);
}

TEST_F(FlowDurationTest, WhatWasRefusedIsInNeither) {
  Flow flow(7, Packet(VIRTIO_VSOCK_OP_REQUEST), {asker_, 1025}, {teller_, 80}, &journal_);
  flow.CountFor(kAsker);
  EXPECT_EQ(flow.Accept(Packet(VIRTIO_VSOCK_OP_RST), kTeller), Verdict::kForwardAndClose);
  EXPECT_EQ(Connects(journal_, FlowWay::kSibling), 0u);
  EXPECT_EQ(Connections(journal_, FlowWay::kSibling), 0u);
}

TEST_F(FlowTest, OfManyWhoCloseItOneSucceeds) {
  Establish();
  std::atomic<int> succeeded{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { succeeded += flow_.Close(CloseReason::kAdminReset); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(succeeded, 1);
}

}  // namespace
}  // namespace kinsock
