// SPDX-License-Identifier: Apache-2.0
//
// What a kinsockd writes about VMs that do all they can to fill its log.
#include "server/host/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "tests/server/daemon_process.h"
#include "tests/support/simulated_guest.h"
#include "tests/support/stage.h"
#include "tests/support/unix_socket.h"
#include "tests/support/vhost_user_connection.h"

namespace kinsock {
namespace {

using testing::DaemonProcess;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::SimulatedGuest;

class LogTest : public ::testing::Test {
 protected:
  // The lines written so far that have all of `parts`.
  std::vector<std::string> Lines(const std::vector<std::string>& parts) const {
    std::vector<std::string> lines;
    for (const auto line : absl::StrSplit(daemon_.errors(), '\n', absl::SkipEmpty())) {
      std::string text(line);
      bool all = true;
      for (const std::string& part : parts) all &= text.find(part) != std::string::npos;
      if (all) lines.push_back(std::move(text));
    }
    return lines;
  }

  // The number behind `name` in `text`; 0: it is not there.
  static uint64_t NumberAfter(const std::string& text, const std::string& name) {
    const size_t at = text.find(name);
    return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + name.size(), nullptr, 10);
  }

  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
  testing::Stage stage_;
  SimulatedGuest a_{stage_}, b_{stage_};
};

TEST_F(LogTest, AVmmThatComesAndGoesWithoutEndHasFewLinesThatCountTheRest) {
  ASSERT_TRUE(daemon_.Start()) << daemon_.errors();
  v1::Vm busy, quiet;
  ASSERT_TRUE(daemon_.Create("busy", 3, &busy).ok());
  ASSERT_TRUE(daemon_.Create("quiet", 4, &quiet).ok());
  constexpr uint64_t kSessions = 300;
  const auto told = [&] {
    uint64_t sum = 0;
    for (const std::string& line : Lines({"vm.state", "vm=vms/busy"})) sum += 1 + NumberAfter(line, " suppressed=");
    return sum;
  };
  for (uint64_t i = 0; i < kSessions; ++i) {
    absl::StatusOr<testing::VhostUserConnection> vmm =
        testing::VhostUserConnection::Open(busy.status().vhost_user_socket());
    ASSERT_TRUE(vmm.ok()) << vmm.status();
    // Who says nothing is no VMM.
    ASSERT_TRUE(vmm->Send(testing::VHOST_USER_GET_FEATURES, {}).ok());
    ASSERT_TRUE(vmm->Receive().ok());
  }
  ASSERT_TRUE(b_.PowerOn(quiet.status().vhost_user_socket()).ok());
  EXPECT_TRUE(stage_.RunUntil([&] {
    return !Lines({"vm.state", "vm=vms/quiet state=ACTIVE"}).empty();
  })) << "another VM has its own allowance";
  // Each session brings two states: that it is there, and that it is gone. The last line comes a while after them.
  EXPECT_TRUE(stage_.RunUntil([&] { return told() >= 2 * kSessions; })) << told() << " in\n" << daemon_.errors();
  EXPECT_EQ(told(), 2 * kSessions);
  EXPECT_LE(Lines({"vm.state", "vm=vms/busy"}).size(), 30u);
}

TEST_F(LogTest, LinesOfJsonAreThatAndNoPayloadIsInThem) {
  ASSERT_TRUE(daemon_.Start({"--log-format", "json"})) << daemon_.errors();
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  request.mutable_vm()->mutable_spec()->mutable_cid()->set_static_cid(3);
  request.mutable_vm()->mutable_spec()->mutable_uds()->set_path(daemon_ / "a.sock");
  v1::Vm a, b;
  ASSERT_TRUE(daemon_.Create(request, &a).ok());
  ASSERT_TRUE(daemon_.Create("b", 4, &b).ok());
  ASSERT_TRUE(a_.PowerOn(a.status().vhost_user_socket()).ok());
  ASSERT_TRUE(b_.PowerOn(b.status().vhost_user_socket()).ok());

  const std::string secret = "what-guests-tell-each-other";
  b_.Listen(80);
  testing::Stream client = a_.Connect(4, 80);
  testing::Stream server = b_.Accept(80);
  client.Send(secret);
  EXPECT_TRUE(stage_.RunUntil([&] { return server.Received() == secret; }));
  // And in what makes no sense, to the sibling and to the host.
  for (const uint64_t target : {uint64_t{4}, uint64_t{2}, uint64_t{77}}) {
    for (uint16_t op = 0; op < 12; ++op) {
      testing::VsockPacket packet = a_.Packet(op, 5000, target, 80);
      packet.payload = secret;
      a_.SendRaw(packet);
      packet.src_cid = 9;
      a_.SendRaw(packet);
    }
  }
  const UniqueFd program = testing::ConnectTo(daemon_ / "a.sock");
  EXPECT_EQ(send(program.get(), (secret + "\n").data(), secret.size() + 1, MSG_NOSIGNAL),
            static_cast<ssize_t>(secret.size() + 1));
  EXPECT_TRUE(stage_.RunUntilIdle());
  a_.Kill();
  b_.Kill();
  EXPECT_TRUE(stage_.RunUntil([&] { return Lines({"vm.state", "LISTENING"}).size() >= 2; }));
  daemon_.Stop();

  EXPECT_THAT(daemon_.errors(), Not(HasSubstr(secret)));
  for (const std::string& line : Lines({})) {
    google::protobuf::Struct fields;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(line, &fields).ok()) << line;
    for (const char* field : {"time", "level", "event"}) EXPECT_EQ(fields.fields().count(field), 1u) << line;
  }
  EXPECT_THAT(Lines({"\"event\":\"vm.created\"", "\"vm\":\"vms/a\"", "\"cid\":\"3\""}), ::testing::SizeIs(1));
}

}  // namespace
}  // namespace kinsock
