// SPDX-License-Identifier: Apache-2.0
//
// Whether a guest is ready, by each of the three sources; what makes it unready again; and guests that say it in every
// way but the right one. Time passes only when the tests say so.
#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "device/guest_readiness.h"
#include "tests/integration/hybrid_fixture.h"
#include "tests/support/simulated_clock.h"

namespace kinsock::testing {
namespace {

using ::testing::HasSubstr;
using Source = Readiness::Source;
using Word = GuestNotice::Word;

constexpr uint32_t kPort = 9000;
constexpr uint64_t kHost = 2;

struct TestClock {
  SimulatedClock clock;
};

class ReadinessTest : private TestClock, public HybridTest {
 protected:
  ReadinessTest() : HybridTest(TestClock::clock) {}

  static Backend::VmOptions When(Source source, bool host_side = true) {
    Backend::VmOptions options;
    options.readiness = {source, kPort};
    options.host_side = host_side;
    return options;
  }
  DeviceStatus Status() { return backend().Status(vm(3)); }
  void AwaitWord(Word word) {
    RunUntil([&] { return Status().guest == word; });
  }
  // What the guest's system manager does: a connection for each notification, closed by who reads it.
  void Notify(SimulatedGuest& guest, const std::string& text) {
    Stream stream = guest.Connect(kHost, kPort);
    RunUntil([&] { return stream.established(); });
    stream.Send(text);
    stream.ShutdownSend();
    RunUntil([&] { return stream.at_eof() || stream.closed(); });
    EXPECT_EQ(stream.Received(), "");
    stream.Close();
    RunUntil([&] { return stream.closed(); });
    RunUntilIdle();
    Pass(GuestReadiness::kReportPause);
  }
  // Somebody accepts from now on; the first probe was refused, unless it comes only now.
  void ListenAndBeProbed(SimulatedGuest& guest) {
    guest.Listen(Port(kPort));
    RunUntilIdle();
    Pass(GuestReadiness::kFirstPause);
  }
  void Pass(std::chrono::nanoseconds time) {
    clock.Advance(time);
    RunUntilIdle();
  }
};

// --- The guest connects ---

TEST_F(ReadinessTest, AnAttemptToConnectIsEnough) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kGuestConnects));
  RunUntilIdle();
  EXPECT_EQ(Status().guest, Word::kNone);
  Stream other = guest.Connect(kHost, kPort + 1);
  RunUntil([&] { return other.closed(); });
  EXPECT_EQ(Status().guest, Word::kNone);

  Stream attempt = guest.Connect(kHost, kPort);
  RunUntil([&] { return attempt.closed(); });
  EXPECT_TRUE(attempt.was_reset()) << "nobody listens";
  AwaitWord(Word::kReady);
}

TEST_F(ReadinessTest, AConnectionThatIsServedIsServed) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kGuestConnects));
  HostPair pair = ConnectToHost(guest, Port(kPort));
  AwaitWord(Word::kReady);
  Exchange(pair, 1, 100'000);
}

TEST_F(ReadinessTest, AnAttemptBeyondTheQuotaCounts) {
  Backend::VmOptions options = When(Source::kGuestConnects);
  options.limits.max_connections = 0;
  SimulatedGuest& guest = Boot(Cid(3), {}, options);
  Stream attempt = guest.Connect(kHost, kPort);
  RunUntil([&] { return attempt.was_reset(); });
  AwaitWord(Word::kReady);
}

TEST_F(ReadinessTest, AGuestWithoutHostProgramsMayConnectToo) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kGuestConnects, /*host_side=*/false));
  Stream attempt = guest.Connect(kHost, kPort);
  RunUntil([&] { return attempt.was_reset(); });
  AwaitWord(Word::kReady);
}

// --- The guest is probed ---

