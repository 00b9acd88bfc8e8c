// SPDX-License-Identifier: Apache-2.0
//
// Who may call what, as callers with other uids and groups find it. They need root: "bazel test" of an ordinary user
// skips what only others can show.
#include "server/rpc/access.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/rpc/api_descriptors.h"
#include "tests/server/raw_client.h"
#include "tests/server/running_daemon.h"
#include "tests/support/other_user.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::CanBeOthers;
using testing::ConnectAs;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::OtherUser;
using testing::Reason;
using testing::RunningDaemon;
using testing::SetDeadline;

// Numbers that no machine has given to anybody.
const OtherUser kStranger{61'000, 61'000, {}};
const OtherUser kViewer{61'001, 61'001, {}};
const OtherUser kOperator{61'002, 61'002, {}};
const OtherUser kAdmin{61'003, 61'003, {}};
constexpr gid_t kGroup = 61'100;

struct Method {
  std::string full_name;  // "/kinsock.v1.VmService/CreateVm"
  std::string name;       // "VmService.CreateVm"
};

std::vector<Method> AllMethods() {
  std::vector<Method> methods;
  for (const std::string& service : ApiDescriptors::Get().services()) {
    if (!absl::StartsWith(service, "kinsock.v1.")) continue;
    google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(ApiDescriptors::Get().FileOfSymbol(service).front()));
    for (const auto& declared : file.service()) {
      if (absl::StrCat("kinsock.v1.", declared.name()) != service) continue;
      for (const auto& method : declared.method()) {
        methods.push_back(
            {absl::StrCat("/", service, "/", method.name()), absl::StrCat(declared.name(), ".", method.name())});
      }
    }
  }
  return methods;
}

TEST(AccessTable, HasEveryMethodOfEveryService) {
  const std::vector<Method> methods = AllMethods();
  ASSERT_GE(methods.size(), 8u);
  for (const Method& method : methods) {
    EXPECT_TRUE(RoleNeeded(method.name).has_value()) << method.name << ": give it a line in server/rpc/access.cc";
    EXPECT_NE(RoleNeeded(method.name), Role::kNone) << method.name;
  }
  EXPECT_EQ(RoleNeeded("VmService.Nonsense"), std::nullopt);
}

class AccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!CanBeOthers()) GTEST_SKIP() << "only root can be others";
    Config config;
    for (const char* rule : {"viewer=user:61001", "operator=user:61002", "admin=user:61003", "operator=group:61100"}) {
      ASSERT_EQ(config.api_roles.Add(rule), "");
    }
    Start(std::move(config));
  }

  void Start(Config config) {
    daemon_ = nullptr;
    umask(0007);  // as kinsockd does
    daemon_ = std::make_unique<RunningDaemon>(std::move(config));
    ASSERT_TRUE(daemon_->started().ok()) << daemon_->started();
    chmod(daemon_->directory().c_str(), 0755);
  }

  std::shared_ptr<grpc::Channel> ChannelOf(const OtherUser& user) { return ChannelOf(user, daemon_->api_socket()); }
  static std::shared_ptr<grpc::Channel> ChannelOf(const OtherUser& user, const std::string& socket) {
    UniqueFd connection = ConnectAs(user, socket);
    EXPECT_TRUE(connection.valid()) << "uid " << user.uid << " may not connect";
    return grpc::CreateInsecureChannelFromFd("api", connection.release());
  }

  // What comes of calling `method` with an empty request: its error, or OK as soon as it gives an answer.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(&context, method, &queue);
    const auto done = [&queue] {
      void* tag;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    done();
    const grpc::Slice nothing("", 0);
    call->Write(grpc::ByteBuffer(&nothing, 1), nullptr);
    if (done()) {
      call->WritesDone(nullptr);
      done();
    }
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    if (done()) {
      context.TryCancel();
      grpc::Status ignored;
      call->Finish(&ignored, nullptr);
      done();
      return grpc::Status::OK;
    }
    grpc::Status status;
    call->Finish(&status, nullptr);
    done();
    return status;
  }

  static grpc::Status Create(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::CreateVmRequest request;
    request.set_vm_id(id);
    v1::Vm vm;
    return v1::VmService::NewStub(channel)->CreateVm(&context, request, &vm);
  }

  std::unique_ptr<RunningDaemon> daemon_;
};

