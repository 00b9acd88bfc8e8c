// SPDX-License-Identifier: Apache-2.0
//
// Clients take every descriptor that kinsockd may have, through its API socket; when they let go, all is as it was.
#include <dirent.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::NewUnixSocket;
using testing::Process;
using testing::TempDir;
using testing::TryConnect;

constexpr std::chrono::seconds kPatience{60};
// Enough for the daemon and a few clients, fewer than the connections of one user.
constexpr int kDescriptors = 96;

class DescriptorFloodTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Eventually([this] { return TryConnect(NewUnixSocket(), socket_); }));
  }

  template <typename Condition>
  bool Eventually(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline && daemon_.running()) {
      if (condition()) return true;
      daemon_.Wait(std::chrono::milliseconds(5));
    }
    return false;
  }

  size_t OpenDescriptors() const {
    size_t open = 0;
    DIR* directory = opendir(absl::StrCat("/proc/", daemon_.pid(), "/fd").c_str());
    EXPECT_NE(directory, nullptr);
    while (readdir(directory) != nullptr) ++open;
    closedir(directory);
    return open - 2;
  }

  std::unique_ptr<v1::VmService::Stub> Connect() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return v1::VmService::NewStub(
        grpc::CreateCustomChannel("unix:" + socket_, grpc::InsecureChannelCredentials(), arguments));
  }

  static grpc::Status Create(v1::VmService::Stub& client, const std::string& id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    v1::Vm vm;
    return client.CreateVm(&context, request, &vm);
  }

  static grpc::Status Delete(v1::VmService::Stub& client, const std::string& id) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    v1::DeleteVmRequest request;
    request.set_name("vms/" + id);
    v1::Vm vm;
    return client.DeleteVm(&context, request, &vm);
  }

  const TempDir directory_;
  const std::string socket_ = directory_ / "api.sock";
  Process daemon_{{"env", "XDG_RUNTIME_DIR=" + directory_.path(), "prlimit", absl::StrCat("--nofile=", kDescriptors),
                   "server/kinsockd", "--api=unix:" + socket_, "--reactors=1"}};
};

TEST_F(DescriptorFloodTest, IsSurvived) {
  const std::unique_ptr<v1::VmService::Stub> earlier = Connect();
  ASSERT_TRUE(Create(*earlier, "before").ok());
  ASSERT_TRUE(Delete(*earlier, "before").ok());
  const size_t before = OpenDescriptors();

  for (int round = 0; round < 3; ++round) {
    std::vector<UniqueFd> flood;
    for (int i = 0; i < 3 * kDescriptors; ++i) {
      flood.push_back(NewUnixSocket());
      TryConnect(flood.back(), socket_);
    }
    ASSERT_TRUE(Eventually([this] { return OpenDescriptors() >= kDescriptors - 1; })) << OpenDescriptors();
    ASSERT_TRUE(Eventually([this] { return absl::StrContains(daemon_.Stderr(), "api.no_descriptors"); }));
    // Who was there is answered: a VM has no room now, and that is said.
    const grpc::Status refused = Create(*earlier, "flooded");
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();

    flood.clear();
    const std::unique_ptr<v1::VmService::Stub> later = Connect();
    EXPECT_TRUE(Create(*later, "after").ok());
    EXPECT_TRUE(Delete(*later, "after").ok());
  }
  EXPECT_TRUE(Eventually([&] { return OpenDescriptors() <= before; })) << OpenDescriptors() << " for " << before;
  EXPECT_EQ(daemon_.Stop(), 0) << daemon_.Stderr();
}

}  // namespace
}  // namespace kinsock