TEST_F(ReadinessTest, APortIsTriedUntilSomebodyAccepts) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kProbe));
  RunUntilIdle();
  EXPECT_EQ(stats(3).readiness_probes, 1u) << "at once";
  EXPECT_EQ(Status().guest, Word::kNone);
  Pass(GuestReadiness::kFirstPause);
  EXPECT_EQ(stats(3).readiness_probes, 2u);
  Pass(GuestReadiness::kFirstPause);
  EXPECT_EQ(stats(3).readiness_probes, 2u) << "pauses grow";
  Pass(GuestReadiness::kFirstPause);
  EXPECT_EQ(stats(3).readiness_probes, 3u);

  guest.Listen(Port(kPort));
  Pass(GuestReadiness::kLastPause);
  AwaitWord(Word::kReady);
  std::optional<Stream> accepted = guest.TryAccept(Port(kPort));
  ASSERT_TRUE(accepted.has_value());
  RunUntil([&] { return accepted->at_eof() || accepted->closed(); });
  EXPECT_FALSE(accepted->was_reset());

  const uint64_t probes = stats(3).readiness_probes;
  for (int i = 0; i < 4; ++i) Pass(GuestReadiness::kLastPause);
  EXPECT_EQ(stats(3).readiness_probes, probes) << "it knows";
  RunUntilIdle();
}

TEST_F(ReadinessTest, PausesGrowToTheLastAndNoFurther) {
  Boot(Cid(3), {}, When(Source::kProbe));
  for (int i = 0; i < 10; ++i) Pass(GuestReadiness::kLastPause);
  const uint64_t probes = stats(3).readiness_probes;
  for (int i = 0; i < 5; ++i) Pass(GuestReadiness::kLastPause);
  EXPECT_EQ(stats(3).readiness_probes, probes + 5);
}

TEST_F(ReadinessTest, ProbesAreNoConnections) {
  Backend::VmOptions options = When(Source::kProbe);
  options.limits.max_connections = 0;
  SimulatedGuest& guest = Boot(Cid(3), {}, options);
  ListenAndBeProbed(guest);
  AwaitWord(Word::kReady);
  RunUntilIdle();
  EXPECT_THAT(switch_flows(), ::testing::IsEmpty());
  EXPECT_THAT(backend().ClosedFlows(), ::testing::IsEmpty());
  for (const auto& direction : stats(3).guest_port.connects) {
    for (const uint64_t count : direction) EXPECT_EQ(count, 0u);
  }
}

TEST_F(ReadinessTest, AServerThatSpeaksFirstIsNotListenedTo) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kProbe));
  ListenAndBeProbed(guest);
  std::optional<Stream> accepted;
  RunUntil([&] { return accepted.has_value() || (accepted = guest.TryAccept(Port(kPort))).has_value(); });
  accepted->Send("SSH-2.0");
  RunUntil([&] { return accepted->closed() || accepted->at_eof(); });
  AwaitWord(Word::kReady);
  accepted->Close();
  RunUntilIdle();
}

TEST_F(ReadinessTest, AGuestThatDoesNotAnswerIsTriedAgain) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kProbe));
  guest.Capture(Port(kPort));
  RunUntilIdle();
  Pass(GuestReadiness::kFirstPause);  // refused before, perhaps
  RunUntil([&] { return !guest.captured().empty(); });
  const uint64_t probes = stats(3).readiness_probes;
  Pass(GuestReadiness::kAnswerTimeout);
  Pass(GuestReadiness::kLastPause);
  EXPECT_EQ(stats(3).readiness_probes, probes + 1);
  EXPECT_EQ(Status().guest, Word::kNone);
  // The answer to the first one comes after all.
  const VsockPacket first = guest.captured().front();
  guest.SendRaw(guest.Packet(VIRTIO_VSOCK_OP_RESPONSE, Port(kPort), kHost, first.src_port));
  RunUntil([&] {
    return std::any_of(guest.captured().begin(), guest.captured().end(), [&](const VsockPacket& packet) {
      return packet.op == VIRTIO_VSOCK_OP_RST && packet.src_port == first.src_port;
    });
  });
  EXPECT_EQ(Status().guest, Word::kNone) << "nobody waited for it any more";
}

