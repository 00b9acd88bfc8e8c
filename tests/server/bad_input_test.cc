// SPDX-License-Identifier: Apache-2.0
//
// What a client may get wrong, or send on purpose, to each method of a kinsockd in a process of its own: each gets its
// code, its reason and its field (bad_requests), the daemon has neither more memory nor more descriptors in use
// afterwards, and guests talk on. Who may not even ask is in access_test and tls_test; frames that gRPC does not send,
// in hostile_client_test; a watch that falls behind, in watch_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/google/rpc/error_details.pb.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "tests/server/bad_requests.h"
#include "tests/server/daemon_process.h"
#include "tests/server/running_daemon.h"
#include "tests/server/talking_guests.h"
#include "tests/support/sanitizers.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using grpc::StatusCode;
using testing::BadFields;
using testing::BadRequest;
using ::testing::Contains;
using testing::DaemonProcess;
using ::testing::IsEmpty;
using testing::kSanitized;
using testing::Reason;
using testing::SetDeadline;
using testing::TalkingGuests;

// Rounds of everything. Those to warm up let caches and thread pools grow to what they need, and fill the memory of
// events: a hundred refused changes each, of the 4,096 that are remembered (EventLog::kMaxEvents).
constexpr int kWarmUp = kSanitized ? 2 : 45;
constexpr int kRounds = kSanitized ? 2 : 45;
// How often they may be tried again.
constexpr int kTurns = 3;
// What those may still add; a leak of a kilobyte for each bad request would be three times as much.
constexpr size_t kTolerance = 3u << 20;

class BadInputTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(allowed_);
    std::filesystem::create_directories(forbidden_);
    std::filesystem::create_symlink(forbidden_, allowed_ + "/link");
    ASSERT_TRUE(daemon_.Start({"--socket-dir", allowed_})) << daemon_.errors();
    foreign_ = testing::ListenAt(allowed_ + "/foreign.sock");
    ASSERT_TRUE(daemon_.Create("there", 50).ok());
    v1::CreateVmRequest once;
    once.set_vm_id("once");
    once.set_request_id("once");
    ASSERT_TRUE(daemon_.Create(once).ok());
    bad_ = testing::BadRequests(daemon_.channel(), {allowed_, forbidden_, Connections()});
  }

  // What the names of connections begin with.
  std::string Connections() {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::Info info;
    EXPECT_TRUE(v1::AdminService::NewStub(daemon_.channel())->GetInfo(&context, {}, &info).ok());
    return absl::StrCat("connections/", info.instance_id().substr(0, 8), "-");
  }

  // Streams that are given up in each of their phases, and calls whose client is gone before the answer.
  void GiveUpStreams() {
    for (int i = 0; i < 8; ++i) {
      const std::shared_ptr<grpc::Channel> channel = daemon_.NewChannel();
      const auto client = v1::VmService::NewStub(channel);
      grpc::ClientContext watching;
      SetDeadline(watching);
      const auto reader = client->WatchVms(&watching, v1::WatchRequest());
      v1::WatchVmsResponse message;
      for (int read = 0; read < i % 3; ++read) EXPECT_TRUE(reader->Read(&message));
      if (i % 2 == 0) watching.TryCancel();
      grpc::ClientContext hurried;
      hurried.set_deadline(std::chrono::system_clock::now() + std::chrono::microseconds(100 * i));
      v1::WaitVmRequest wait;
      wait.set_name("vms/there");
      wait.set_deleted(true);
      v1::Vm vm;
      EXPECT_FALSE(client->WaitVm(&hurried, wait, &vm).ok());
      watching.TryCancel();
      EXPECT_EQ(reader->Finish().error_code(), StatusCode::CANCELLED);
    }
  }

  size_t Descriptors() const {
    size_t open = 0;
    for (const auto& entry : std::filesystem::directory_iterator(absl::StrCat("/proc/", daemon_.pid(), "/fd"))) {
      open += entry.is_symlink() ? 1 : 0;
    }
    return open;
  }
  size_t ResidentBytes() const {
    std::ifstream statm(absl::StrCat("/proc/", daemon_.pid(), "/statm"));
    size_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident * 4096;
  }

  DaemonProcess daemon_{DaemonProcess::State::kInMemory};
  const std::string allowed_ = daemon_ / "allowed";
  const std::string forbidden_ = daemon_ / "forbidden";
  UniqueFd foreign_;
  std::vector<BadRequest> bad_;
};