TEST_F(AccessTest, EveryMethodAsksForItsRole) {
  // From none upwards: who has the role before the needed one is refused, who has the needed one is not.
  const std::vector<std::pair<Role, OtherUser>> callers{
      {Role::kNone, kStranger}, {Role::kViewer, kViewer}, {Role::kOperator, kOperator}, {Role::kAdmin, kAdmin}};
  for (const auto& [role, user] : callers) {
    const std::shared_ptr<grpc::Channel> channel = ChannelOf(user);
    for (const Method& method : AllMethods()) {
      const Role need = RoleNeeded(method.name).value();
      const grpc::Status status = Call(channel, method.full_name);
      if (role >= need) {
        EXPECT_NE(Reason(status), "ROLE_REQUIRED") << method.name << " as " << RoleName(role);
        continue;
      }
      EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << method.name << " as " << RoleName(role);
      EXPECT_EQ(Reason(status), "ROLE_REQUIRED") << method.name << " as " << RoleName(role);
      EXPECT_EQ(testing::Info(status).metadata().at("need"), RoleName(need));
      EXPECT_EQ(testing::Info(status).metadata().at("have"), RoleName(role));
    }
  }
}

TEST_F(AccessTest, ARefusalSaysWhoLacksWhatAndWhoCanGiveIt) {
  const grpc::Status status = Create(ChannelOf(kViewer), "a");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("VmService.CreateVm needs the role operator, and uid 61001 (pid "));
  EXPECT_THAT(status.error_message(), HasSubstr("is viewer here; kinsockd --api-role operator=user:61001"));
  EXPECT_EQ(daemon_->Info().counts().vms(), 0u);
}