TEST_F(ReadinessTest, NobodyIsTriedWithoutADriverOrWhileDraining) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kProbe));
  RunUntilIdle();
  ASSERT_TRUE(guest.Suspend().ok());
  AwaitState(3, DeviceState::kSuspended);
  const uint64_t probes = stats(3).readiness_probes;
  for (int i = 0; i < 5; ++i) Pass(GuestReadiness::kLastPause);
  EXPECT_EQ(stats(3).readiness_probes, probes);
  ASSERT_TRUE(guest.Resume().ok());
  RunUntil([&] { return stats(3).readiness_probes > probes; });
  guest.Kill();
  AwaitState(3, DeviceState::kListening);
  const uint64_t before = stats(3).readiness_probes;
  for (int i = 0; i < 5; ++i) Pass(GuestReadiness::kLastPause);
  EXPECT_EQ(stats(3).readiness_probes, before);
}

// --- The guest says so ---

TEST_F(ReadinessTest, ReadyWithAStatus) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Notify(guest, "STATUS=booting\nX_SYSTEMD_UNIT_ACTIVE=ssh.service\n");
  RunUntil([&] { return !Status().guest_text.empty(); });
  EXPECT_EQ(Status().guest, Word::kNone);
  EXPECT_EQ(Status().guest_text, "status \"booting\", active unit \"ssh.service\"");
  Notify(guest, "READY=1\nSTATUS=up");
  AwaitWord(Word::kReady);
  EXPECT_THAT(Status().guest_text, HasSubstr("\"up\""));
  Notify(guest, "STOPPING=1\n");
  AwaitWord(Word::kStopping);
}

TEST_F(ReadinessTest, ReadyInAMessage) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Stream stream = guest.Connect(kHost, kPort, VIRTIO_VSOCK_TYPE_SEQPACKET);
  RunUntil([&] { return stream.established(); });
  stream.SendMessage("STATUS=up\nREADY=1");  // the end of a message ends a line
  AwaitWord(Word::kReady);
  stream.SendMessage("STOPPING=1");
  Pass(GuestReadiness::kReportPause);
  AwaitWord(Word::kStopping);
  stream.ShutdownSend();
  RunUntil([&] { return stream.at_eof() || stream.closed(); });
  stream.Close();
  RunUntil([&] { return stream.closed(); });
}

TEST_F(ReadinessTest, AGuestWithoutHostProgramsMayNotifyToo) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify, /*host_side=*/false));
  Notify(guest, "READY=1");
  AwaitWord(Word::kReady);
  Stream other = guest.Connect(kHost, kPort + 1);
  RunUntil([&] { return other.was_reset(); });
}

TEST_F(ReadinessTest, TheDaemonListensInPlaceOfHostPrograms) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  HybridListener program(uds_path(3), kPort);
  Notify(guest, "READY=1\n");
  AwaitWord(Word::kReady);
  EXPECT_FALSE(program.TryAccept().has_value());
}

