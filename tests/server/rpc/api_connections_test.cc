// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_connections.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/kinsock/v1/admin_service.grpc.pb.h"
#include "base/unique_fd.h"
#include "server/rpc/api_metrics.h"
#include "server/rpc/api_server.h"
#include "tests/support/simulated_clock.h"

namespace kinsock {
namespace {

constexpr std::chrono::seconds kPatience{60};

Caller User(uid_t uid, Role role = Role::kViewer) {
  return {Caller::Transport::kUnix, role, uid, uid, 1, false, "", {}};
}

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  UniqueFd ours, theirs;
};

class ApiConnectionsTest : public ::testing::Test {
 protected:
  testing::SimulatedClock clock_;
};

TEST_F(ApiConnectionsTest, KnowsWhoIsAtTheOtherEnd) {
  ApiConnections connections(clock_, {});
  const Pair alice, bob;
  ASSERT_TRUE(connections.Add(alice.ours.get(), User(1, Role::kAdmin)));
  ASSERT_TRUE(connections.Add(bob.ours.get(), User(2)));
  EXPECT_EQ(connections.Find(absl::StrCat("fd:", alice.ours.get()))->uid, 1u);
  EXPECT_EQ(connections.Find(absl::StrCat("fd:", alice.ours.get()))->role, Role::kAdmin);
  EXPECT_EQ(connections.Find(absl::StrCat("fd:", bob.ours.get()))->uid, 2u);
  EXPECT_EQ(connections.size(), 2u);
}

TEST_F(ApiConnectionsTest, KnowsNobodyElse) {
  ApiConnections connections(clock_, {});
  const Pair alice, other;
  ASSERT_TRUE(connections.Add(alice.ours.get(), User(1)));
  const std::string name = absl::StrCat("fd:", alice.ours.get());
  for (const std::string& peer : {absl::StrCat("fd:", other.ours.get()), std::string("fd:"), std::string("fd:-1"),
                                  name + "x", "x" + name, std::string(""), std::string("ipv4:127.0.0.1:1"),
                                  std::string("unix:"), std::string("fd:99999999999999999999")}) {
    EXPECT_EQ(connections.Find(peer), std::nullopt) << peer;
  }
}

TEST_F(ApiConnectionsTest, ANumberThatIsUsedAgainIsNotTheOldConnection) {
  ApiConnections connections(clock_, {});
  auto alice = std::make_unique<Pair>();
  const int fd = alice->ours.get();
  const std::string name = absl::StrCat("fd:", fd);
  ASSERT_TRUE(connections.Add(fd, User(1, Role::kAdmin)));
  alice = nullptr;
  EXPECT_EQ(connections.Find(name), std::nullopt);
  // The number comes back, for a socket that was never counted in, and then for one that was.
  const Pair bob;
  ASSERT_EQ(bob.ours.get(), fd);
  EXPECT_EQ(connections.Find(name), std::nullopt);
  ASSERT_TRUE(connections.Add(fd, User(2)));
  EXPECT_EQ(connections.Find(name)->uid, 2u);
  EXPECT_EQ(connections.size(), 1u);
}

TEST_F(ApiConnectionsTest, EachUserHasSoMany) {
  ApiConnections connections(clock_, {.per_uid = 2});
  const Pair a, b, c, d;
  auto gone = std::make_unique<Pair>();
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(connections.Add(a.ours.get(), User(1)));
  EXPECT_TRUE(connections.Add(gone->ours.get(), User(1)));
  EXPECT_FALSE(connections.Add(c.ours.get(), User(1)));
  EXPECT_TRUE(connections.Add(d.ours.get(), User(2)));
  // One closes. That is seen when it is looked for, and this is not done without end.
  gone = nullptr;
  EXPECT_FALSE(connections.Add(c.ours.get(), User(1)));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_TRUE(connections.Add(c.ours.get(), User(1)));
}

TEST_F(ApiConnectionsTest, ThoseWithoutARoleHaveSoManyTogether) {
  ApiConnections connections(clock_, {.without_role = 1});
  const Pair a, b, c;
  EXPECT_TRUE(connections.Add(a.ours.get(), User(1, Role::kNone)));
  EXPECT_FALSE(connections.Add(b.ours.get(), User(2, Role::kNone)));
  EXPECT_TRUE(connections.Add(c.ours.get(), User(3)));
}

TEST_F(ApiConnectionsTest, ThoseOverTcpHaveSoManyTogether) {
  ApiConnections connections(clock_, {.tls = 1});
  const Caller somebody{.transport = Caller::Transport::kTls};
  const Pair a, b, c;
  EXPECT_TRUE(connections.Add(a.ours.get(), somebody));
  EXPECT_FALSE(connections.Add(b.ours.get(), somebody));
  EXPECT_TRUE(connections.Add(c.ours.get(), User(1, Role::kNone))) << "they take no places of those without a role";
}

TEST_F(ApiConnectionsTest, AllTogetherHaveSoMany) {
  ApiConnections connections(clock_, {.total = 1});
  const Pair a, b;
  EXPECT_TRUE(connections.Add(a.ours.get(), User(1)));
  EXPECT_FALSE(connections.Add(b.ours.get(), User(2)));
}

// ---- What gRPC must do for a number to name the right connection.

// A call that the test ends.
class HeldCall final : public grpc::ServerUnaryReactor {
 public:
  void OnCancel() override { cancelled.set_value(); }
  void OnDone() override { done.set_value(); }
  std::promise<void> cancelled, done;
};

class HoldingService final : public v1::AdminService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context, const v1::GetInfoRequest*,
                                    v1::Info*) override {
    arrived.set_value(context->peer());
    return &call;
  }
  HeldCall call;
  std::promise<std::string> arrived;
};

TEST_F(ApiConnectionsTest, GrpcKeepsTheDescriptorUntilTheLastCallOnItIsOver) {
  HoldingService service;
  ApiMetrics metrics;
  std::unique_ptr<ApiServer> api = *ApiServer::Start({&service}, metrics);
  ApiConnections connections(clock_, {});
  Pair pair;
  const int fd = pair.ours.get();
  ASSERT_TRUE(connections.Add(fd, User(7, Role::kOperator)));
  api->Serve(std::move(pair.ours));

  // A client calls and hangs up.
  std::shared_ptr<grpc::Channel> channel = grpc::CreateInsecureChannelFromFd("api", pair.theirs.release());
  std::thread client([channel = std::move(channel)] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
    v1::Info info;
    EXPECT_FALSE(v1::AdminService::NewStub(channel)->GetInfo(&context, {}, &info).ok());
  });
  std::future<std::string> arrived = service.arrived.get_future();
  ASSERT_EQ(arrived.wait_for(kPatience), std::future_status::ready);
  const std::string peer = arrived.get();
  EXPECT_EQ(peer, absl::StrCat("fd:", fd));
  client.join();
  ASSERT_EQ(service.call.cancelled.get_future().wait_for(kPatience), std::future_status::ready);

  // The call is not over, so the number is still his.
  ASSERT_TRUE(connections.Find(peer).has_value());
  EXPECT_EQ(connections.Find(peer)->uid, 7u);
  EXPECT_EQ(connections.size(), 1u);
  const Pair next;
  EXPECT_NE(next.ours.get(), fd);

  service.call.Finish(grpc::Status::OK);
  ASSERT_EQ(service.call.done.get_future().wait_for(kPatience), std::future_status::ready);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (connections.size() > 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(connections.size(), 0u) << "then gRPC closes it";
  api->Shutdown(std::chrono::milliseconds(100));
}

}  // namespace
}  // namespace kinsock