TEST_F(AccessTest, AGroupGivesItsRoleToAllOfItsMembers) {
  EXPECT_TRUE(Create(ChannelOf({61'050, kGroup, {}}), "primary").ok());
  EXPECT_TRUE(Create(ChannelOf({61'051, 61'051, {61'200, kGroup, 61'300}}), "supplementary").ok());
  // The highest role counts.
  EXPECT_TRUE(Create(ChannelOf({kViewer.uid, kViewer.gid, {kGroup}}), "both").ok());
  EXPECT_EQ(Reason(Create(ChannelOf({61'052, 61'052, {61'200}}), "neither")), "ROLE_REQUIRED");
  // More groups than fit into a first guess.
  OtherUser busy{61'053, 61'053, {}};
  for (gid_t group = 62'000; group < 62'200; ++group) busy.groups.push_back(group);
  busy.groups.push_back(kGroup);
  EXPECT_TRUE(Create(ChannelOf(busy), "busy").ok());
}

TEST_F(AccessTest, WithoutRolesTheSocketIsTheDaemonsOwn) {
  Start({});
  EXPECT_FALSE(ConnectAs(kStranger, daemon_->api_socket()).valid()) << "the file does not let him in";
  // The daemon's group passes the file, and has no role by itself.
  const OtherUser colleague{61'060, getegid(), {}};
  EXPECT_EQ(Reason(Create(ChannelOf(colleague), "a")), "ROLE_REQUIRED");
  EXPECT_TRUE(daemon_->Create("a").ok()) << "the daemon's own user";
}

TEST_F(AccessTest, OnTheViewSocketNobodyIsMoreThanAViewer) {
  Config config;
  config.api_view_sockets = {};
  ASSERT_EQ(config.api_roles.Add("admin=user:61003"), "");
  daemon_ = nullptr;
  const testing::TempDir directory;
  chmod(directory.path().c_str(), 0755);
  const std::string view = directory / "view.sock";
  config.api_view_sockets = {view};
  Start(std::move(config));
  ASSERT_TRUE(daemon_->Create("a").ok());

  for (const OtherUser& user : {kAdmin, OtherUser{0, 0, {}}}) {
    const std::shared_ptr<grpc::Channel> channel = ChannelOf(user, view);
    EXPECT_TRUE(Call(channel, "/kinsock.v1.VmService/ListVms").ok());
    EXPECT_EQ(Reason(Create(channel, "b")), "ROLE_REQUIRED") << "uid " << user.uid;
  }
  EXPECT_TRUE(Call(ChannelOf({61'060, getegid(), {}}, view), "/kinsock.v1.VmService/ListVms").ok())
      << "the daemon's group may look";
  EXPECT_EQ(Reason(Call(ChannelOf(kStranger, view), "/kinsock.v1.VmService/ListVms")), "ROLE_REQUIRED");
  EXPECT_TRUE(Create(ChannelOf(kAdmin), "b").ok()) << "on the other one he is an admin";
}

// gRPC is asked by the number of a descriptor, and numbers are used again. A call of somebody who is gone by the time
// it is looked at must not be taken for one of root, who has just got the number.
TEST_F(AccessTest, NobodyIsTakenForWhoConnectsNext) {
  // vm_id: "stolen"
  const std::string request("\0\0\0\0\x8\x0a\x06stolen", 13);
  std::atomic<bool> over{false};
  std::thread root([&] {
    // Each is served before the next: a full backlog would keep the others out.
    while (!over) testing::RawClient(testing::ConnectTo(daemon_->api_socket())).Served();
  });
  for (int i = 0; i < 1000 && !HasFailure(); ++i) {
    UniqueFd connection = ConnectAs(kViewer, daemon_->api_socket());
    EXPECT_TRUE(connection.valid());
    testing::RawClient client(std::move(connection));
    client.Frame(testing::kHeaders, testing::kEndHeaders, 1, testing::CallHeaders("kinsock.v1.VmService/CreateVm"));
    client.Frame(testing::kData, testing::kEndStream, 1, request);
    client.Served();  // gRPC drops what was sent by somebody who is gone before it reads
  }
  over = true;
  root.join();
  // The same bytes are good ones when an operator sends them.
  EXPECT_EQ(daemon_->Info().counts().vms(), 0u);
  testing::RawClient client(ConnectAs(kOperator, daemon_->api_socket()));
  client.Frame(testing::kHeaders, testing::kEndHeaders, 1, testing::CallHeaders("kinsock.v1.VmService/CreateVm"));
  client.Frame(testing::kData, testing::kEndStream, 1, request);
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  while (!daemon_->Get("vms/stolen").ok() && std::chrono::steady_clock::now() < deadline) client.Drain(0);
  EXPECT_TRUE(daemon_->Get("vms/stolen").ok());
}

TEST_F(AccessTest, OneCallerDoesNotTakeTheWatchesOfAll) {
  const auto watch = [](v1::VmService::Stub& stub, grpc::ClientContext& context) {
    SetDeadline(context);
    auto reader = stub.WatchVms(&context, v1::WatchRequest());
    v1::WatchVmsResponse synced;
    // Without VMs it begins with SYNCED.
    grpc::Status status;
    if (!reader->Read(&synced)) {
      status = reader->Finish();
      reader = nullptr;
    }
    return std::make_pair(std::move(reader), status);
  };
  const auto greedy = v1::VmService::NewStub(ChannelOf(kViewer));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchVmsResponse>>> watches;
  for (size_t i = 0; i < kMaxWatchesPerCaller; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    auto [reader, status] = watch(*greedy, *contexts.back());
    ASSERT_TRUE(status.ok()) << i << ": " << status.error_message();
    watches.push_back(std::move(reader));
  }
  // No more, on another connection neither; and others have theirs.
  grpc::ClientContext refused, others;
  const grpc::Status status = watch(*v1::VmService::NewStub(ChannelOf(kViewer)), refused).second;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Reason(status), "QUOTA_EXCEEDED");
  EXPECT_EQ(testing::Info(status).metadata().at("limit"), "watches_per_caller");
  const auto operator_stub = v1::VmService::NewStub(ChannelOf(kOperator));
  auto other = watch(*operator_stub, others);
  EXPECT_TRUE(other.second.ok());
  others.TryCancel();
  other.first->Finish();

  // One ends: its place is free as soon as the daemon has noticed.
  contexts.back()->TryCancel();
  watches.back()->Finish();
  watches.pop_back();
  const auto deadline = std::chrono::steady_clock::now() + RunningDaemon::kPatience;
  bool free = false;
  while (!free && std::chrono::steady_clock::now() < deadline) {
    grpc::ClientContext again;
    auto [reader, ended] = watch(*greedy, again);
    free = ended.ok();
    if (!free) continue;
    again.TryCancel();
    reader->Finish();
  }
  EXPECT_TRUE(free);
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& reader : watches) reader->Finish();
}

TEST_F(AccessTest, StrangersDoNotTakeThePlacesOfOthers) {
  std::vector<UniqueFd> crowd;
  for (uid_t uid = 63'000; uid < 63'100; ++uid) crowd.push_back(ConnectAs({uid, uid, {}}, daemon_->api_socket()));
  EXPECT_TRUE(Create(ChannelOf(kOperator), "a").ok());
  EXPECT_LE(daemon_->Info().counts().api_connections(), kMaxApiConnectionsWithoutRole + 3);
}

}  // namespace
}  // namespace kinsock