TEST_F(ReadinessTest, LongLinesAreNotReadToTheEnd) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Stream stream = guest.Connect(kHost, kPort);
  RunUntil([&] { return stream.established(); });
  stream.Send(std::string(100'000, 'x'));
  RunUntil([&] { return stream.closed() || stream.connection().peer_shut_down_receive(); });
  EXPECT_EQ(stats(3).refused_notices, 1u);
  Stream messages = guest.Connect(kHost, kPort, VIRTIO_VSOCK_TYPE_SEQPACKET);
  RunUntil([&] { return messages.established(); });
  messages.SendMessage("READY=1\n" + std::string(10'000, 'x'));
  RunUntil([&] { return messages.closed() || messages.connection().peer_shut_down_receive(); });
  EXPECT_EQ(stats(3).refused_notices, 2u);
  EXPECT_EQ(Status().guest, Word::kNone);
  stream.Close();
  messages.Close();
  Notify(guest, "READY=1");
  AwaitWord(Word::kReady);
}

TEST_F(ReadinessTest, ConnectionsThatSayNothingGiveWay) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  std::vector<Stream> silent;
  for (size_t i = 0; i < 2 * NoticeReader::kMaxConnections; ++i) {
    silent.push_back(guest.Connect(kHost, kPort));
    RunUntil([&] { return silent.back().established() || silent.back().closed(); });
  }
  EXPECT_EQ(stats(3).refused_notices, NoticeReader::kMaxConnections);
  Notify(guest, "READY=1");
  AwaitWord(Word::kReady);
}

TEST_F(ReadinessTest, AGuestThatTalksWithoutEndIsNotReportedWithoutEnd) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Stream stream = guest.Connect(kHost, kPort);
  RunUntil([&] { return stream.established(); });
  RunUntilIdle();
  const size_t reports = backend().History(vm(3)).size();
  std::string talk;
  for (int i = 0; i < 2000; ++i) talk += i % 2 == 0 ? "READY=1\n" : "STOPPING=1\nSTATUS=" + std::to_string(i) + "\n";
  stream.Send(talk);
  RunUntil([&] { return stream.all_sent(); });
  RunUntilIdle();
  EXPECT_LE(backend().History(vm(3)).size(), reports + 1);
  Pass(GuestReadiness::kReportPause);
  EXPECT_LE(backend().History(vm(3)).size(), reports + 2);
  // The device may not have been through with it: what was said last comes with a report after the next pause.
  const std::string last = "status \"1999\"";
  for (int pauses = 0; pauses < 100 && Status().guest_text != last; ++pauses) Pass(GuestReadiness::kReportPause);
  EXPECT_EQ(Status().guest_text, last);
  EXPECT_EQ(Status().guest, Word::kStopping);
}

// --- Ready no more ---

TEST_F(ReadinessTest, APauseIsSurvivedAResetIsNot) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Notify(guest, "READY=1\nSTATUS=up");
  AwaitWord(Word::kReady);
  ASSERT_TRUE(guest.Suspend().ok());
  AwaitState(3, DeviceState::kSuspended);
  EXPECT_EQ(Status().guest, Word::kReady);
  ASSERT_TRUE(guest.Resume().ok());
  AwaitState(3, DeviceState::kActive);
  EXPECT_EQ(Status().guest, Word::kReady);

  ASSERT_TRUE(guest.Reset().ok());
  AwaitWord(Word::kNone);
  EXPECT_EQ(Status().guest_text, "");
  AwaitState(3, DeviceState::kActive);
  Notify(guest, "READY=1");
  AwaitWord(Word::kReady);
  guest.Kill();
  AwaitState(3, DeviceState::kListening);
  EXPECT_EQ(Status().guest, Word::kNone);
}

TEST_F(ReadinessTest, AnotherSourceBeginsAnew) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNone, /*host_side=*/false));
  guest.Listen(Port(kPort));
  RunUntilIdle();
  EXPECT_EQ(stats(3).readiness_probes, 0u);
  backend().SetReadiness(vm(3), {Source::kProbe, kPort});
  AwaitWord(Word::kReady);
  backend().SetReadiness(vm(3), {Source::kProbe, kPort});
  EXPECT_EQ(Status().guest, Word::kReady) << "the same";
  backend().SetReadiness(vm(3), {Source::kNotify, kPort});
  EXPECT_EQ(Status().guest, Word::kNone);
  EXPECT_EQ(Status().readiness, (Readiness{Source::kNotify, kPort}));
  Notify(guest, "READY=1");
  AwaitWord(Word::kReady);
  backend().SetReadiness(vm(3), {});
  EXPECT_EQ(Status().guest, Word::kNone);
}

TEST_F(ReadinessTest, AVmIsRemovedInTheMiddleOfIt) {
  SimulatedGuest& guest = Boot(Cid(3), {}, When(Source::kNotify));
  Stream stream = guest.Connect(kHost, kPort);
  RunUntil([&] { return stream.established(); });
  stream.Send("READY=");
  RunUntil([&] { return stream.all_sent(); });
  SimulatedGuest& probed = Boot(Cid(4), {}, When(Source::kProbe));
  probed.Capture(Port(kPort));
  Pass(GuestReadiness::kFirstPause);
  RemoveVm(3);
  RemoveVm(4);
  RunUntilIdle();
}

}  // namespace
}  // namespace kinsock::testing
