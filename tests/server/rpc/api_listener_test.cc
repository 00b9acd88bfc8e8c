// SPDX-License-Identifier: Apache-2.0
#include "server/rpc/api_listener.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/host/peer.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unix_socket.h"

namespace kinsock {
namespace {

using testing::ConnectTo;
using testing::NewUnixSocket;
using testing::TryConnect;

class ApiListenerTest : public ::testing::Test {
 protected:
  void Listen(ApiConnections::Limits limits = {}) {
    connections_ = std::make_unique<ApiConnections>(clock_, limits);
    absl::StatusOr<BoundSocket> socket = BoundSocket::Listen(path_, 128, 0660);
    ASSERT_TRUE(socket.ok()) << socket.status();
    listener_ = std::make_unique<ApiListener>(
        loop_, *std::move(socket), *connections_,
        [](int fd) -> absl::StatusOr<Caller> {
          const absl::StatusOr<Peer> peer = PeerOf(fd);
          if (!peer.ok()) return peer.status();
          return Caller{Caller::Transport::kUnix, Role::kViewer, peer->uid, peer->gid, peer->pid, false, "", {}};
        },
        [this](UniqueFd connection) { taken_.push_back(std::move(connection)); });
    ASSERT_TRUE(listener_->Start().ok());
  }

  void Serve() {
    while (loop_.RunOnce()) {
    }
  }

  // Whether the other end was closed without a word.
  static bool TurnedAway(const UniqueFd& client) {
    char byte;
    return read(client.get(), &byte, 1) == 0;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_ / "api.sock";
  testing::SimulatedClock clock_;
  EventLoop loop_{clock_};
  std::vector<UniqueFd> taken_;  // what gRPC would hold
  std::unique_ptr<ApiConnections> connections_;
  std::unique_ptr<ApiListener> listener_;
};

TEST_F(ApiListenerTest, HandsConnectionsOn) {
  Listen();
  const UniqueFd first = ConnectTo(path_);
  const UniqueFd second = ConnectTo(path_);
  Serve();
  EXPECT_EQ(taken_.size(), 2u);
  EXPECT_EQ(connections_->size(), 2u);
  taken_.clear();
  EXPECT_EQ(connections_->size(), 0u) << "it sees that gRPC closed them";
}

TEST_F(ApiListenerTest, KnowsWhoConnects) {
  Listen();
  const UniqueFd client = ConnectTo(path_);
  Serve();
  const std::optional<Caller> caller = connections_->Find(absl::StrCat("fd:", taken_.front().get()));
  ASSERT_TRUE(caller.has_value());
  EXPECT_EQ(caller->role, Role::kViewer);
  EXPECT_EQ(caller->uid, geteuid());
  EXPECT_EQ(caller->gid, getegid());
  EXPECT_EQ(caller->pid, getpid());
}

TEST_F(ApiListenerTest, AUserHasSoManyConnectionsAndNoMore) {
  Listen({.per_uid = 2, .total = 10});
  const UniqueFd first = ConnectTo(path_);
  const UniqueFd second = ConnectTo(path_);
  const UniqueFd third = ConnectTo(path_);
  Serve();
  EXPECT_EQ(taken_.size(), 2u);
  EXPECT_TRUE(TurnedAway(third));

  taken_.pop_back();
  clock_.Advance(std::chrono::seconds(1));
  const UniqueFd fourth = ConnectTo(path_);
  Serve();
  EXPECT_EQ(taken_.size(), 2u) << "a place was free again";
}

TEST_F(ApiListenerTest, AllUsersTogetherHaveSoManyConnectionsAndNoMore) {
  Listen({.per_uid = 10, .total = 1});
  const UniqueFd first = ConnectTo(path_);
  const UniqueFd second = ConnectTo(path_);
  Serve();
  EXPECT_EQ(taken_.size(), 1u);
  EXPECT_TRUE(TurnedAway(second));
}

TEST_F(ApiListenerTest, SurvivesAFloodThatEatsAllDescriptors) {
  Listen();
  // The callers are there before, for they need descriptors, too.
  std::vector<UniqueFd> callers;
  for (int i = 0; i < 50; ++i) callers.push_back(NewUnixSocket());
  const UniqueFd latecomer = NewUnixSocket();
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(latecomer.get()) + 10;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<UniqueFd> eaten;
  for (int fd = dup(0); fd >= 0; fd = dup(0)) eaten.emplace_back(fd);

  for (const UniqueFd& caller : callers) ASSERT_TRUE(TryConnect(caller, path_));
  for (int i = 0; i < 200; ++i) {
    Serve();
    clock_.Advance(std::chrono::milliseconds(100));
  }
  EXPECT_THAT(taken_, ::testing::IsEmpty());
  for (const UniqueFd& caller : callers) EXPECT_TRUE(TurnedAway(caller)) << "nobody is left hanging";

  eaten.clear();
  ASSERT_TRUE(TryConnect(latecomer, path_));
  Serve();
  EXPECT_EQ(taken_.size(), 1u) << "it accepts again";
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(ApiListenerTest, StoppingRemovesTheFileAndLeavesConnectionsAlone) {
  Listen();
  const UniqueFd client = ConnectTo(path_);
  Serve();
  listener_->Stop();
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
  EXPECT_FALSE(TryConnect(NewUnixSocket(), path_));
  EXPECT_EQ(taken_.size(), 1u);
}

}  // namespace
}  // namespace kinsock