TEST_F(BadInputTest, EachHasItsCodeItsReasonAndItsField) {
  for (const BadRequest& bad : bad_) {
    SCOPED_TRACE(bad.what);
    const grpc::Status status = bad.send();
    EXPECT_EQ(status.error_code(), bad.code) << status.error_message();
    EXPECT_EQ(Reason(status), bad.reason) << status.error_message();
    std::vector<std::string> fields;
    const google::rpc::BadRequest details = BadFields(status);
    for (const auto& violation : details.field_violations()) fields.push_back(violation.field());
    if (bad.field.empty()) {
      EXPECT_THAT(fields, IsEmpty());
    } else {
      EXPECT_THAT(fields, Contains(bad.field));
    }
  }
  EXPECT_EQ(daemon_.List().size(), 2u) << "nothing was made";
  EXPECT_EQ(daemon_.Get("there").generation(), 1) << "nothing was changed";
  EXPECT_TRUE(std::filesystem::is_empty(forbidden_));
}

// The largest range that is one is no work.
TEST_F(BadInputTest, AllCidsAreARange) {
  v1::CreateVmRequest request;
  request.set_vm_id("any");
  request.mutable_vm()->mutable_spec()->mutable_cid()->mutable_range()->set_first(3);
  request.mutable_vm()->mutable_spec()->mutable_cid()->mutable_range()->set_last(UINT32_MAX - 1);
  v1::Vm vm;
  ASSERT_TRUE(daemon_.Create(request, &vm).ok());
  EXPECT_GE(vm.status().cid(), 3u);
}

TEST_F(BadInputTest, NothingIsLeftOfItAndGuestsTalkOn) {
  v1::Vm asker, teller;
  ASSERT_TRUE(daemon_.Create("asker", 60, &asker).ok());
  ASSERT_TRUE(daemon_.Create("teller", 61, &teller).ok());
  TalkingGuests guests(asker.status().vhost_user_socket(), teller.status().vhost_user_socket());
  // Somebody watches all this and never reads.
  const std::shared_ptr<grpc::Channel> channel = daemon_.NewChannel();
  const auto sleeper = v1::VmService::NewStub(channel);
  grpc::ClientContext asleep;
  const auto unread = sleeper->WatchVms(&asleep, v1::WatchRequest());

  const auto round = [&] {
    for (const BadRequest& bad : bad_) EXPECT_FALSE(bad.send().ok()) << bad.what;
    GiveUpStreams();
  };
  for (int i = 0; i < kWarmUp; ++i) round();
  const size_t descriptors = Descriptors();
  const uint64_t received = guests.received();
  // What grows once is a cache that fills; what is lost grows each time.
  size_t growth = kTolerance + 1;
  for (int turn = 0; turn < kTurns && growth > kTolerance; ++turn) {
    const size_t memory = ResidentBytes();
    for (int i = 0; i < kRounds; ++i) round();
    growth = std::max(ResidentBytes(), memory) - memory;
  }
  EXPECT_GT(guests.received(), received);
  guests.Finish();
  asleep.TryCancel();
  unread->Finish();
  // Of the last connections gRPC may not have heard yet that they are over.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (Descriptors() > descriptors && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_LE(Descriptors(), descriptors);
  if (!kSanitized) EXPECT_LE(growth, kTolerance);
}

}  // namespace
}  // namespace kinsock
