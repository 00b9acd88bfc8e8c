// SPDX-License-Identifier: Apache-2.0
//
// kinsockd on sockets that systemd hands over. systemd-socket-activate(1) plays systemd: it listens, and becomes the
// daemon when the first client comes.
#include "server/host/activated_sockets.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/kinsock/v1/vm_service.grpc.pb.h"
#include "tests/support/process.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"
#include "tests/web/http_client.h"

namespace kinsock {
namespace {

using ::testing::HasSubstr;
using testing::HttpClient;
using testing::NewUnixSocket;
using testing::Process;
using testing::TempDir;
using testing::TryConnect;

constexpr std::chrono::seconds kPatience{60};

class ActivatedSocketsTest : public ::testing::Test {
 protected:
  // Listens at "<name>.sock" for each of `names`, and starts the daemon with `flags` when somebody connects.
  void Activate(const std::vector<std::string>& names, const std::vector<std::string>& flags = {}) {
    std::vector<std::string> argv{"systemd-socket-activate", "--setenv=XDG_RUNTIME_DIR=" + dir_.path(),
                                  "--fdname=" + absl::StrJoin(names, ":")};
    for (const std::string& name : names) argv.push_back("--listen=" + Path(name));
    argv.insert(argv.end(), {"server/kinsockd", "--reactors", "1"});
    argv.insert(argv.end(), flags.begin(), flags.end());
    process_ = std::make_unique<Process>(argv);
  }

  std::string Path(const std::string& name) const { return dir_ / (name + ".sock"); }

  // The first connection to `name`, on which nothing is said: with it the daemon starts.
  UniqueFd Knock(const std::string& name) {
    UniqueFd socket = NewUnixSocket();
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    while (!TryConnect(socket, Path(name))) {
      testing::Require(std::chrono::steady_clock::now() < give_up, "nobody listens for the daemon");
      process_->Wait(std::chrono::milliseconds(2));
    }
    return socket;
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    context.set_wait_for_ready(true);
  }
  std::unique_ptr<v1::VmService::Stub> Client(const std::string& name) const {
    return v1::VmService::NewStub(grpc::CreateChannel("unix:" + Path(name), grpc::InsecureChannelCredentials()));
  }
  grpc::Status List(const std::string& name) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListVmsResponse page;
    return Client(name)->ListVms(&context, {}, &page);
  }
  grpc::Status Create(const std::string& name, const std::string& id) const {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    v1::Vm vm;
    return Client(name)->CreateVm(&context, request, &vm);
  }

  // What it says when it does not start.
  std::string Refusal() {
    const std::optional<int> status = process_->Wait(kPatience);
    EXPECT_TRUE(status.has_value() && WIFEXITED(*status) && WEXITSTATUS(*status) == 1) << process_->Stderr();
    return process_->Stderr();
  }

  TempDir dir_;
  std::unique_ptr<Process> process_;
};

TEST_F(ActivatedSocketsTest, WhoWaitsInTheSocketIsServedWhenTheDaemonComes) {
  Activate({"api"});
  const UniqueFd early = Knock("api");
  EXPECT_TRUE(List("api").ok()) << process_->Stderr();
  EXPECT_TRUE(Create("api", "a").ok());
}

TEST_F(ActivatedSocketsTest, TheSocketToLookShowsAndChangesNothing) {
  Activate({"api", "view"});
  const UniqueFd early = Knock("view");
  EXPECT_TRUE(List("view").ok()) << process_->Stderr();
  EXPECT_EQ(Create("view", "a").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(Create("api", "a").ok());
}

TEST_F(ActivatedSocketsTest, HttpIsServedThere) {
  Activate({"api", "http"});
  const UniqueFd early = Knock("http");
  ASSERT_TRUE(List("api").ok()) << process_->Stderr();
  EXPECT_EQ(HttpClient(Path("http")).Get("/readyz").status, 200);
}

TEST_F(ActivatedSocketsTest, OneThatTheConfigurationNamesTooIsServedOnceAndItsFileIsNotTheDaemons) {
  Activate({"api", "view", "http"},
           {"--api", "unix:" + Path("api"), "--api-view", "unix:" + Path("view"), "--http", "unix:" + Path("http")});
  const UniqueFd early = Knock("api");
  ASSERT_TRUE(List("api").ok()) << process_->Stderr();
  EXPECT_TRUE(List("view").ok());
  EXPECT_EQ(HttpClient(Path("http")).Get("/livez").status, 200);
  process_->Stop(kPatience);
  for (const char* name : {"api", "view", "http"}) {
    struct stat found;
    EXPECT_EQ(stat(Path(name).c_str(), &found), 0) << name;
    EXPECT_NE(stat((Path(name) + ".lock").c_str(), &found), 0) << name;
  }
}

TEST_F(ActivatedSocketsTest, NoVmGetsItsPath) {
  Activate({"api"});
  const UniqueFd early = Knock("api");
  grpc::ClientContext context;
  SetDeadline(context);
  v1::CreateVmRequest request;
  request.set_vm_id("a");
  request.mutable_vm()->mutable_spec()->set_vhost_user_socket(Path("api"));
  v1::Vm vm;
  EXPECT_EQ(Client("api")->CreateVm(&context, request, &vm).error_code(), grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(ActivatedSocketsTest, ANameThatMeansNothingIsSaid) {
  Activate({"apo", "view"});
  Knock("apo");
  EXPECT_THAT(Refusal(), HasSubstr("socket 1 from systemd, \"apo\": write FileDescriptorName=api, view or http"));
}

TEST_F(ActivatedSocketsTest, ASocketOfAnotherTypeIsSaid) {
  process_ = std::make_unique<Process>(std::vector<std::string>{
      "systemd-socket-activate", "--seqpacket", "--fdname=api", "--listen=" + Path("api"), "server/kinsockd"});
  const UniqueFd early = NewUnixSocket(SOCK_SEQPACKET);
  while (!TryConnect(early, Path("api"))) ASSERT_FALSE(process_->Wait(std::chrono::milliseconds(2)).has_value());
  EXPECT_THAT(Refusal(), HasSubstr("\"api\": is no UNIX stream socket that listens"));
}

TEST_F(ActivatedSocketsTest, ASecondOneForHttpIsSaid) {
  process_ = std::make_unique<Process>(std::vector<std::string>{"systemd-socket-activate", "--fdname=http:http",
                                                                "--listen=" + Path("one"), "--listen=" + Path("two"),
                                                                "server/kinsockd"});
  Knock("one");
  EXPECT_THAT(Refusal(), HasSubstr(absl::StrCat("is a second one, besides ", Path("one"))));
}

TEST_F(ActivatedSocketsTest, HttpElsewhereBesidesIsSaid) {
  Activate({"api", "http"}, {"--http", "unix:" + Path("other")});
  Knock("http");
  EXPECT_THAT(Refusal(), HasSubstr("is another socket than systemd gives for HTTP"));
}

TEST(TakeActivatedSocketsTest, WithoutSystemdThereAreNone) {
  const auto taken = TakeActivatedSockets();
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_THAT(*taken, ::testing::IsEmpty());
}

}  // namespace
}  // namespace kinsock
